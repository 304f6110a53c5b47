//! Options whose values are enums, so that only the parser handles strings.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use model::{DeviceChoice, PrecisionChoice};

use super::value::{OptionValue, TomlKind};
use crate::optim::OptimizerKind;
use crate::schedule::ScheduleKind;

/// An option with a fixed set of values. Parsing ignores case.
pub trait Choice: ValueEnum {
    /// The name of the value on the command line and in files.
    fn name(&self) -> String {
        // `None` only for skipped variants, and there are none.
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Choice for PrecisionChoice {}
impl Choice for DeviceChoice {}
impl Choice for OptimizerKind {}
impl Choice for ScheduleKind {}

impl<T: Choice> OptionValue for T {
    const KIND: TomlKind = TomlKind::String;

    fn possible_values() -> Vec<PossibleValue> {
        T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect()
    }

    fn from_text(text: &str) -> Option<Self> {
        <T as ValueEnum>::from_str(text.trim(), true).ok()
    }

    fn to_text(&self) -> Option<String> {
        Some(self.name())
    }
}

/// The weights of the classes in the loss.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeights {
    /// All classes have weight 1.
    #[default]
    None,
    /// Class c has weight `rows / (classes * rows of c)`, as scikit-learn's "balanced".
    Balanced,
    /// One weight per class, in the order of the labels.
    Values(Vec<f64>),
}

impl OptionValue for ClassWeights {
    const KIND: TomlKind = TomlKind::Floats;

    fn from_text(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "balanced" => Some(Self::Balanced),
            numbers => {
                numbers.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>().map(Self::Values)
            }
        }
    }

    fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::None => "none".to_owned(),
            Self::Balanced => "balanced".to_owned(),
            Self::Values(weights) => weights.iter().map(f64::to_string).collect::<Vec<_>>().join(","),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_a_choice_ignores_case() {
        assert_eq!(OptionValue::from_text("BF16"), Some(PrecisionChoice::Bf16));
        assert_eq!(OptionValue::from_text("Float32"), Some(PrecisionChoice::Fp32));
        assert_eq!(OptionValue::from_text("CUDA"), Some(DeviceChoice::Cuda));
        assert_eq!(OptionValue::from_text("AdamW"), Some(OptimizerKind::default()));
        assert_eq!(OptionValue::from_text("Inverse_Sqrt"), Some(ScheduleKind::InverseSqrt));
        for kind in OptimizerKind::value_variants() {
            assert_eq!(OptionValue::from_text(&kind.name()), Some(*kind));
        }
        for kind in ScheduleKind::value_variants() {
            assert_eq!(OptionValue::from_text(&kind.name()), Some(*kind));
        }
        assert_eq!(ScheduleKind::InverseSqrt.name(), "inverse-sqrt");
        assert_eq!(<PrecisionChoice as OptionValue>::from_text("fp8"), None);
    }

    #[test]
    fn class_weights_are_a_word_or_numbers() {
        assert_eq!(OptionValue::from_text("None"), Some(ClassWeights::None));
        assert_eq!(OptionValue::from_text("BALANCED"), Some(ClassWeights::Balanced));
        assert_eq!(OptionValue::from_text("1, 2.5"), Some(ClassWeights::Values(vec![1.0, 2.5])));
        assert_eq!(ClassWeights::from_text("1,heavy"), None);
    }
}

//! The choices a run makes, each an enum: past the parser nothing is decided by a string.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// In which number format the model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Precision {
    /// bf16 where the device is quick at it, fp32 elsewhere.
    #[default]
    Auto,
    /// 32-bit floats throughout.
    #[value(aliases = ["f32", "float32"])]
    Fp32,
    /// bfloat16 products over 32-bit master weights.
    #[value(aliases = ["bfloat16"])]
    Bf16,
}

/// Where the model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DeviceChoice {
    /// The first CUDA device where there is a usable one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error where there is none.
    #[value(aliases = ["gpu"])]
    Cuda,
}

/// The rule that turns gradients into updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    #[default]
    #[value(name = "adamw", aliases = ["adam-w", "adam_w"])]
    AdamW,
    /// Adam with weight decay inside the gradient (Kingma & Ba 2015).
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adafactor: second moments kept as rows and columns (Shazeer & Stern 2018).
    Adafactor,
    /// Lion: the sign of an interpolated momentum (Chen et al. 2023).
    Lion,
}

impl OptimizerKind {
    /// The customary decay of the second average: 0.99 for Lion, 0.999 for the rest.
    pub fn default_beta2(self) -> f64 {
        match self {
            Self::Lion => 0.99,
            Self::AdamW | Self::Adam | Self::Sgd | Self::Adafactor => 0.999,
        }
    }
}

/// The shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScheduleKind {
    /// Falls in a straight line to zero.
    #[default]
    Linear,
    /// Falls to zero along half a cosine.
    Cosine,
    /// Falls to zero as a power of what is left.
    Polynomial,
    /// Stays.
    Constant,
    /// Falls with the square root of the step.
    #[value(aliases = ["inverse_sqrt", "inversesqrt"])]
    InverseSqrt,
}

/// The word for a value on the command line and in files; case doesn't matter when it is read.
macro_rules! spelled {
    ($($policy:ident),*) => { $(
        impl fmt::Display for $policy {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                // No variant is skipped, so each has its word.
                formatter.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
            }
        }

        impl FromStr for $policy {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                <Self as ValueEnum>::from_str(word.trim(), true).map_err(|_| {
                    let words: Vec<String> = Self::value_variants().iter().map(ToString::to_string).collect();
                    format!("\"{word}\" is not one of {}", words.join(", "))
                })
            }
        }

        impl Serialize for $policy {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $policy {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                FromStr::from_str(&word).map_err(serde::de::Error::custom)
            }
        }
    )* };
}

spelled!(Precision, DeviceChoice, OptimizerKind, ScheduleKind);

/// How much an example of each class counts in the loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "ClassWeightsForm", into = "ClassWeightsForm")]
pub enum ClassWeights {
    /// Every example counts the same.
    #[default]
    None,
    /// Class c counts `rows / (classes * rows of c)`, as scikit-learn's "balanced".
    Balanced,
    /// One weight a class, in the order of the labels.
    Values(Vec<f64>),
}

/// What stands in a file: a word or a list of numbers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"none\", \"balanced\" or a list of numbers such as [1.0, 2.5]")]
enum ClassWeightsForm {
    Word(ClassWeightsWord),
    Values(Vec<f64>),
}

#[derive(Clone, Copy, ValueEnum)]
enum ClassWeightsWord {
    None,
    Balanced,
}

spelled!(ClassWeightsWord);

impl From<ClassWeightsForm> for ClassWeights {
    fn from(form: ClassWeightsForm) -> Self {
        match form {
            ClassWeightsForm::Word(ClassWeightsWord::None) => Self::None,
            ClassWeightsForm::Word(ClassWeightsWord::Balanced) => Self::Balanced,
            ClassWeightsForm::Values(values) => Self::Values(values),
        }
    }
}

impl From<ClassWeights> for ClassWeightsForm {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::None => Self::Word(ClassWeightsWord::None),
            ClassWeights::Balanced => Self::Word(ClassWeightsWord::Balanced),
            ClassWeights::Values(values) => Self::Values(values),
        }
    }
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(word) = text.parse::<ClassWeightsWord>() {
            return Ok(ClassWeightsForm::Word(word).into());
        }
        text.split(',')
            .map(|weight| weight.trim().parse::<f64>())
            .collect::<Result<_, _>>()
            .map(Self::Values)
            .map_err(|_| format!("\"{text}\" is not none, balanced or numbers with commas between, such as 1.0,2.5"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_written_in_one() {
        assert_eq!("BF16".parse(), Ok(Precision::Bf16));
        assert_eq!("Float32".parse(), Ok(Precision::Fp32));
        assert_eq!("CUDA".parse(), Ok(DeviceChoice::Cuda));
        assert_eq!("AdamW".parse(), Ok(OptimizerKind::AdamW));
        assert_eq!("Inverse_Sqrt".parse(), Ok(ScheduleKind::InverseSqrt));
        for kind in OptimizerKind::value_variants() {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        for kind in ScheduleKind::value_variants() {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        assert_eq!(ScheduleKind::InverseSqrt.to_string(), "inverse-sqrt");
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        assert_eq!("fp8".parse::<Precision>(), Err("\"fp8\" is not one of auto, fp32, bf16".to_owned()));
    }

    #[test]
    fn class_weights_are_a_word_or_numbers() {
        assert_eq!("None".parse(), Ok(ClassWeights::None));
        assert_eq!("BALANCED".parse(), Ok(ClassWeights::Balanced));
        assert_eq!("1, 2.5".parse(), Ok(ClassWeights::Values(vec![1.0, 2.5])));
        assert!("1,heavy".parse::<ClassWeights>().is_err_and(|message| message.contains("\"1,heavy\"")));
    }
}

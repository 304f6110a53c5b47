//! The number format that a trained model computes in, which may be int8.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use tch::Device;

use crate::config::Config;
use crate::precision::{Precision, dtype_name};
use crate::precision_choice::{ChosenPrecision, PrecisionChoice};

/// Format of the weights and activations of a model that is not trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InferencePrecision {
    /// As in training.
    Float(ChosenPrecision),
    /// The encoder's linear layers multiply int8 weights with int8 activations; everything else computes in fp32. On a
    /// CPU, with the kernels.
    Int8,
}

/// The number format of a trained model, as the user chooses it: as for a training, or int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InferencePrecisionChoice {
    Float(PrecisionChoice),
    Int8,
}

impl ValueEnum for InferencePrecisionChoice {
    fn value_variants<'a>() -> &'a [Self] {
        use PrecisionChoice::{Auto, Bf16, Fp32};
        &[Self::Float(Auto), Self::Float(Fp32), Self::Float(Bf16), Self::Int8]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Float(choice) => choice.to_possible_value(),
            Self::Int8 => {
                let help = "8-bit weights and inputs of the encoder's linear layers, on a CPU";
                Some(PossibleValue::new("int8").help(help))
            }
        }
    }
}

impl InferencePrecisionChoice {
    /// The precision for this model on this device. `Auto` measures, as [`PrecisionChoice::on`].
    pub fn on(self, device: Device, config: &Config) -> InferencePrecision {
        match self {
            Self::Float(choice) => choice.on(device, config).into(),
            Self::Int8 => InferencePrecision::Int8,
        }
    }
}

impl InferencePrecision {
    /// The format of everything that is not quantized.
    pub fn float(self) -> ChosenPrecision {
        match self {
            Self::Float(precision) => precision,
            Self::Int8 => Precision::Fp32.into(),
        }
    }

    /// `fp32`, `bf16` or `int8`.
    pub fn name(self) -> String {
        match self {
            Self::Float(precision) => precision.format.to_string(),
            Self::Int8 => "int8".to_owned(),
        }
    }

    /// PyTorch's name of the format, such as `float32`.
    pub fn dtype(self) -> String {
        match self {
            Self::Float(precision) => dtype_name(precision.format.kind()),
            Self::Int8 => "int8".to_owned(),
        }
    }

    /// What the user should know about this format on this processor: int8 is slow without instructions for it.
    pub fn note(self) -> Option<String> {
        (self == Self::Int8 && kernels::quantized::instruction().is_none()).then(|| {
            "this processor has no instructions for int8 products (AVX512-VNNI or AVX-VNNI), so int8 saves memory but is \
             slower than fp32"
                .to_owned()
        })
    }
}

impl From<Precision> for InferencePrecision {
    fn from(precision: Precision) -> Self {
        Self::Float(precision.into())
    }
}

impl From<ChosenPrecision> for InferencePrecision {
    fn from(precision: ChosenPrecision) -> Self {
        Self::Float(precision)
    }
}

/// The name, and the rates that it was chosen by.
impl fmt::Display for InferencePrecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(precision) => precision.fmt(formatter),
            Self::Int8 => formatter.write_str(&self.name()),
        }
    }
}

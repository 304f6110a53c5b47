//! The number format that a trained model computes in, which may be int8.

use std::fmt;

use tch::Device;

use crate::config::Config;
use crate::precision::Precision;
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

/// The number format of a trained model, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum InferencePrecisionChoice {
    /// fp32 or bf16, as --precision auto of a training.
    #[default]
    Auto,
    /// 32-bit floats throughout.
    #[value(aliases = ["f32", "float32"])]
    Fp32,
    /// bfloat16 weights and activations.
    #[value(aliases = ["bfloat16"])]
    Bf16,
    /// 8-bit weights and inputs of the encoder's linear layers, on a CPU.
    Int8,
}

impl InferencePrecisionChoice {
    /// The precision for this model on this device. `Auto` measures, as [`PrecisionChoice::on`].
    pub fn on(self, device: Device, config: &Config) -> InferencePrecision {
        let choice = match self {
            Self::Auto => PrecisionChoice::Auto,
            Self::Fp32 => PrecisionChoice::Fp32,
            Self::Bf16 => PrecisionChoice::Bf16,
            Self::Int8 => return InferencePrecision::Int8,
        };
        InferencePrecision::Float(choice.on(device, config))
    }
}

impl InferencePrecision {
    /// The format of everything that is not quantized.
    pub fn float(self) -> Precision {
        match self {
            Self::Float(precision) => precision.format,
            Self::Int8 => Precision::Fp32,
        }
    }

    /// `fp32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float(ChosenPrecision { format: Precision::Fp32, .. }) => "fp32",
            Self::Float(ChosenPrecision { format: Precision::Bf16, .. }) => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Hugging Face's name of the format, such as `float32`.
    pub fn dtype(self) -> &'static str {
        match self {
            Self::Float(ChosenPrecision { format: Precision::Fp32, .. }) => "float32",
            Self::Float(ChosenPrecision { format: Precision::Bf16, .. }) => "bfloat16",
            Self::Int8 => "int8",
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
            Self::Int8 => formatter.write_str(self.name()),
        }
    }
}

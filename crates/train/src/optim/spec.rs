//! The description of an optimizer: each defines one [`OptimizerSpec`] in its own file.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use model::ParameterSpec;

use super::{OPTIMIZERS, PIECE, Update};
use crate::error::Result;

/// An optimizer: its name and help text, the options it reads, its state and its step.
pub(super) struct OptimizerSpec {
    /// The value of `--optimizer`.
    pub name: &'static str,
    /// Other accepted spellings of the name.
    pub aliases: &'static [&'static str],
    /// One line for the help, without a period.
    pub summary: &'static str,
    /// Keys of the optimizer-specific options that it reads: `beta1`, `beta2`, `epsilon`, `momentum`.
    pub reads: &'static [&'static str],
    /// Defaults of options, by key, that differ from the usual default.
    pub defaults: &'static [(&'static str, f64)],
    /// The state tensors of a parameter with the given shape. Their names are part of the checkpoint.
    pub state: fn(&[i64]) -> Vec<StateTensor>,
    /// Whether the update of a weight depends on no other weight. The state tensors then have the parameter's shape, and
    /// parameters that lie next to each other are updated together.
    pub is_elementwise: bool,
    /// The number of temporary fp32 tensors of the size of an update's weights that it allocates, for the memory estimate.
    pub update_copies: u64,
    /// Updates the weights. The last argument is the number of the step, from 1, for bias correction.
    pub step: fn(&mut [Update], &OptimizerSettings, u64) -> Result<()>,
}

/// The name and shape of a state tensor.
pub(super) type StateTensor = (&'static str, Vec<i64>);

/// One of the [`OPTIMIZERS`].
#[derive(Clone, Copy)]
pub struct OptimizerKind(pub(super) &'static OptimizerSpec);

impl OptimizerKind {
    /// The optimizers that read an option.
    pub(crate) fn reading(key: &str) -> Vec<Self> {
        OPTIMIZERS.iter().filter(|kind| kind.0.reads.contains(&key)).copied().collect()
    }

    /// The keys of the options named in its specification.
    #[cfg(test)]
    pub(crate) fn keys(self) -> Vec<&'static str> {
        self.0.reads.iter().chain(self.0.defaults.iter().map(|(key, _)| key)).copied().collect()
    }

    /// This optimizer's default of an option, if it differs from the usual default.
    pub(crate) fn default_of(self, key: &str) -> Option<f64> {
        self.0.defaults.iter().find(|(option, _)| *option == key).map(|(_, default)| *default)
    }

    /// The bytes of the fp32 state of a parameter with this shape.
    pub(crate) fn state_bytes(self, shape: &[i64]) -> u64 {
        (self.0.state)(shape).iter().map(|(_, shape)| 4 * shape.iter().product::<i64>() as u64).sum()
    }

    /// The most temporary memory in bytes of an update of these parameters.
    pub(crate) fn update_bytes<'a>(self, trainable: impl Iterator<Item = &'a ParameterSpec> + Clone) -> u64 {
        let whole = trainable.clone().filter(|one| one.has_row_gradient() || !self.0.is_elementwise);
        let in_pieces: u64 = match self.0.is_elementwise {
            true => trainable.filter(|one| !one.has_row_gradient()).map(ParameterSpec::master_bytes).sum(),
            false => 0,
        };
        let largest = whole.map(ParameterSpec::master_bytes).max().unwrap_or(0);
        largest.max(in_pieces.min(4 * PIECE as u64)) * self.0.update_copies
    }
}

/// The first of [`OPTIMIZERS`].
impl Default for OptimizerKind {
    fn default() -> Self {
        OPTIMIZERS[0]
    }
}

impl PartialEq for OptimizerKind {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for OptimizerKind {}

impl fmt::Debug for OptimizerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name)
    }
}

impl ValueEnum for OptimizerKind {
    fn value_variants<'a>() -> &'a [Self] {
        OPTIMIZERS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name).aliases(self.0.aliases).help(self.0.summary))
    }
}

/// The optimizer and its hyperparameters. Weight decay and layer-wise decay apply to all optimizers; each reads only
/// those of the others that its specification names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerSettings {
    pub kind: OptimizerKind,
    pub weight_decay: f64,
    pub layer_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub momentum: f64,
}

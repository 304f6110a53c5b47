//! What is known of an optimizer beside its step: each has one [`OptimizerSpec`], in its own file.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::{OPTIMIZERS, Update};
use crate::error::Result;

/// An optimizer: what help and errors say of it, the options it reads, its state and its step.
pub(super) struct OptimizerSpec {
    /// What `--optimizer` takes.
    pub name: &'static str,
    /// Other spellings that `--optimizer` takes.
    pub aliases: &'static [&'static str],
    /// One line for the help, without a period.
    pub summary: &'static str,
    /// Keys of the options that this optimizer reads, of those that not every optimizer reads: `beta1`, `beta2`,
    /// `epsilon`, `momentum`.
    pub reads: &'static [&'static str],
    /// Keys of the options whose default is another one than usual, and that default.
    pub defaults: &'static [(&'static str, f64)],
    /// The state tensors of a parameter with the given shape. Their names are part of the checkpoint.
    pub state: fn(&[i64]) -> Vec<StateTensor>,
    /// How many fp32 tensors of a parameter's size an update allocates at once, for the memory estimate.
    pub update_copies: u64,
    /// Updates the parameters. The last argument is the number of the step, counted from 1, as bias corrections need it.
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

    /// The options that its specification names.
    #[cfg(test)]
    pub(crate) fn keys(self) -> Vec<&'static str> {
        self.0.reads.iter().chain(self.0.defaults.iter().map(|(key, _)| key)).copied().collect()
    }

    /// This optimizer's default of an option, where it is not the usual one.
    pub(crate) fn default_of(self, key: &str) -> Option<f64> {
        self.0.defaults.iter().find(|(own, _)| *own == key).map(|(_, default)| *default)
    }

    /// The bytes of the fp32 state of a parameter with this shape.
    pub(crate) fn state_bytes(self, shape: &[i64]) -> u64 {
        (self.0.state)(shape).iter().map(|(_, shape)| 4 * shape.iter().product::<i64>() as u64).sum()
    }

    /// How many fp32 tensors of a parameter's size an update allocates at once.
    pub(crate) fn update_copies(self) -> u64 {
        self.0.update_copies
    }
}

/// The first of the table.
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

/// Which optimizer, and its hyperparameters. Each optimizer reads those that its specification names; weight decay and
/// layer-wise decay apply to all.
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

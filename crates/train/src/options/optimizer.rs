//! The options of the optimizer.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::spec::{Reader, any_value, float, options, read_by};
use crate::optim::{OptimizerKind, OptimizerSettings};

/// The optimizers that read an option.
fn optimizers(key: &str) -> Reader {
    read_by("optimizer", &OptimizerKind::reading(key))
}

options! {
    /// The optimizer and its hyperparameters.
    OptimizerOptions, "Optimizer", [] {
        /// Rule of the update
        kind as optimizer: OptimizerKind = OptimizerKind::default(), any_value();
        /// Peak learning rate
        learning_rate: f64 = 2e-5, float((Excluded(0.0), Included(1.0))),
            hint: "{default} is the default; 1e-5 to 5e-5 suit most models";
        /// Weight decay; biases and norms never decay
        weight_decay: f64 = 0.01, float(0.0..=1.0), hint: "{default} is the default, 0 turns it off";
        /// Decay of the gradient's average
        beta1: f64 = kind.default_of("beta1").unwrap_or(0.9), float(0.0..1.0), hint: "the default is {default}",
            reader: optimizers("beta1");
        /// Decay of the squared gradient's average, or of Lion's average
        beta2: f64 = kind.default_of("beta2").unwrap_or(0.999), float(0.0..1.0), hint: "the default is {default}",
            reader: optimizers("beta2");
        /// Added to the denominator
        epsilon: f64 = kind.default_of("epsilon").unwrap_or(1e-8), float((Excluded(0.0), Unbounded)),
            hint: "the default is {default}", reader: optimizers("epsilon");
        /// Momentum
        momentum: f64 = kind.default_of("momentum").unwrap_or(0.9), float(0.0..1.0),
            hint: "the default is {default}, 0 turns it off", reader: optimizers("momentum");
        /// Gradients with a larger global norm are scaled down to it; 0 turns clipping off
        max_grad_norm: f64 = 1.0, float(0.0..), hint: "{default} is the default, 0 turns clipping off";
        /// Factor from the learning rate of a layer to that of the layer below it
        layer_decay: f64 = 1.0, float((Excluded(0.0), Included(1.0))),
            hint: "{default} is the default: all layers learn alike; 0.8 to 0.95 are usual";
    }
}

impl OptimizerOptions {
    /// The settings of the optimizer.
    pub fn settings(&self) -> OptimizerSettings {
        let &Self { kind, weight_decay, layer_decay, beta1, beta2, epsilon, momentum, .. } = self;
        OptimizerSettings { kind, weight_decay, layer_decay, beta1, beta2, epsilon, momentum }
    }
}

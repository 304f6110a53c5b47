//! The options of the optimizer.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::choices::OptimizerKind::{self, Adam, AdamW, Lion, Sgd};
use super::spec::{any, number, options, read_by};

options! {
    /// How gradients change weights.
    OptimizerOptions, "Optimizer", [] {
        /// Rule of the update
        kind as optimizer: OptimizerKind = AdamW, any();
        /// Peak learning rate
        learning_rate: f64 = 2e-5, number((Excluded(0.0), Included(1.0))),
            hint: "{default} is the default; 1e-5 to 5e-5 suit most models";
        /// Weight decay; biases and norms never decay
        weight_decay: f64 = 0.01, number(0.0..=1.0), hint: "{default} is the default, 0 turns it off";
        /// Decay of the gradient's average
        beta1: f64 = 0.9, number(0.0..1.0), reader: read_by("optimizer", &[AdamW, Adam, Lion]);
        /// Decay of the squared gradient's average, or of Lion's average
        beta2: f64 = kind.default_beta2(), number(0.0..1.0), hint: "the default is {default}",
            reader: read_by("optimizer", &[AdamW, Adam, Lion]);
        /// Added to the denominator
        epsilon: f64 = 1e-8, number((Excluded(0.0), Unbounded)), reader: read_by("optimizer", &[AdamW, Adam]);
        /// Momentum
        momentum: f64 = 0.9, number(0.0..1.0), hint: "{default} is the default, 0 turns it off",
            reader: read_by("optimizer", &[Sgd]);
        /// Gradients with a larger global norm are scaled down to it; 0 turns clipping off
        max_grad_norm: f64 = 1.0, number(0.0..), hint: "{default} is the default, 0 turns clipping off";
        /// Each layer below the head learns this much slower than the one above
        layer_decay: f64 = 1.0, number((Excluded(0.0), Included(1.0))),
            hint: "{default} is the default: all layers learn alike; 0.8 to 0.95 are usual";
    }
}

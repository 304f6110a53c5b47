//! Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2).
//!
//! ```text
//! c = beta1 * m + (1 - beta1) * gradient
//! w = w - learning_rate * (sign(c) + weight_decay * w)
//! m = beta2 * m + (1 - beta2) * gradient
//! ```

use super::Update;
use crate::error::Result;
use crate::options::OptimizerOptions;

pub(super) fn step(update: &mut Update, options: &OptimizerOptions) -> Result<()> {
    let gradient = update.dense_gradient()?;
    let average = &mut update.slot.state[0];
    let direction = average.f_lerp(&gradient, 1.0 - options.beta1)?.f_sign_()?;
    let _ = average.f_lerp_(&gradient, 1.0 - options.beta2)?;
    update.apply(&direction, update.slot.weight_decay)
}

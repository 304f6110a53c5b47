//! Stochastic gradient descent with momentum, as `torch.optim.SGD` without dampening and Nesterov.
//!
//! ```text
//! g = gradient + weight_decay * w
//! b = momentum * b + g
//! w = w - learning_rate * b
//! ```

use super::Update;
use crate::error::Result;
use crate::options::OptimizerOptions;

pub(super) fn step(update: &mut Update, options: &OptimizerOptions) -> Result<()> {
    let mut gradient = update.dense_gradient()?;
    if update.slot.weight_decay != 0.0 {
        let _ = gradient.f_add_(&update.weight.master.f_mul_scalar(update.slot.weight_decay)?)?;
    }
    let buffer = &mut update.slot.state[0];
    let _ = buffer.f_mul_scalar_(options.momentum)?.f_add_(&gradient)?;
    let direction = buffer.shallow_clone();
    update.apply(&direction, 0.0)
}

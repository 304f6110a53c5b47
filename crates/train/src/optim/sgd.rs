//! Stochastic gradient descent with momentum, as `torch.optim.SGD` without dampening and Nesterov.
//!
//! ```text
//! g = gradient + weight_decay * w
//! b = momentum * b + g
//! w = w - learning_rate * b
//! ```

use super::{OptimizerSettings, OptimizerSpec, Update, update_each_in_pieces};
use crate::error::Result;

pub(super) const SGD: OptimizerSpec = OptimizerSpec {
    name: "sgd",
    aliases: &[],
    summary: "Stochastic gradient descent with momentum",
    reads: &["momentum"],
    defaults: &[],
    state: |shape| vec![("momentum_buffer", shape.to_vec())],
    is_elementwise: true,
    update_copies: 2,
    step: |updates, settings, _| update_each_in_pieces(updates, |update| step(update, settings)),
};

fn step(update: &mut Update, settings: &OptimizerSettings) -> Result<()> {
    let mut gradient = update.dense_gradient()?;
    if update.state.weight_decay != 0.0 {
        let _ = gradient.f_add_(&update.weight.master.f_mul_scalar(update.state.weight_decay)?)?;
    }
    // From here on nothing is allocated.
    let buffer = &mut update.state.tensors[0];
    let _ = buffer.f_mul_scalar_(settings.momentum)?.f_add_(&gradient)?;
    gradient.f_copy_(buffer)?;
    update.apply(gradient, 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_close, assert_twenty_steps_equal_the_reference, two_steps};

    #[test]
    fn twenty_steps_equal_the_reference() {
        assert_twenty_steps_equal_the_reference("sgd");
    }

    /// Computed by hand: the gradients with weight decay are 0.6 and -0.45, then 0.344 and 0.8045; the momentum buffers
    /// are 0.6 and -0.45, then 0.884 and 0.3995.
    #[test]
    fn two_steps_equal_the_formula() {
        let [first, second] = two_steps("sgd");
        assert_close(&first, &[0.94, -1.955], "step 1");
        assert_close(&second, &[0.8516, -1.99495], "step 2");
    }
}

//! Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2).
//!
//! ```text
//! c = beta1 * m + (1 - beta1) * gradient
//! w = w - learning_rate * (sign(c) + weight_decay * w)
//! m = beta2 * m + (1 - beta2) * gradient
//! ```

use super::{OptimizerSettings, OptimizerSpec, Update, update_each_in_pieces};
use crate::error::Result;

pub(super) const LION: OptimizerSpec = OptimizerSpec {
    name: "lion",
    aliases: &[],
    summary: "Lion: the sign of an interpolated momentum (Chen et al. 2023)",
    reads: &["beta1", "beta2"],
    defaults: &[("beta2", 0.99)],
    state: |shape| vec![("exp_avg", shape.to_vec())],
    is_elementwise: true,
    update_copies: 3,
    step: |updates, settings, _| update_each_in_pieces(updates, |update| step(update, settings)),
};

fn step(update: &mut Update, settings: &OptimizerSettings) -> Result<()> {
    let gradient = update.dense_gradient()?;
    let average = &mut update.state.tensors[0];
    let direction = average.f_lerp(&gradient, 1.0 - settings.beta1)?.f_sign_()?;
    // From here on nothing is allocated.
    let _ = average.f_lerp_(&gradient, 1.0 - settings.beta2)?;
    update.apply(direction, update.state.weight_decay)
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_twenty_steps_equal_the_reference;

    #[test]
    fn twenty_steps_equal_the_reference() {
        assert_twenty_steps_equal_the_reference("lion");
    }
}

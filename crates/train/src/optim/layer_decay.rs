//! Layer-wise decay of the learning rate: lower layers have lower learning rates.

use model::Role;

/// The learning-rate multiplier of each parameter: `layer_decay^(top - depth)`. It is 1 for the head, and every layer
/// has `layer_decay` times the rate of the layer above it.
pub fn lr_multipliers(roles: &[Role], layer_decay: f64) -> Vec<f64> {
    let depths = roles.iter().map(|role| match role {
        Role::Embedding => Some(0),
        Role::Layer(index) => Some(index + 1),
        Role::Head => None,
    });
    let top = depths.clone().flatten().max().map_or(0, |highest| highest + 1);
    depths.map(|depth| layer_decay.powi((top - depth.unwrap_or(top)) as i32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_layers_have_lower_learning_rates() {
        let roles = [Role::Embedding, Role::Layer(0), Role::Layer(1), Role::Head, Role::Head];
        assert_eq!(lr_multipliers(&roles, 0.5), [0.125, 0.25, 0.5, 1.0, 1.0]);
        assert_eq!(lr_multipliers(&roles, 1.0), [1.0; 5]);
        assert_eq!(lr_multipliers(&[Role::Head], 0.5), [1.0]);
    }
}

//! Compares the model, its gradients and fifty training steps with transformers and PyTorch.
//!
//! The scripts and expected values are in `tests/fixtures/bert`. Both sides use the weights and inputs of
//! [`generator`].

mod attributions;
mod generator;
mod packaged;
mod tiny;

use serde_json::Value;

/// As the programs do; only a binary chooses an allocator, so this would not build if a library had done so.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

fn floats(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}

/// The largest absolute difference.
fn max_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

//! Saving and restoring optimizer state.

use super::*;

#[test]
fn restored_state_gives_the_same_bits_as_an_uninterrupted_run() {
    let backends = [Backend::Kernels, Backend::Libtorch];
    for (kind, backend) in OPTIMIZERS.iter().copied().flat_map(|kind| backends.map(|backend| (kind, backend))) {
        let model = Model::table_and_bias(Kind::BFloat16);
        let mut optimizer = model.optimizer_with(&settings(kind), backend);
        let gradients = |step| {
            let (ids, values) = row_gradient(step);
            [Some(Gradient::Rows { ids, values }), dense(generated(2000 + step, &[77]))]
        };
        let steps = |optimizer: &mut Optimizer, model: &Model, range: std::ops::Range<u64>| {
            for step in range {
                optimizer.step_weights(&model.weights(), &gradients(step), &scale(step)).expect("a step");
            }
        };
        steps(&mut optimizer, &model, 0..4);
        let saved: Vec<(String, Tensor)> = optimizer.state().into_iter().map(|(name, t)| (name, t.copy())).collect();
        let masters = model.names.iter().cloned().zip(model.masters.iter().map(Tensor::copy)).collect();
        steps(&mut optimizer, &model, 4..9);

        let resumed_model = Model::new(masters, Kind::BFloat16);
        let mut resumed = resumed_model.optimizer_with(&settings(kind), backend);
        resumed.load_state(4, &saved).expect("the state fits");
        steps(&mut resumed, &resumed_model, 4..9);
        assert_eq!(resumed.steps, optimizer.steps);
        for (ours, theirs) in resumed_model.masters.iter().zip(&model.masters) {
            assert_same_bits(ours, theirs, &kind.name());
        }
        for ((name, ours), (_, theirs)) in resumed.state().iter().zip(optimizer.state()) {
            assert_same_bits(ours, theirs, &format!("{kind:?}, {name}"));
        }
    }
}

#[test]
fn mismatched_state_is_listed_and_changes_nothing() {
    let model = Model::table_and_bias(Kind::Float);
    let mut optimizer = model.optimizer(&settings(kind("adamw")));
    let mut saved: Vec<(String, Tensor)> =
        optimizer.state().into_iter().map(|(name, tensor)| (name, tensor.ones_like())).collect();
    saved[0].1 = Tensor::ones([3000, 47], (Kind::Float, CPU));
    saved[2].0 = "pooler.bias.exp_avg".to_owned();
    let message = optimizer.load_state(7, &saved).expect_err("it doesn't fit").to_string();
    for part in [
        "misshapen: bert.embeddings.word_embeddings.weight.exp_avg: expected float32 [3000, 48], found float32 [3000, 47]",
        "missing: classifier.bias.exp_avg",
        "unexpected: pooler.bias.exp_avg",
        "hint:",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(optimizer.steps, 0);
    assert!(optimizer.state().iter().all(|(_, tensor)| values(tensor).iter().all(|value| *value == 0.0)));
}

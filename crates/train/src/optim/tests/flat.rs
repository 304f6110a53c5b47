//! Updates of flat memory are those of each parameter alone.

use model::Precision;

use super::*;

/// The same steps, parameter by parameter with tensors of their own: what a span must equal bit for bit.
#[test]
fn a_span_is_updated_to_the_same_bits_as_its_parameters_alone() {
    let backends = [Backend::Kernels, Backend::Libtorch];
    let formats = [Precision::Fp32, Precision::Bf16];
    for (kind, backend, precision) in OPTIMIZERS
        .iter()
        .flat_map(|kind| backends.map(|backend| (*kind, backend)))
        .flat_map(|(kind, backend)| formats.map(|precision| (kind, backend, precision)))
    {
        for layer_decay in [1.0, 0.8] {
            let settings = OptimizerSettings { layer_decay, ..settings(kind) };
            let mut model = tiny(precision, backend);
            model.parameters_mut().freeze(|role| role == Role::Layer(1));
            let trainable: Vec<usize> = (0..model.parameters().len())
                .filter(|index| model.parameters().iter().nth(*index).is_some_and(Parameter::trainable))
                .collect();
            let all: Vec<&Parameter> = model.parameters().iter().collect();
            let multipliers = lr_multipliers(model.parameters(), &settings);
            // Copies with memory of their own, of which each is a span.
            let masters: Vec<Tensor> = trainable.iter().map(|&index| all[index].master().copy()).collect();
            let computes: Vec<Option<Tensor>> =
                trainable.iter().map(|&index| (!all[index].is_shared()).then(|| all[index].compute().copy())).collect();
            let names: Vec<String> = trainable.iter().map(|&index| all[index].name().to_owned()).collect();
            let state = |&index: &usize| {
                let shape = all[index].master().size();
                SpanState {
                    name: all[index].name().to_owned(),
                    weight_decay: if all[index].decays() { settings.weight_decay } else { 0.0 },
                    lr_multiplier: multipliers[index],
                    tensors: (settings.kind.0.state)(&shape)
                        .into_iter()
                        .map(|(_, shape)| Tensor::zeros(shape, (Kind::Float, CPU)))
                        .collect(),
                    rows: TableRows::new(&shape),
                }
            };
            let states: Vec<SpanState> = trainable.iter().map(state).collect();
            let mut alone = Optimizer { settings, backend, steps: 0, spans: Vec::new(), states, named: Vec::new() };
            let mut flat = Optimizer::new(model.parameters(), &settings).expect("an optimizer");
            if settings.kind.0.is_elementwise {
                assert!(flat.spans.len() < trainable.len() / 2, "{kind:?}: {} spans", flat.spans.len());
            }

            for step in 0..4 {
                let gradients = gradients_of(&model, step);
                let copy = |gradient: &Gradient| match gradient {
                    Gradient::Dense(dense) => Gradient::Dense(dense.copy()),
                    Gradient::Rows { ids, values } => Gradient::Rows { ids: ids.copy(), values: values.copy() },
                };
                let copies: Vec<_> = gradients.iter().flatten().map(|one| Some(copy(one))).collect();
                let weights: Vec<Weight> = names
                    .iter()
                    .zip(&masters)
                    .zip(&computes)
                    .map(|((name, master), compute)| Weight { name, master, compute: compute.as_ref() })
                    .collect();
                alone.step_weights(&weights, &copies, &scale(step)).expect("a step");
                flat.step(model.parameters_mut(), &gradients, &scale(step)).expect("a step");
            }
            let what = format!("{kind:?}, {backend:?}, {precision}, layer decay {layer_decay}");
            let all: Vec<&Parameter> = model.parameters().iter().collect();
            for (position, &index) in trainable.iter().enumerate() {
                assert_same_bits(all[index].master(), &masters[position], &format!("{what}, {}", names[position]));
                if let Some(compute) = &computes[position] {
                    assert_same_bits(all[index].compute(), compute, &format!("{what}, bf16 {}", names[position]));
                }
            }
            let theirs = alone.states.iter().flat_map(|state| &state.tensors);
            assert_eq!(flat.state().len(), theirs.clone().count(), "{what}");
            for ((name, ours), theirs) in flat.state().iter().zip(theirs) {
                assert_same_bits(ours, theirs, &format!("{what}, {name}"));
            }
        }
    }
}

/// With libtorch's operations, on a GPU each of which is a launch, a step takes a few of them for each of these, however
/// many layers there are.
#[test]
fn a_model_is_updated_in_as_many_spans_as_it_has_groups() {
    for (precision, expected) in [(Precision::Fp32, 3), (Precision::Bf16, 6)] {
        let model = tiny(precision, Backend::Libtorch);
        for kind in OPTIMIZERS.iter().filter(|kind| kind.0.is_elementwise) {
            let optimizer = Optimizer::new(model.parameters(), &settings(*kind)).expect("an optimizer");
            assert_eq!(optimizer.spans.len(), expected, "{kind:?}, {precision}");
        }
    }
}

#[test]
fn a_span_that_is_longer_than_a_piece_is_updated_to_the_same_bits_in_pieces() {
    // Two pieces; the second is shorter.
    let length = PIECE + 1001;
    for kind in OPTIMIZERS.iter().filter(|kind| kind.0.is_elementwise).copied() {
        let master = || {
            vec![(
                "classifier.weight".to_owned(),
                generated(0, &[1000]).repeat([length / 1000 + 1]).narrow(0, 0, length).copy(),
            )]
        };
        let (whole, parts) = (Model::new(master(), Kind::BFloat16), Model::new(master(), Kind::BFloat16));
        let gradient = generated(1, &[1000]).repeat([length / 1000 + 1]).narrow(0, 0, length).copy();
        let mut ours = whole.optimizer_with(&settings(kind), Backend::Libtorch);
        ours.step_weights(&whole.weights(), &[dense(gradient.copy())], &scale(0)).expect("a step");
        // The same in two models of less than a piece each.
        for (start, length) in [(0, PIECE), (PIECE, length - PIECE)] {
            let part = |tensor: &Tensor| tensor.narrow(0, start, length).copy();
            let model = Model::new(vec![("classifier.weight".to_owned(), part(&parts.masters[0]))], Kind::BFloat16);
            let mut theirs = model.optimizer_with(&settings(kind), Backend::Libtorch);
            theirs.step_weights(&model.weights(), &[dense(part(&gradient))], &scale(0)).expect("a step");
            let what = kind.name();
            assert!(part(&whole.masters[0]).equal(&model.masters[0]), "{what}: masters from {start} on");
            assert!(part(&whole.computes[0]).equal(&model.computes[0]), "{what}: compute weights from {start} on");
            assert!(part(ours.state()[0].1).equal(theirs.state()[0].1), "{what}: state from {start} on");
        }
    }
}

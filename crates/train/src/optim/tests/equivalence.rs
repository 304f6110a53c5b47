//! Different ways to compute the same step have equal results: row and dense gradients, fused kernel and libtorch
//! operations, bf16 and fp32, each instruction set.

use kernels::element::Bf16;
use kernels::isa::Isa;

use super::super::adam_kernel::{self, AdamJob, Fp32Coefficients, GradientChunk, ParameterChunk};
use super::*;

#[test]
fn row_gradients_give_the_same_bits_as_dense_gradients() {
    for (kind, precision) in OPTIMIZERS.iter().copied().flat_map(|kind| [(kind, Kind::Float), (kind, Kind::BFloat16)]) {
        for weight_decay in [0.0, 0.1] {
            let settings = OptimizerSettings { weight_decay, ..settings(kind) };
            let (by_rows, by_tables) = (Model::table_and_bias(precision), Model::table_and_bias(precision));
            let (mut rows_optimizer, mut tables_optimizer) =
                (by_rows.optimizer(&settings), by_tables.optimizer(&settings));
            for step in 0..8 {
                let (ids, values) = row_gradient(step);
                let table = Gradient::Rows { ids, values };
                let bias = || dense(generated(2000 + step, &[77]) * 0.05);
                let tables = [dense(table.to_dense(&[3000, 48])), bias()];
                rows_optimizer.step_weights(&by_rows.weights(), &[Some(table), bias()], &scale(step)).expect("a step");
                tables_optimizer.step_weights(&by_tables.weights(), &tables, &scale(step)).expect("a step");
            }
            let what = format!("{kind:?}, {precision:?}, weight decay {weight_decay}");
            for (ours, theirs) in by_rows.masters.iter().zip(&by_tables.masters) {
                assert_same_bits(ours, theirs, &what);
            }
            for (ours, theirs) in by_rows.computes.iter().zip(&by_tables.computes) {
                assert_same_bits(ours, theirs, &what);
            }
            for ((name, ours), (_, theirs)) in rows_optimizer.state().iter().zip(tables_optimizer.state()) {
                assert_same_bits(ours, theirs, &format!("{what}, {name}"));
            }
        }
    }
}

#[test]
fn the_fused_kernel_equals_tensor_operations() {
    for kind in [kind("adamw"), kind("adam")] {
        let (fused, tensor_ops) = (Model::table_and_bias(Kind::BFloat16), Model::table_and_bias(Kind::BFloat16));
        let settings = settings(kind);
        let mut ours = fused.optimizer_with(&settings, Backend::Kernels);
        let mut theirs = tensor_ops.optimizer_with(&settings, Backend::Libtorch);
        for step in 0..20 {
            let (ids, values) = row_gradient(step);
            let bias = generated(2000 + step, &[77]).to_kind(Kind::BFloat16);
            let gradients = [Some(Gradient::Rows { ids, values }), dense(bias)];
            ours.step_weights(&fused.weights(), &gradients, &scale(step)).expect("a step");
            theirs.step_weights(&tensor_ops.weights(), &gradients, &scale(step)).expect("a step");
        }
        for (name, (a, b)) in fused.names.iter().zip(fused.masters.iter().zip(&tensor_ops.masters)) {
            assert_close(&values(a), &values(b), &format!("{kind:?}, {name}"));
        }
        for ((name, a), (_, b)) in ours.state().iter().zip(theirs.state()) {
            assert_close(&values(a), &values(b), &format!("{kind:?}, {name}"));
        }
    }
}

#[test]
fn bf16_weights_are_rounded_masters_and_bf16_gradients_are_not_rounded_again() {
    for kind in OPTIMIZERS.iter().copied() {
        let (rounded, exact) = (Model::table_and_bias(Kind::BFloat16), Model::table_and_bias(Kind::Float));
        let (mut ours, mut theirs) = (rounded.optimizer(&settings(kind)), exact.optimizer(&settings(kind)));
        for step in 0..3 {
            let make = |stream, shape: &[i64]| generated(stream + step, shape).to_kind(Kind::BFloat16);
            let (table, bias) = (make(100, &[3000, 48]), make(200, &[77]));
            let same = [dense(table.to_kind(Kind::Float)), dense(bias.to_kind(Kind::Float))];
            ours.step_weights(&rounded.weights(), &[dense(table), dense(bias)], &scale(step)).expect("a step");
            theirs.step_weights(&exact.weights(), &same, &scale(step)).expect("a step");
        }
        for ((master, compute), exact) in rounded.masters.iter().zip(&rounded.computes).zip(&exact.masters) {
            assert_same_bits(master, exact, &format!("{kind:?}: bf16 and fp32 gradients of the same value"));
            assert_same_bits(compute, &master.to_kind(Kind::BFloat16), &format!("{kind:?}: the compute weight"));
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let coefficients = Fp32Coefficients {
        gradient_scale: 0.3,
        coupled_decay: 0.01,
        weight_factor: 0.999,
        one_minus_beta1: 0.1,
        beta2: 0.999,
        one_minus_beta2: 0.001,
        rsqrt_bias_correction2: 3.1,
        epsilon: 1e-8,
        step_size: 1e-3,
    };
    let start = |stream| values(&generated(stream, &[1003]));
    let gradient = start(3);
    let outcomes: Vec<_> = Isa::available()
        .into_iter()
        .map(|isa| {
            let (mut master, mut exp_avg, mut exp_avg_sq) = (start(0), start(1), start(2));
            exp_avg_sq.iter_mut().for_each(|average| *average = average.abs());
            let mut compute = vec![Bf16(0); 1003];
            for gradient_chunk in [GradientChunk::Fp32(&gradient), GradientChunk::Bf16(&[Bf16(0x3c21); 1003])] {
                let chunk = ParameterChunk {
                    master: &mut master,
                    exp_avg: &mut exp_avg,
                    exp_avg_sq: &mut exp_avg_sq,
                    compute: Some(&mut compute),
                };
                adam_kernel::run(AdamJob { coefficients, chunk, gradient: gradient_chunk }, isa);
            }
            let bits = [master, exp_avg, exp_avg_sq].concat().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            (isa, bits, compute)
        })
        .collect();
    for (isa, bits, compute) in &outcomes {
        assert!(compute.iter().any(|rounded| *rounded != Bf16(0)));
        assert!((bits, compute) == (&outcomes[0].1, &outcomes[0].2), "{isa:?} against {:?}", outcomes[0].0);
    }
}

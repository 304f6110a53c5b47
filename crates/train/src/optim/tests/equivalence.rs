//! Different ways to compute the same step have equal results: row and dense gradients, fused kernel and libtorch
//! operations, bf16 and fp32, each instruction set.

use kernels::element::{Bf16, Element};
use kernels::isa::Isa;

use super::super::adam_kernel::{self, AdamJob, Fp32Coefficients, GradientChunk, RowsJob, WeightChunk};
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

/// How a chunk gets its gradient.
#[derive(Clone, Copy)]
enum Format<'a> {
    Dense(GradientChunk<'a>),
    Rows { ids: &'a [i64], values: &'a [f32] },
}

/// One chunk of weights, with the averages and gradients of a step.
struct Chunk {
    master: Vec<f32>,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
    compute: Vec<Bf16>,
}

impl Chunk {
    const ROWS: usize = 59;
    const WIDTH: usize = 17;
    /// Not a multiple of the block size.
    const LEN: usize = Self::ROWS * Self::WIDTH;

    fn new() -> Self {
        let start = |stream| values(&generated(stream, &[Self::LEN as i64]));
        let exp_avg_sq = start(2).iter().map(|average| average.abs()).collect();
        Self { master: start(0), exp_avg: start(1), exp_avg_sq, compute: vec![Bf16(0); Self::LEN] }
    }

    fn weights(&mut self) -> WeightChunk<'_> {
        WeightChunk {
            master: &mut self.master,
            exp_avg: &mut self.exp_avg,
            exp_avg_sq: &mut self.exp_avg_sq,
            compute: Some(&mut self.compute),
        }
    }

    fn step(&mut self, coefficients: Fp32Coefficients, gradient: Format, isa: Isa) {
        let chunk = self.weights();
        match gradient {
            Format::Dense(gradient) => adam_kernel::run(AdamJob { coefficients, chunk, gradient }, isa),
            Format::Rows { ids, values } => {
                // The rows with a gradient, then those without one.
                let (seen, steps_done, history) = (&mut [true; Self::ROWS], &mut [0; Self::ROWS], &[coefficients]);
                let (width, values) = (Self::WIDTH, Some(values));
                let job = RowsJob { chunk, first: 0, width, ids, values, seen, steps_done, history };
                adam_kernel::run_rows(job, isa);
                let (seen, steps_done) = (&mut [true; Self::ROWS], &mut [0; Self::ROWS]);
                ids.iter().for_each(|id| steps_done[*id as usize] = 1);
                let all: Vec<i64> = (0..Self::ROWS as i64).collect();
                let (chunk, ids) = (self.weights(), &all[..]);
                let job = RowsJob { chunk, first: 0, width, ids, values: None, seen, steps_done, history };
                adam_kernel::run_rows(job, isa);
            }
        }
    }

    /// The step by its definition, in fp64: weights and averages.
    fn expected(&self, coefficients: Fp32Coefficients, gradient: &[f32]) -> [Vec<f64>; 3] {
        let c = |coefficient: fn(&Fp32Coefficients) -> f32| f64::from(coefficient(&coefficients));
        let mut expected = [vec![], vec![], vec![]];
        for (i, gradient) in gradient.iter().enumerate() {
            let [w, m, v] = [&self.master, &self.exp_avg, &self.exp_avg_sq].map(|list| f64::from(list[i]));
            let g = f64::from(*gradient) * c(|c| c.gradient_scale) + c(|c| c.coupled_decay) * w;
            let m = m + c(|c| c.one_minus_beta1) * (g - m);
            let v = c(|c| c.beta2) * v + c(|c| c.one_minus_beta2) * g * g;
            let denominator = v.sqrt() * c(|c| c.rsqrt_bias_correction2) + c(|c| c.epsilon);
            let w = w * c(|c| c.weight_factor) - c(|c| c.step_size) * m / denominator;
            expected.iter_mut().zip([w, m, v]).for_each(|(list, value)| list.push(value));
        }
        expected
    }
}

/// Each format of gradients, as AdamW (decoupled decay) and Adam (coupled) use it.
#[test]
fn every_instruction_set_steps_by_the_definition_and_to_the_same_bits() {
    let adamw = Fp32Coefficients {
        gradient_scale: 0.3,
        coupled_decay: 0.0,
        weight_factor: 0.999,
        one_minus_beta1: 0.1,
        beta2: 0.999,
        one_minus_beta2: 0.001,
        rsqrt_bias_correction2: 3.1,
        epsilon: 1e-8,
        step_size: 1e-3,
    };
    let adam = Fp32Coefficients { coupled_decay: 0.01, weight_factor: 1.0, ..adamw };
    let fp32 = values(&generated(3, &[Chunk::LEN as i64]));
    let bf16: Vec<Bf16> = fp32.iter().map(|value| Bf16::from_f32(*value)).collect();
    let rounded: Vec<f32> = bf16.iter().map(|value| value.to_f32()).collect();
    // Every third row of the table has a gradient.
    let ids: Vec<i64> = (0..Chunk::ROWS as i64).step_by(3).collect();
    let of_rows = &fp32[..ids.len() * Chunk::WIDTH];
    let mut dense = vec![0.0; Chunk::LEN];
    for (id, gradient) in ids.iter().zip(of_rows.chunks_exact(Chunk::WIDTH)) {
        dense[*id as usize * Chunk::WIDTH..][..Chunk::WIDTH].copy_from_slice(gradient);
    }
    for coefficients in [adamw, adam] {
        let formats = [
            ("fp32", Format::Dense(GradientChunk::Fp32(&fp32)), &fp32),
            ("bf16", Format::Dense(GradientChunk::Bf16(&bf16)), &rounded),
            ("rows", Format::Rows { ids: &ids, values: of_rows }, &dense),
        ];
        for (format, gradient, as_fp32) in formats {
            let expected = Chunk::new().expected(coefficients, as_fp32);
            let mut first: Option<Vec<u32>> = None;
            for isa in Isa::available() {
                let mut chunk = Chunk::new();
                chunk.step(coefficients, gradient, isa);
                let ours = [&chunk.master, &chunk.exp_avg, &chunk.exp_avg_sq];
                for (ours, expected) in ours.iter().zip(&expected) {
                    let close = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() <= 3e-7 * b.abs().max(0.01);
                    assert!(ours.iter().zip(expected).all(close), "{format} gradients on {isa:?}");
                }
                let rounds = |(weight, rounded): (&f32, &Bf16)| Bf16::from_f32(*weight) == *rounded;
                assert!(chunk.master.iter().zip(&chunk.compute).all(rounds), "{format} gradients on {isa:?}");
                let bits: Vec<u32> = ours.into_iter().flatten().map(|value| value.to_bits()).collect();
                assert!(first.get_or_insert_with(|| bits.clone()) == &bits, "{format} gradients on {isa:?}");
            }
        }
    }
}

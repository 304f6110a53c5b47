//! Each kernel at BERT-base's sizes: 16 sentences, 400 tokens. `cargo bench -p kernels`.

use divan::{Bencher, black_box, counter::BytesCount};
use kernels::activation::{self, Activation};
use kernels::attention::{self, Gradients, Projections, Shape, Vectors, VectorsMut};
use kernels::columns;
use kernels::dropout::Mask;
use kernels::element::{Bf16, Element};
use kernels::norm::{self, Masks, Parameters, Saved};

fn main() {
    divan::main();
}

const ROWS: usize = 400;
const WIDTH: usize = 768;

fn values<T: Element>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::from_f32(((i * 7919) % 1009) as f32 / 500.0 - 1.0)).collect()
}

#[divan::bench(types = [f32, Bf16])]
fn gelu<T: Element>(bencher: Bencher) {
    let (x, mut y) = (values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH));
    bencher
        .counter(BytesCount::of_many::<T>(2 * x.len()))
        .bench_local(|| activation::forward(Activation::Gelu, black_box(&x), &mut y));
}

#[divan::bench(types = [f32, Bf16])]
fn gelu_backward<T: Element>(bencher: Bencher) {
    let (x, mut dy, mut y) =
        (values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH));
    bencher
        .counter(BytesCount::of_many::<T>(4 * x.len()))
        .bench_local(|| activation::backward(Activation::Gelu, black_box(&x), &mut dy, &mut y));
}

#[divan::bench(types = [f32, Bf16])]
fn dropout_residual_norm<T: Element>(bencher: Bencher) {
    let n = ROWS * WIDTH;
    let (dense, residual, mut y, mut x) = (values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n));
    let (mut mean, mut rstd, weight) = (vec![0.0; ROWS], vec![0.0; ROWS], vec![1.0; WIDTH]);
    let parameters = Parameters { weight: &weight, bias: &weight, eps: 1e-12 };
    let masks = Masks { before: Mask::new(1, 0.1), after: None };
    bencher.counter(BytesCount::of_many::<T>(4 * n)).bench_local(|| {
        let saved = Some((&mut x[..], &mut mean[..], &mut rstd[..]));
        norm::forward(black_box(&dense), Some(&residual), parameters, masks, &mut y, saved);
    });
}

#[divan::bench(types = [f32, Bf16])]
fn dropout_residual_norm_backward<T: Element>(bencher: Bencher) {
    let n = ROWS * WIDTH;
    let (dy, dy_residual, x, mut dx, mut ddense) =
        (values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n));
    let (mean, rstd, weight) = (vec![0.0; ROWS], vec![1.0; ROWS], vec![1.0; WIDTH]);
    let (mut dweight, mut dbias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    let masks = Masks { before: Mask::new(1, 0.1), after: None };
    bencher.counter(BytesCount::of_many::<T>(5 * n)).bench_local(|| {
        let saved = Saved { x: &x[..], mean: &mean, rstd: &rstd };
        let gradients =
            norm::Gradients { x: &mut dx, dense: Some(&mut ddense), weight: &mut dweight, bias: &mut dbias };
        norm::backward(black_box(&dy), Some(&dy_residual), saved, &weight, masks, gradients);
    });
}

#[divan::bench(types = [f32, Bf16])]
fn column_sums<T: Element>(bencher: Bencher) {
    let (x, mut sums) = (values::<T>(ROWS * 3 * WIDTH), vec![0.0; 3 * WIDTH]);
    bencher.counter(BytesCount::of_many::<T>(x.len())).bench_local(|| columns::sums(black_box(&x), &mut sums));
}

/// Sixteen sentences of 25 tokens (the treebank's mean), or one of 400.
const CUTS: [usize; 2] = [16, 1];

fn limits(sentences: usize) -> Vec<usize> {
    (0..=sentences).map(|sentence| sentence * (ROWS / sentences)).collect()
}

fn projections<T: Element>(qkv: &[T]) -> Projections<'_, T> {
    let part = |index| Vectors { data: qkv, stride: 3 * WIDTH, offset: index * WIDTH };
    Projections { query: part(0), key: part(1), value: part(2) }
}

#[divan::bench(types = [f32, Bf16], args = CUTS)]
fn attention_forward<T: Element>(bencher: Bencher, sentences: usize) {
    let (qkv, mut context, mut log_sums) =
        (values::<T>(ROWS * 3 * WIDTH), values::<T>(ROWS * WIDTH), vec![0.0; ROWS * 12]);
    let limits = limits(sentences);
    let shape = Shape { queries: &limits, keys: &limits, heads: 12, head_size: 64 };
    bencher.bench_local(|| {
        attention::forward(projections(black_box(&qkv)), shape, Mask::new(1, 0.1), &mut context, Some(&mut log_sums));
    });
}

#[divan::bench(types = [f32, Bf16], args = CUTS)]
fn attention_backward<T: Element>(bencher: Bencher, sentences: usize) {
    let (qkv, dcontext, mut dqkv) =
        (values::<T>(ROWS * 3 * WIDTH), values::<T>(ROWS * WIDTH), values::<T>(ROWS * 3 * WIDTH));
    let (limits, log_sums) = (limits(sentences), vec![3.0; ROWS * 12]);
    let shape = Shape { queries: &limits, keys: &limits, heads: 12, head_size: 64 };
    bencher.bench_local(|| {
        let gradients =
            Gradients::Fused(VectorsMut { data: &mut dqkv, stride: 3 * WIDTH, offsets: &[0, WIDTH, 2 * WIDTH] });
        attention::backward(projections(black_box(&qkv)), shape, Mask::new(1, 0.1), &log_sums, &dcontext, gradients);
    });
}

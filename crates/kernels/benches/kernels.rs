//! Each kernel at BERT-base's sizes: 16 sentences, 400 tokens. `cargo bench -p kernels`.

use std::any::type_name;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kernels::activation::{self, ActivationFunction};
use kernels::attention::{self, AttentionGradients, AttentionShape, Projections, Vectors, VectorsMut};
use kernels::columns;
use kernels::dropout::Mask;
use kernels::element::{Bf16, Element};
use kernels::matmul::{self, Factor, Matrix};
use kernels::norm::{self, Masks, NormParameters, SavedNorm};

fn main() {
    // Cargo passes `--bench`, and a user may pass part of a name.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    println!("{:52}{:>12}{:>12}{:>10}", "", "fastest", "median", "GB/s");
    all::<f32>(&filter);
    all::<Bf16>(&filter);
    println!("{:52}{:>12}{:>12}{:>10}", "", "fastest", "median", "GFLOP/s");
    products::<f32>(&filter);
    products::<Bf16>(&filter);
}

/// Measures one kernel and prints it under a name.
type Bench = fn(&str);

fn all<T: Element>(filter: &str) {
    let benches: [(&str, Bench); 9] = [
        ("gelu", gelu::<T>),
        ("gelu_backward", gelu_backward::<T>),
        ("dropout_residual_norm", dropout_residual_norm::<T>),
        ("dropout_residual_norm_backward", dropout_residual_norm_backward::<T>),
        ("column_sums", column_sums::<T>),
        ("attention_forward, 16 sentences", |name| attention_forward::<T>(name, 16)),
        ("attention_forward, 1 sentence", |name| attention_forward::<T>(name, 1)),
        ("attention_backward, 16 sentences", |name| attention_backward::<T>(name, 16)),
        ("attention_backward, 1 sentence", |name| attention_backward::<T>(name, 1)),
    ];
    let element = type_name::<T>().rsplit("::").next().unwrap_or_default();
    for (name, bench) in benches {
        let name = format!("{name}, {element}");
        if name.contains(filter) {
            bench(&name);
        }
    }
}

/// Calls `run` for half a second and prints its times; `bytes` is what one call reads and writes.
fn measure(name: &str, bytes: usize, mut run: impl FnMut()) {
    let start = Instant::now();
    let mut times = Vec::new();
    run();
    while times.len() < 10 || start.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
    }
    times.sort();
    let (fastest, median) = (times[0], times[times.len() / 2]);
    let rate = bytes as f64 / median.as_secs_f64() / 1e9;
    println!("{name:52}{:>12}{:>12}{rate:>10.1}", format!("{fastest:.1?}"), format!("{median:.1?}"));
}

/// The bytes of `len` elements.
fn bytes<T>(len: usize) -> usize {
    len * size_of::<T>()
}

const ROWS: usize = 400;
const WIDTH: usize = 768;

fn values<T: Element>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::from_f32(((i * 7919) % 1009) as f32 / 500.0 - 1.0)).collect()
}

/// The products of a feed-forward layer, forward and backward, of the sizes of BERT-base and MiniLM. Their rate is in GFLOP/s.
fn products<T: Factor>(filter: &str) {
    let element = type_name::<T>().rsplit("::").next().unwrap_or_default();
    for width in [WIDTH, 384] {
        let (x, weight, dy) = (values::<T>(ROWS * width), values(4 * width * width), values(ROWS * 4 * width));
        let x = Matrix::new(&x, ROWS, width);
        let weight = Matrix::new(&weight, 4 * width, width);
        let dy = Matrix::new(&dy, ROWS, 4 * width);
        let cases = [("x W^T", x, weight.transposed()), ("dy W", dy, weight), ("dy^T x", dy.transposed(), x)];
        for (name, a, b) in cases {
            let name = format!("matmul, {name}, {width} wide, {element}");
            if name.contains(filter) {
                let mut c = vec![T::default(); a.rows() * b.columns()];
                // Two operations for each term, of which the table shows billions a second.
                let operations = 2 * ROWS * 4 * width * width;
                measure(&name, operations, || matmul::multiply(black_box(a), black_box(b), None, &mut c));
            }
        }
    }
}

fn gelu<T: Element>(name: &str) {
    let (x, mut y) = (values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH));
    measure(name, bytes::<T>(2 * x.len()), || activation::forward(ActivationFunction::Gelu, black_box(&x), &mut y));
}

fn gelu_backward<T: Element>(name: &str) {
    let (x, mut dy, mut y) =
        (values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH), values::<T>(ROWS * 4 * WIDTH));
    measure(name, bytes::<T>(4 * x.len()), || {
        activation::backward(ActivationFunction::Gelu, black_box(&x), &mut dy, &mut y)
    });
}

fn dropout_residual_norm<T: Element>(name: &str) {
    let n = ROWS * WIDTH;
    let (dense, residual, mut y, mut x) = (values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n));
    let (mut mean, mut rstd, weight) = (vec![0.0; ROWS], vec![0.0; ROWS], vec![1.0; WIDTH]);
    let parameters = NormParameters { weight: &weight, bias: &weight, eps: 1e-12 };
    let masks = Masks { before: Mask::new(1, 0.1), after: None };
    measure(name, bytes::<T>(4 * n), || {
        let saved = Some((&mut x[..], &mut mean[..], &mut rstd[..]));
        norm::forward(black_box(&dense), Some(&residual), parameters, masks, &mut y, saved);
    });
}

fn dropout_residual_norm_backward<T: Element>(name: &str) {
    let n = ROWS * WIDTH;
    let (dy, dy_residual, x, mut dx, mut ddense) =
        (values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n), values::<T>(n));
    let (mean, rstd, weight) = (vec![0.0; ROWS], vec![1.0; ROWS], vec![1.0; WIDTH]);
    let (mut dweight, mut dbias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    let masks = Masks { before: Mask::new(1, 0.1), after: None };
    measure(name, bytes::<T>(5 * n), || {
        let saved = SavedNorm { x: &x[..], mean: &mean, rstd: &rstd };
        let gradients =
            norm::NormGradients { x: &mut dx, dense: Some(&mut ddense), weight: &mut dweight, bias: &mut dbias };
        norm::backward(black_box(&dy), Some(&dy_residual), saved, &weight, masks, gradients);
    });
}

fn column_sums<T: Element>(name: &str) {
    let (x, mut sums) = (values::<T>(ROWS * 3 * WIDTH), vec![0.0; 3 * WIDTH]);
    measure(name, bytes::<T>(x.len()), || columns::sums(black_box(&x), &mut sums));
}

/// Where the sentences begin and end: sixteen of 25 tokens (the treebank's mean), or one of 400.
fn cu_seqlens(sentences: usize) -> Vec<usize> {
    (0..=sentences).map(|sentence| sentence * (ROWS / sentences)).collect()
}

fn projections<T: Element>(qkv: &[T]) -> Projections<'_, T> {
    let part = |index| Vectors { data: qkv, stride: 3 * WIDTH, offset: index * WIDTH };
    Projections { query: part(0), key: part(1), value: part(2) }
}

fn attention_forward<T: Element>(name: &str, sentences: usize) {
    let (qkv, mut context, mut log_sums) =
        (values::<T>(ROWS * 3 * WIDTH), values::<T>(ROWS * WIDTH), vec![0.0; ROWS * 12]);
    let cu_seqlens = cu_seqlens(sentences);
    let shape = AttentionShape { cu_seqlens_q: &cu_seqlens, cu_seqlens_k: &cu_seqlens, heads: 12, head_size: 64 };
    measure(name, bytes::<T>(4 * ROWS * WIDTH), || {
        attention::forward(projections(black_box(&qkv)), shape, Mask::new(1, 0.1), &mut context, Some(&mut log_sums));
    });
}

fn attention_backward<T: Element>(name: &str, sentences: usize) {
    let (qkv, dcontext, mut dqkv) =
        (values::<T>(ROWS * 3 * WIDTH), values::<T>(ROWS * WIDTH), values::<T>(ROWS * 3 * WIDTH));
    let (cu_seqlens, log_sums) = (cu_seqlens(sentences), vec![3.0; ROWS * 12]);
    let shape = AttentionShape { cu_seqlens_q: &cu_seqlens, cu_seqlens_k: &cu_seqlens, heads: 12, head_size: 64 };
    measure(name, bytes::<T>(7 * ROWS * WIDTH), || {
        let gradients = AttentionGradients::Fused(VectorsMut {
            data: &mut dqkv,
            stride: 3 * WIDTH,
            offsets: &[0, WIDTH, 2 * WIDTH],
        });
        attention::backward(projections(black_box(&qkv)), shape, Mask::new(1, 0.1), &log_sums, &dcontext, gradients);
    });
}

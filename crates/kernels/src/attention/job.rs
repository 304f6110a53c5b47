//! One head of one sentence, forward and backward.

use std::cell::RefCell;

use super::{AttentionShape, Projections, SentenceHead, Vectors};
use crate::dropout::Mask;
use crate::element::Element;
use crate::isa::{Isa, LANES, Supported, fma};
use crate::math::exp;
use crate::multiversion;
use crate::parallel::SharedSlice;
use crate::product::{Size, Strides, multiply, transpose};

/// Queries whose scores are computed at a time.
const QUERY_BLOCK: usize = 32;

/// Where the vectors of a head are written: the slice, its row stride and the offset of the first head.
type HeadTarget<'a, T> = (&'a SharedSlice<'a, T>, usize, usize);

pub(super) struct AttentionForward<'a, T> {
    pub projections: Projections<'a, T>,
    pub shape: AttentionShape<'a>,
    pub sentence_head: SentenceHead,
    pub mask: Option<Mask>,
    pub context: &'a SharedSlice<'a, T>,
    pub log_sums: Option<&'a SharedSlice<'a, f32>>,
}

pub(super) struct AttentionBackward<'a, T> {
    pub projections: Projections<'a, T>,
    pub shape: AttentionShape<'a>,
    pub sentence_head: SentenceHead,
    pub mask: Option<Mask>,
    pub log_sums: &'a [f32],
    pub dcontext: &'a [T],
    pub query: HeadTarget<'a, T>,
    pub key: HeadTarget<'a, T>,
    pub value: HeadTarget<'a, T>,
}

/// A thread's matrices, in memory that is reused. The row width is the head size or the sentence length, rounded up to
/// a multiple of [`LANES`].
#[derive(Default)]
struct Scratch {
    query: Vec<f32>,
    key: Vec<f32>,
    key_transposed: Vec<f32>,
    value: Vec<f32>,
    value_transposed: Vec<f32>,
    dcontext: Vec<f32>,
    scores: Vec<f32>,
    dscores: Vec<f32>,
    mask: Vec<f32>,
    out: Vec<f32>,
    dkey: Vec<f32>,
    dvalue: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs one job in the scratch memory of this thread.
pub(super) fn run_forward<T: Element>(job: AttentionForward<T>, isa: Isa) {
    SCRATCH.with_borrow_mut(|scratch| forward((job, scratch), isa));
}

/// Runs one job in the scratch memory of this thread.
pub(super) fn run_backward<T: Element>(job: AttentionBackward<T>, isa: Isa) {
    SCRATCH.with_borrow_mut(|scratch| backward((job, scratch), isa));
}

// The scratch memory is an argument: a closure inside of these functions would be compiled without the wider vectors.
multiversion!(fn forward<T: Element>((AttentionForward<'_, T>, &mut Scratch)) = forward_inline);
multiversion!(fn backward<T: Element>((AttentionBackward<'_, T>, &mut Scratch)) = backward_inline);

#[inline(always)]
fn forward_inline<T: Element, const ISA: u8>(
    (job, scratch): (AttentionForward<T>, &mut Scratch),
    supported: Supported<ISA>,
) {
    let AttentionForward { projections, shape, sentence_head, mask, context, log_sums } = job;
    let SentenceHead { head, queries: (first_query, queries), keys: (first_key, keys) } = sentence_head;
    let (size, width, length) = (shape.head_size, padded(shape.head_size), padded(keys));
    let head_offset = head * size;
    let scale = 1.0 / (size as f32).sqrt();
    read::<T>(projections.key, (first_key, keys), (head_offset, size), 1.0, &mut scratch.key);
    transpose(supported, &scratch.key, (keys, size), resized(&mut scratch.key_transposed, size * length));
    read::<T>(projections.value, (first_key, keys), (head_offset, size), 1.0, &mut scratch.value);
    for start in (0..queries).step_by(QUERY_BLOCK) {
        let block = QUERY_BLOCK.min(queries - start);
        let first = first_query + start;
        read::<T>(projections.query, (first, block), (head_offset, size), scale, &mut scratch.query);
        let scores = resized(&mut scratch.scores, block * length);
        let by_row = Strides { row: width, column: 1 };
        multiply(
            supported,
            Size { m: block, n: length, k: size },
            &scratch.query,
            by_row,
            &scratch.key_transposed,
            scores,
            false,
        );
        for (i, scores) in scores.chunks_exact_mut(length).enumerate() {
            scores[keys..].fill(f32::NEG_INFINITY);
            let log_sum = softmax::<ISA>(scores);
            let row = (first + i) * shape.heads + head;
            if let Some(log_sums) = log_sums {
                // SAFETY: only this job writes this head of this row: there is one job for each head of a sentence, and
                // `AttentionShape::check` has made sure that sentences do not overlap.
                unsafe { log_sums.slice(row, 1)[0] = log_sum };
            }
            if let Some(mask) = mask {
                let factors = resized(&mut scratch.mask, length);
                mask.row(row as u64, factors);
                for (p, factor) in scores.iter_mut().zip(factors) {
                    *p *= *factor;
                }
            }
        }
        let out = resized(&mut scratch.out, block * width);
        let by_row = Strides { row: length, column: 1 };
        multiply(supported, Size { m: block, n: width, k: keys }, scores, by_row, &scratch.value, out, false);
        write(out, (context, shape.width(), 0), (first, block), (head_offset, size), 1.0);
    }
}

#[inline(always)]
fn backward_inline<T: Element, const ISA: u8>(
    (job, scratch): (AttentionBackward<T>, &mut Scratch),
    supported: Supported<ISA>,
) {
    let AttentionBackward { projections, shape, sentence_head, mask, log_sums, dcontext, query, key, value } = job;
    let SentenceHead { head, queries: (first_query, queries), keys: (first_key, keys) } = sentence_head;
    let (size, width, length) = (shape.head_size, padded(shape.head_size), padded(keys));
    let head_offset = head * size;
    let scale = 1.0 / (size as f32).sqrt();
    read::<T>(projections.key, (first_key, keys), (head_offset, size), 1.0, &mut scratch.key);
    transpose(supported, &scratch.key, (keys, size), resized(&mut scratch.key_transposed, size * length));
    read::<T>(projections.value, (first_key, keys), (head_offset, size), 1.0, &mut scratch.value);
    transpose(supported, &scratch.value, (keys, size), resized(&mut scratch.value_transposed, size * length));
    let dkey = resized(&mut scratch.dkey, keys * width);
    let dvalue = resized(&mut scratch.dvalue, keys * width);
    dkey.fill(0.0);
    dvalue.fill(0.0);
    let dcontext = Vectors { data: dcontext, stride: shape.width(), offset: 0 };
    for start in (0..queries).step_by(QUERY_BLOCK) {
        let block = QUERY_BLOCK.min(queries - start);
        let first = first_query + start;
        read::<T>(projections.query, (first, block), (head_offset, size), scale, &mut scratch.query);
        read::<T>(dcontext, (first, block), (head_offset, size), 1.0, &mut scratch.dcontext);
        let scores = resized(&mut scratch.scores, block * length);
        let dscores = resized(&mut scratch.dscores, block * length);
        let by_row = Strides { row: width, column: 1 };
        let to_keys = Size { m: block, n: length, k: size };
        multiply(supported, to_keys, &scratch.query, by_row, &scratch.key_transposed, scores, false);
        multiply(supported, to_keys, &scratch.dcontext, by_row, &scratch.value_transposed, dscores, false);
        let rows = scores.chunks_exact_mut(length).zip(dscores.chunks_exact_mut(length));
        for (i, (p, dp)) in rows.enumerate() {
            let row = (first + i) * shape.heads + head;
            // The padding after the keys is finite, and its results are never read.
            let log_sum = log_sums[row];
            for p in p.iter_mut() {
                *p = exp::<ISA>(*p - log_sum);
            }
            // From here on `p` holds the probabilities after dropout, and `dp` the gradient of the scores.
            if let Some(mask) = mask {
                let factors = resized(&mut scratch.mask, length);
                mask.row(row as u64, factors);
                for (dp, factor) in dp.iter_mut().zip(factors.iter()) {
                    *dp *= *factor;
                }
                let total = dot::<ISA>(p, dp);
                for ((p, dp), factor) in p.iter_mut().zip(dp).zip(factors) {
                    *dp = *p * (*dp - total);
                    *p *= *factor;
                }
            } else {
                let total = dot::<ISA>(p, dp);
                for (p, dp) in p.iter().zip(dp) {
                    *dp = *p * (*dp - total);
                }
            }
        }
        let by_column = Strides { row: 1, column: length };
        let of_keys = Size { m: keys, n: width, k: block };
        multiply(supported, of_keys, scores, by_column, &scratch.dcontext, dvalue, true);
        // The queries are scaled already.
        multiply(supported, of_keys, dscores, by_column, &scratch.query, dkey, true);
        let out = resized(&mut scratch.out, block * width);
        let by_row = Strides { row: length, column: 1 };
        multiply(supported, Size { m: block, n: width, k: keys }, dscores, by_row, &scratch.key, out, false);
        write(out, query, (first, block), (head_offset, size), scale);
    }
    write(dkey, key, (first_key, keys), (head_offset, size), 1.0);
    write(dvalue, value, (first_key, keys), (head_offset, size), 1.0);
}

/// Turns scores, a multiple of [`LANES`], into probabilities; returns their log-sum-exp.
#[inline(always)]
fn softmax<const ISA: u8>(scores: &mut [f32]) -> f32 {
    let blocks = scores.as_chunks_mut::<LANES>().0;
    let mut max = [f32::NEG_INFINITY; LANES];
    for block in blocks.iter() {
        for lane in 0..LANES {
            max[lane] = if block[lane] > max[lane] { block[lane] } else { max[lane] };
        }
    }
    let max = reduce_lanes(max, |a, b| if a > b { a } else { b });
    let mut sums = [0f32; LANES];
    for block in blocks.iter_mut() {
        let mut values = *block;
        for value in &mut values {
            *value = exp::<ISA>(*value - max);
        }
        for lane in 0..LANES {
            sums[lane] += values[lane];
        }
        *block = values;
    }
    let sum = reduce_lanes(sums, |a, b| a + b);
    let factor = 1.0 / sum;
    for block in blocks {
        for value in block {
            *value *= factor;
        }
    }
    max + sum.ln()
}

/// The dot product of two vectors whose length is a multiple of [`LANES`].
#[inline(always)]
fn dot<const ISA: u8>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] = fma::<ISA>(a[lane], b[lane], sums[lane]);
        }
    }
    reduce_lanes(sums, |a, b| a + b)
}

#[inline(always)]
fn reduce_lanes(mut lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = combine(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

fn padded(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

/// The first `len` elements, after growing the vector if needed. They keep their previous values.
#[inline(always)]
fn resized(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}

/// Reads the vectors of one head in some rows, `[rows, padded size]`, times a factor, and pads them with zeros.
#[inline(always)]
fn read<T: Element>(
    from: Vectors<T>,
    (first, rows): (usize, usize),
    (head_offset, size): (usize, usize),
    factor: f32,
    to: &mut Vec<f32>,
) {
    let width = padded(size);
    for (row, to) in resized(to, rows * width).chunks_exact_mut(width).enumerate() {
        let from = &from.data[(first + row) * from.stride + from.offset + head_offset..][..size];
        let (used, unused) = to.split_at_mut(size);
        for (to, from) in used.iter_mut().zip(from) {
            *to = from.to_f32() * factor;
        }
        unused.fill(0.0);
    }
}

/// Writes the vectors of one head in some rows, times a factor.
#[inline(always)]
fn write<T: Element>(
    from: &[f32],
    (to, stride, offset): HeadTarget<T>,
    (first, rows): (usize, usize),
    (head_offset, size): (usize, usize),
    factor: f32,
) {
    let width = padded(size);
    for (row, from) in from.chunks_exact(width).take(rows).enumerate() {
        // SAFETY: only this job writes this head of this row, through one slice at a time: there is one job for each head
        // of a sentence, sentences do not overlap, and neither do the offsets of several gradients in one row.
        let to = unsafe { to.slice((first + row) * stride + offset + head_offset, size) };
        for (to, from) in to.iter_mut().zip(from) {
            *to = T::from_f32(from * factor);
        }
    }
}

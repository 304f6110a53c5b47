//! Layer normalization over the last dimension, `y = (x - mean) * rstd * weight + bias` (Ba, Kiros and Hinton 2016),
//! fused with the operations around it: `x = dropout(dense) + residual` before it, as in an encoder layer, or dropout
//! after it, as in the embeddings.

use crate::dropout::Mask;
use crate::element::Element;
use crate::isa::{Isa, LANES, Supported, fma};
use crate::multiversion;
use crate::parallel::{self, SharedSlice};

/// Rows that one thread processes at a time. It sums their gradients of weight and bias, so the rounding of these
/// depends on this number.
const ROWS_PER_JOB: usize = 32;

/// The norm's parameters, `D` each, and its epsilon.
#[derive(Debug, Clone, Copy)]
pub struct NormParameters<'a> {
    /// Scale.
    pub weight: &'a [f32],
    /// Shift.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

/// Dropout around the norm.
#[derive(Debug, Clone, Copy, Default)]
pub struct Masks {
    /// Of the norm's input, before the residual is added.
    pub before: Option<Mask>,
    /// Of its output.
    pub after: Option<Mask>,
}

/// What [`backward`] needs of a forward pass.
#[derive(Debug)]
pub struct SavedNorm<'a, T> {
    /// `[R, D]`: the norm's input.
    pub x: &'a [T],
    /// `[R]`.
    pub mean: &'a [f32],
    /// `[R]`: one over the standard deviation.
    pub rstd: &'a [f32],
}

/// `y = dropout(norm(dropout(dense) + residual))`, all `[R, D]`. `saved` receives
/// `x`, `mean` and `rstd` for [`backward`]; without a gradient it may be `None`.
///
/// # Panics
/// If the lengths don't match.
pub fn forward<T: Element>(
    dense: &[T],
    residual: Option<&[T]>,
    parameters: NormParameters,
    masks: Masks,
    y: &mut [T],
    saved: Option<(&mut [T], &mut [f32], &mut [f32])>,
) {
    let width = parameters.weight.len();
    assert!(width > 0 && parameters.bias.len() == width && dense.len().is_multiple_of(width));
    assert!(y.len() == dense.len() && residual.is_none_or(|residual| residual.len() == dense.len()));
    let isa = Isa::selected();
    let chunk = ROWS_PER_JOB * width;
    let mut saved = saved.map(|(x, mean, rstd)| {
        assert!(x.len() == dense.len() && mean.len() == dense.len() / width && rstd.len() == mean.len());
        x.chunks_mut(chunk).zip(mean.chunks_mut(ROWS_PER_JOB)).zip(rstd.chunks_mut(ROWS_PER_JOB))
    });
    let parts = dense.chunks(chunk).zip(y.chunks_mut(chunk)).enumerate();
    let jobs = parts.map(|(part, (dense, y))| NormForward {
        first_row: part * ROWS_PER_JOB,
        dense,
        residual: residual.map(|residual| &residual[part * chunk..][..dense.len()]),
        parameters,
        masks,
        y,
        saved: saved.as_mut().and_then(Iterator::next).map(|((x, mean), rstd)| (x, mean, rstd)),
    });
    parallel::for_each(jobs.collect(), |job| run_forward(job, isa));
}

/// What [`backward`] writes.
#[derive(Debug)]
pub struct NormGradients<'a, T> {
    /// `[R, D]`: of the norm's input, which is that of the residual.
    pub x: &'a mut [T],
    /// `[R, D]`: of `dense`. `None` without dropout before the norm: then it equals that of `x`.
    pub dense: Option<&'a mut [T]>,
    /// `[D]`.
    pub weight: &'a mut [f32],
    /// `[D]`.
    pub bias: &'a mut [f32],
}

/// The gradients from that of `y`, which is `dy`, plus `dy_residual` where `y` is also used as a residual.
///
/// With `g = dy * weight` and `xhat = (x - mean) * rstd`, `dx = rstd * (g - mean(g) - xhat * mean(g * xhat))`.
///
/// # Panics
/// If the lengths don't match.
pub fn backward<T: Element>(
    dy: &[T],
    dy_residual: Option<&[T]>,
    saved: SavedNorm<T>,
    weight: &[f32],
    masks: Masks,
    gradients: NormGradients<T>,
) {
    let width = weight.len();
    assert!(width > 0 && dy.len().is_multiple_of(width) && gradients.x.len() == dy.len() && saved.x.len() == dy.len());
    assert!(dy_residual.is_none_or(|dy_residual| dy_residual.len() == dy.len()));
    assert!(saved.mean.len() == dy.len() / width && saved.rstd.len() == saved.mean.len());
    assert!(gradients.weight.len() == width && gradients.bias.len() == width);
    assert!(gradients.dense.as_ref().is_none_or(|dense| dense.len() == dy.len()));
    let isa = Isa::selected();
    let chunk = ROWS_PER_JOB * width;
    let parts = dy.len().div_ceil(chunk);
    let mut sums = vec![0.0_f32; parts * 2 * width];
    let (dx, partial) = (SharedSlice::new(gradients.x), SharedSlice::new(&mut sums));
    let ddense = gradients.dense.map(SharedSlice::new);
    parallel::for_each_index(parts, |part| {
        let (start, first_row) = (part * chunk, part * ROWS_PER_JOB);
        let len = chunk.min(dy.len() - start);
        let rows = first_row..first_row + len / width;
        // SAFETY: each part is processed once and has rows and sums of its own, and the three slices are of different
        // memory.
        let (dx, sums, ddense) = unsafe {
            (
                dx.slice(start, len),
                partial.slice(part * 2 * width, 2 * width),
                ddense.as_ref().map(|ddense| ddense.slice(start, len)),
            )
        };
        let job = NormBackward {
            first_row,
            dy: &dy[start..start + len],
            dy_residual: dy_residual.map(|dy_residual| &dy_residual[start..start + len]),
            x: &saved.x[start..start + len],
            mean: &saved.mean[rows.clone()],
            rstd: &saved.rstd[rows],
            weight,
            masks,
            dx,
            ddense,
            sums: sums.split_at_mut(width),
        };
        run_backward(job, isa);
    });
    gradients.weight.fill(0.0);
    gradients.bias.fill(0.0);
    for part in sums.chunks_exact(2 * width) {
        let (weight, bias) = part.split_at(width);
        gradients.weight.iter_mut().zip(weight).for_each(|(sum, part)| *sum += part);
        gradients.bias.iter_mut().zip(bias).for_each(|(sum, part)| *sum += part);
    }
}

struct NormForward<'a, T> {
    first_row: usize,
    dense: &'a [T],
    residual: Option<&'a [T]>,
    parameters: NormParameters<'a>,
    masks: Masks,
    y: &'a mut [T],
    saved: Option<(&'a mut [T], &'a mut [f32], &'a mut [f32])>,
}

multiversion!(fn run_forward<T: Element>(NormForward<'_, T>) = forward_inline);

#[inline(always)]
fn forward_inline<T: Element, const ISA: u8>(job: NormForward<T>, _: Supported<ISA>) {
    let NormForward { first_row, dense, residual, parameters, masks, y, mut saved } = job;
    let width = parameters.weight.len();
    let (weight, bias) = (&parameters.weight[..width], &parameters.bias[..width]);
    let (mut x, mut mask) = (vec![0f32; width], vec![0f32; width]);
    let (x, mask) = (&mut x[..width], &mut mask[..width]);
    for (row, y) in y.chunks_exact_mut(width).enumerate() {
        let dense = &dense[row * width..][..width];
        if let Some(before) = masks.before {
            before.row((first_row + row) as u64, mask);
            for j in 0..width {
                x[j] = dense[j].to_f32() * mask[j];
            }
        } else {
            for j in 0..width {
                x[j] = dense[j].to_f32();
            }
        }
        if let Some(residual) = residual {
            let residual = &residual[row * width..][..width];
            for j in 0..width {
                x[j] += residual[j].to_f32();
            }
        }
        // The backward pass reads the rounded input, so the forward pass normalizes it.
        for value in x.iter_mut() {
            *value = T::from_f32(*value).to_f32();
        }
        let mean = sum::<ISA>(x, |x| x) / width as f32;
        let variance = sum::<ISA>(x, |x| (x - mean) * (x - mean)) / width as f32;
        let rstd = 1.0 / (variance + parameters.eps).sqrt();
        for j in 0..width {
            y[j] = T::from_f32(fma::<ISA>((x[j] - mean) * rstd, weight[j], bias[j]));
        }
        if let Some(after) = masks.after {
            after.row((first_row + row) as u64, mask);
            for j in 0..width {
                y[j] = T::from_f32(y[j].to_f32() * mask[j]);
            }
        }
        if let Some((saved_x, saved_mean, saved_rstd)) = &mut saved {
            let saved_x = &mut saved_x[row * width..][..width];
            for j in 0..width {
                saved_x[j] = T::from_f32(x[j]);
            }
            saved_mean[row] = mean;
            saved_rstd[row] = rstd;
        }
    }
}

struct NormBackward<'a, T> {
    first_row: usize,
    dy: &'a [T],
    dy_residual: Option<&'a [T]>,
    x: &'a [T],
    mean: &'a [f32],
    rstd: &'a [f32],
    weight: &'a [f32],
    masks: Masks,
    dx: &'a mut [T],
    ddense: Option<&'a mut [T]>,
    /// Of weight and bias.
    sums: (&'a mut [f32], &'a mut [f32]),
}

multiversion!(fn run_backward<T: Element>(NormBackward<'_, T>) = backward_inline);

#[inline(always)]
fn backward_inline<T: Element, const ISA: u8>(job: NormBackward<T>, _: Supported<ISA>) {
    let NormBackward { first_row, dy, dy_residual, x, mean, rstd, weight, masks, dx, mut ddense, sums } = job;
    let width = weight.len();
    let (weight, dweight, dbias) = (&weight[..width], &mut sums.0[..width], &mut sums.1[..width]);
    let (mut d, mut xhat, mut mask) = (vec![0f32; width], vec![0f32; width], vec![0f32; width]);
    let (d, xhat, mask) = (&mut d[..width], &mut xhat[..width], &mut mask[..width]);
    for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
        let (mean, rstd) = (mean[row], rstd[row]);
        let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
        for j in 0..width {
            d[j] = dy[j].to_f32();
        }
        if let Some(dy_residual) = dy_residual {
            let dy_residual = &dy_residual[row * width..][..width];
            for j in 0..width {
                d[j] += dy_residual[j].to_f32();
            }
        }
        if let Some(after) = masks.after {
            after.row((first_row + row) as u64, mask);
            for j in 0..width {
                d[j] *= mask[j];
            }
        }
        for j in 0..width {
            xhat[j] = (x[j].to_f32() - mean) * rstd;
            dweight[j] = fma::<ISA>(d[j], xhat[j], dweight[j]);
            dbias[j] += d[j];
            d[j] *= weight[j];
        }
        let mean_g = sum::<ISA>(d, |g| g) / width as f32;
        let mean_gx = dot::<ISA>(d, xhat) / width as f32;
        for j in 0..width {
            d[j] = (d[j] - mean_g - xhat[j] * mean_gx) * rstd;
            dx[j] = T::from_f32(d[j]);
        }
        if let Some(ddense) = &mut ddense {
            let ddense = &mut ddense[row * width..][..width];
            if let Some(before) = masks.before {
                before.row((first_row + row) as u64, mask);
            } else {
                mask.fill(1.0);
            }
            for j in 0..width {
                ddense[j] = T::from_f32(d[j] * mask[j]);
            }
        }
    }
}

/// The sum of `f` of all values, in an order that doesn't depend on the processor.
#[inline(always)]
fn sum<const ISA: u8>(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; 4 * LANES];
    let (blocks, rest) = values.as_chunks::<{ 4 * LANES }>();
    for block in blocks {
        for lane in 0..4 * LANES {
            lanes[lane] += f(block[lane]);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f(*value);
    }
    sum_lanes(lanes)
}

#[inline(always)]
fn dot<const ISA: u8>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 4 * LANES];
    let (a_blocks, a_rest) = a.as_chunks::<{ 4 * LANES }>();
    let (b_blocks, b_rest) = b.as_chunks::<{ 4 * LANES }>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..4 * LANES {
            lanes[lane] = fma::<ISA>(a[lane], b[lane], lanes[lane]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    sum_lanes(lanes)
}

#[inline(always)]
fn sum_lanes(mut lanes: [f32; 4 * LANES]) -> f32 {
    let mut half = 2 * LANES;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests;

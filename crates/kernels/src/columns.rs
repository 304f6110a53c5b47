//! Column sums: the gradients of biases.

use crate::element::Element;
use crate::isa::{Isa, LANES, Supported};
use crate::multiversion;
use crate::parallel;

/// Columns that one thread sums at a time.
const COLUMNS_PER_JOB: usize = 8 * LANES;

/// The sum of each column of `values`, `[R, D]` with `D = sums.len()`, in fp32.
///
/// # Panics
/// If the length of `values` is not a multiple of `D`.
pub fn sums<T: Element>(values: &[T], sums: &mut [f32]) {
    let width = sums.len();
    assert!(width > 0 && values.len().is_multiple_of(width), "{} values are not whole rows of {width}", values.len());
    let isa = Isa::selected();
    let chunks = sums.chunks_mut(COLUMNS_PER_JOB).enumerate();
    let jobs = chunks.map(|(chunk, sums)| Job { values, width, first_column: chunk * COLUMNS_PER_JOB, sums }).collect();
    parallel::for_each(jobs, |job| run(job, isa));
}

struct Job<'a, T> {
    values: &'a [T],
    width: usize,
    first_column: usize,
    sums: &'a mut [f32],
}

multiversion!(fn run<T: Element>(Job<'_, T>) = run_inline);

#[inline(always)]
fn run_inline<T: Element, const ISA: u8>(job: Job<T>, _: Supported<ISA>) {
    let mut totals = [0.0_f32; COLUMNS_PER_JOB];
    let len = job.sums.len();
    for row in job.values.chunks_exact(job.width) {
        let values = &row[job.first_column..job.first_column + len];
        if len == COLUMNS_PER_JOB {
            for lane in 0..COLUMNS_PER_JOB {
                totals[lane] += values[lane].to_f32();
            }
        } else {
            for (total, value) in totals.iter_mut().zip(values) {
                *total += value.to_f32();
            }
        }
    }
    job.sums.copy_from_slice(&totals[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dropout::mix64;
    use crate::element::Bf16;
    use crate::isa::testing::with_each_isa;
    use crate::parallel::testing::assert_independent_of_threads;

    fn check<T: Element>(rows: usize, width: usize) {
        let values: Vec<T> =
            (0..rows * width).map(|i| T::from_f32((mix64(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0)).collect();
        let mut expected = vec![0.0; width];
        values.iter().enumerate().for_each(|(i, value)| expected[i % width] += f64::from(value.to_f32()));
        let ours = || {
            let mut ours = vec![f32::NAN; width];
            sums(&values, &mut ours);
            ours
        };
        let baseline = Isa::BASELINE.run(ours);
        with_each_isa(|isa| {
            for (ours, expected) in ours().iter().zip(&expected) {
                let difference = (f64::from(*ours) - expected).abs();
                assert!(difference < 1e-6 * rows as f64, "{rows} x {width}, {isa:?}: {difference:e}");
            }
            assert_eq!(ours(), baseline, "{isa:?}: sums without products are the same on all");
            assert_independent_of_threads("column sums", ours);
        });
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        for width in [1, 16, 127, 128, 300] {
            check::<f32>(7, width);
            check::<f32>(130, width);
            check::<Bf16>(130, width);
        }
    }
}

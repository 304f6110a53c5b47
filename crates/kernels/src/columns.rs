//! Column sums: the gradients of biases.

use crate::element::Element;
use crate::isa::{Isa, LANES};
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
    let isa = Isa::best();
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
fn run_inline<T: Element, const ISA: u8>(job: Job<T>) {
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

    #[test]
    fn columns_are_summed() {
        for width in [1, 16, 127, 128, 300] {
            let values: Vec<f32> = (0..7 * width).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            let mut ours = vec![f32::NAN; width];
            sums(&values, &mut ours);
            let reference: Vec<f32> =
                (0..width).map(|column| values.iter().skip(column).step_by(width).sum()).collect();
            assert_eq!(ours, reference);
        }
    }
}

//! The sum of one vector of each of several processes, which lie in memory that all of them can read and write.

use crate::element::Element;
use crate::isa::{Isa, Supported};
use crate::multiversion;
use crate::parallel;

/// Values that one thread sums at a time.
const VALUES_PER_JOB: usize = 1 << 14;

/// Values whose sums are kept in the nearest cache.
const BLOCK: usize = 512;

/// Replaces the values of every part by the sums over all parts: added in the order of the parts in fp32 and rounded once, so
/// that all parts have the same bits afterwards, and each time.
///
/// # Safety
/// Each part has `len` values, which nothing else reads or writes during the call; parts do not overlap.
pub unsafe fn sum_in_place<T: Element>(parts: &[*mut T], len: usize) {
    let isa = Isa::selected();
    let jobs: Vec<Job<T>> = (0..len)
        .step_by(VALUES_PER_JOB)
        .map(|start| Job { parts, start, len: VALUES_PER_JOB.min(len - start) })
        .collect();
    parallel::for_each(jobs, |job| run(job, isa));
}

struct Job<'a, T> {
    parts: &'a [*mut T],
    start: usize,
    len: usize,
}

// SAFETY: each job has values of its own, by the contract of `sum_in_place`.
unsafe impl<T> Send for Job<'_, T> {}

multiversion!(fn run<T: Element>(Job<'_, T>) = run_inline);

#[inline(always)]
fn run_inline<T: Element, const ISA: u8>(job: Job<'_, T>, _: Supported<ISA>) {
    let mut sums = [0f32; BLOCK];
    for start in (0..job.len).step_by(BLOCK) {
        let len = BLOCK.min(job.len - start);
        let sums = &mut sums[..len];
        for (number, part) in job.parts.iter().enumerate() {
            // SAFETY: by the contract of `sum_in_place` the values are there, and nothing else uses them.
            let values = unsafe { std::slice::from_raw_parts(part.add(job.start + start), len) };
            if number == 0 {
                for i in 0..len {
                    sums[i] = values[i].to_f32();
                }
            } else {
                for i in 0..len {
                    sums[i] += values[i].to_f32();
                }
            }
        }
        for part in job.parts {
            // SAFETY: as above; the slices above are gone.
            let values = unsafe { std::slice::from_raw_parts_mut(part.add(job.start + start), len) };
            for i in 0..len {
                values[i] = T::from_f32(sums[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bf16;
    use crate::isa::testing::with_each_isa;
    use crate::parallel::testing::assert_independent_of_threads;

    fn check<T: Element>(len: usize, parts: usize) {
        let values = |part: usize| -> Vec<T> {
            (0..len).map(|i| T::from_f32((i * (part + 3) % 1013) as f32 / 97.0 - 5.0)).collect()
        };
        let all: Vec<Vec<T>> = (0..parts).map(values).collect();
        let expected: Vec<f32> = (0..len)
            .map(|i| {
                T::from_f32(all.iter().skip(1).fold(all[0][i].to_f32(), |sum, part| sum + part[i].to_f32())).to_f32()
            })
            .collect();
        with_each_isa(|isa| {
            let ours = || {
                let mut all = all.clone();
                let pointers: Vec<*mut T> = all.iter_mut().map(|part| part.as_mut_ptr()).collect();
                // SAFETY: the parts are vectors of this length.
                unsafe { sum_in_place(&pointers, len) };
                all.into_iter()
                    .map(|part| part.into_iter().map(Element::to_f32).collect::<Vec<f32>>())
                    .collect::<Vec<_>>()
            };
            assert!(ours().iter().all(|part| *part == expected), "{len} values of {parts} parts on {isa:?}");
            assert_independent_of_threads("sums over processes", || ours().concat());
        });
    }

    #[test]
    fn every_part_becomes_the_sum() {
        for (len, parts) in [(0, 2), (1, 3), (77, 2), (VALUES_PER_JOB + BLOCK + 33, 4)] {
            check::<f32>(len, parts);
            check::<Bf16>(len, parts);
        }
    }
}

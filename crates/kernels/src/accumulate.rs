//! Sums of gradients over micro-batches.

use crate::element::Element;
use crate::isa::{Isa, LANES, Supported};
use crate::multiversion;
use crate::parallel;

/// Values that one thread adds at a time.
const VALUES_PER_JOB: usize = 1 << 16;

/// `sums[i] += terms[i]`, in fp32.
///
/// # Panics
/// If the lengths differ.
pub fn add<T: Element>(sums: &mut [f32], terms: &[T]) {
    assert!(sums.len() == terms.len(), "{} sums and {} terms", sums.len(), terms.len());
    let isa = Isa::selected();
    let jobs = sums.chunks_mut(VALUES_PER_JOB).zip(terms.chunks(VALUES_PER_JOB)).collect();
    parallel::for_each(jobs, |job| run(job, isa));
}

multiversion!(fn run<T: Element>((&mut [f32], &[T])) = run_inline);

#[inline(always)]
fn run_inline<T: Element, const ISA: u8>((sums, terms): (&mut [f32], &[T]), _: Supported<ISA>) {
    let ((blocks, rest), (terms, terms_rest)) = (sums.as_chunks_mut::<LANES>(), terms.as_chunks::<LANES>());
    for (sums, terms) in blocks.iter_mut().zip(terms) {
        for lane in 0..LANES {
            sums[lane] += terms[lane].to_f32();
        }
    }
    for (sum, term) in rest.iter_mut().zip(terms_rest) {
        *sum += term.to_f32();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bf16;
    use crate::isa::testing::with_each_isa;
    use crate::parallel::testing::assert_independent_of_threads;

    fn check<T: Element>(len: usize) {
        let start: Vec<f32> = (0..len).map(|i| (i % 1013) as f32 / 97.0 - 5.0).collect();
        let terms: Vec<T> = (0..len).map(|i| T::from_f32((i % 89) as f32 / 7.0 - 6.0)).collect();
        let expected: Vec<f32> = start.iter().zip(&terms).map(|(sum, term)| sum + term.to_f32()).collect();
        with_each_isa(|isa| {
            let ours = || {
                let mut sums = start.clone();
                add(&mut sums, &terms);
                sums
            };
            assert!(ours() == expected, "{len} values on {isa:?}");
            assert_independent_of_threads("sums of gradients", ours);
        });
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        for len in [0, 1, 77, VALUES_PER_JOB + 33] {
            check::<f32>(len);
            check::<Bf16>(len);
        }
    }
}

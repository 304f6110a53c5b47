//! Rows of embedding tables: their sums in the forward pass, and their gradients in the backward pass.

use crate::element::Element;
use crate::isa::{Isa, Supported};
use crate::multiversion;
use crate::parallel;

/// Rows that one thread processes at a time.
const ROWS_PER_JOB: usize = 16;

/// Rows by group: group `g` has the rows `members[starts[g]..starts[g + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    starts: Vec<usize>,
    members: Vec<usize>,
}

impl Groups {
    /// `count` groups; row `r` belongs to group `group_of[r]`.
    ///
    /// # Panics
    /// If a group isn't below `count`.
    pub fn new(group_of: &[usize], count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        group_of.iter().for_each(|&group| starts[group + 1] += 1);
        (0..count).for_each(|group| starts[group + 1] += starts[group]);
        let (mut next, mut members) = (starts.clone(), vec![0; group_of.len()]);
        for (row, &group) in group_of.iter().enumerate() {
            members[next[group]] = row;
            next[group] += 1;
        }
        Self { starts, members }
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of rows of all groups together.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An embedding table and the indices to look up.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a, T> {
    /// `[V, D]`.
    pub table: &'a [T],
    /// `[R]`, each below `V`.
    pub indices: &'a [i64],
}

/// `sums[r] = first[r] + second[r] + constant`, `[R, D]` with `D = constant.len()`, where `first[r]` and `second[r]`
/// are the rows that the lookups select.
///
/// # Panics
/// If an index is out of range, or the lengths don't match.
pub fn sum_embeddings<T: Element>(first: Lookup<T>, second: Lookup<T>, constant: &[T], sums: &mut [T]) {
    let width = constant.len();
    assert!(width > 0 && sums.len() == first.indices.len() * width && first.indices.len() == second.indices.len());
    let isa = Isa::selected();
    let chunks = sums.chunks_mut(ROWS_PER_JOB * width).enumerate();
    let jobs = chunks.map(|(chunk, sums)| SumEmbeddings { start: chunk * ROWS_PER_JOB, first, second, constant, sums });
    parallel::for_each(jobs.collect(), |job| run_sum_embeddings(job, isa));
}

struct SumEmbeddings<'a, T> {
    start: usize,
    first: Lookup<'a, T>,
    second: Lookup<'a, T>,
    constant: &'a [T],
    sums: &'a mut [T],
}

multiversion!(fn run_sum_embeddings<T: Element>(SumEmbeddings<'_, T>) = sum_embeddings_inline);

#[inline(always)]
fn sum_embeddings_inline<T: Element, const ISA: u8>(job: SumEmbeddings<T>, _: Supported<ISA>) {
    let SumEmbeddings { start, first, second, constant, sums } = job;
    let width = constant.len();
    for (row, sums) in sums.chunks_exact_mut(width).enumerate() {
        let first = &first.table[first.indices[start + row] as usize * width..][..width];
        let second = &second.table[second.indices[start + row] as usize * width..][..width];
        for j in 0..width {
            sums[j] = T::from_f32(first[j].to_f32() + second[j].to_f32() + constant[j].to_f32());
        }
    }
}

/// `sums[g]` = the sum over the rows of group `g`, `[G, D]` in fp32.
///
/// # Panics
/// If the lengths don't match.
pub fn group_sums<T: Element>(values: &[T], groups: &Groups, width: usize, sums: &mut [f32]) {
    assert!(width > 0 && values.len() == groups.members.len() * width && sums.len() == groups.len() * width);
    let isa = Isa::selected();
    let chunks = sums.chunks_mut(ROWS_PER_JOB * width).enumerate();
    let jobs = chunks.map(|(chunk, sums)| GroupSums { start: chunk * ROWS_PER_JOB, values, groups, width, sums });
    parallel::for_each(jobs.collect(), |job| run_group_sums(job, isa));
}

struct GroupSums<'a, T> {
    start: usize,
    values: &'a [T],
    groups: &'a Groups,
    width: usize,
    sums: &'a mut [f32],
}

multiversion!(fn run_group_sums<T: Element>(GroupSums<'_, T>) = group_sums_inline);

#[inline(always)]
fn group_sums_inline<T: Element, const ISA: u8>(job: GroupSums<T>, _: Supported<ISA>) {
    let GroupSums { start, values, groups, width, sums } = job;
    for (group, sums) in sums.chunks_exact_mut(width).enumerate() {
        let range = groups.starts[start + group]..groups.starts[start + group + 1];
        sums.fill(0.0);
        for &row in &groups.members[range] {
            let values = &values[row * width..][..width];
            for j in 0..width {
                sums[j] += values[j].to_f32();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::element::Bf16;
    use crate::isa::testing::with_each_isa;
    use crate::parallel::testing::{assert_independent_of_threads, with_threads};

    #[test]
    fn rows_are_looked_up_and_added() {
        let table: Vec<f32> = (0..5 * 3).map(|i| i as f32).collect();
        let (first, second) = (Lookup { table: &table, indices: &[4, 0] }, Lookup { table: &table, indices: &[1, 1] });
        let mut sums = [0.0; 6];
        sum_embeddings(first, second, &[100.0, 200.0, 300.0], &mut sums);
        assert_eq!(sums, [115.0, 217.0, 319.0, 103.0, 205.0, 307.0]);
    }

    #[test]
    fn groups_sum_their_rows() {
        let groups = Groups::new(&[2, 0, 2, 2], 4);
        assert_eq!(groups, Groups { starts: vec![0, 1, 1, 4, 4], members: vec![1, 0, 2, 3] });
        let mut sums = [f32::NAN; 8];
        group_sums(&[1.0f32, 2.0, 10.0, 20.0, 100.0, 200.0, 1000.0, 2000.0], &groups, 2, &mut sums);
        assert_eq!(sums, [10.0, 20.0, 0.0, 0.0, 1101.0, 2202.0, 0.0, 0.0]);
    }

    /// Sums of fp32 values and their embeddings, against fp64.
    fn check_embeddings<T: Element>(rows: usize, width: usize) {
        let value = |i: usize| T::from_f32((i * 37 % 101) as f32 / 17.0 - 3.0);
        let (words, positions): (Vec<T>, Vec<T>) =
            ((0..50 * width).map(value).collect(), (0..9 * width).map(|i| value(i + 7)).collect());
        let constant: Vec<T> = (0..width).map(|i| value(i + 3)).collect();
        let indices = |count: usize| (0..rows).map(|row| (row * 13 % count) as i64).collect::<Vec<_>>();
        let (of_words, of_positions) = (indices(50), indices(9));
        let ours = || {
            let mut sums = vec![T::default(); rows * width];
            let first = Lookup { table: &words, indices: &of_words };
            sum_embeddings(first, Lookup { table: &positions, indices: &of_positions }, &constant, &mut sums);
            sums.iter().map(|sum| sum.to_f32()).collect::<Vec<_>>()
        };
        with_each_isa(|isa| {
            for (at, ours) in ours().into_iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let of = |table: &[T], index: i64| f64::from(table[index as usize * width + column].to_f32());
                let expected = of(&words, of_words[row])
                    + of(&positions, of_positions[row])
                    + f64::from(constant[column].to_f32());
                // A unit in the last place of bf16 is 2^-8 of the value; sums are below 16.
                let tolerance = if size_of::<T>() == 4 { 4e-6 } else { expected.abs() / 256.0 + 1e-6 };
                assert!((f64::from(ours) - expected).abs() <= tolerance, "{isa:?} at {at}: {ours} {expected}");
            }
            assert_independent_of_threads("sums of embeddings", ours);
        });
    }

    #[test]
    fn sums_of_embeddings_are_those_of_the_definition() {
        for width in [1, 16, 33, 384] {
            check_embeddings::<f32>(70, width);
            check_embeddings::<Bf16>(70, width);
        }
    }

    #[test]
    fn an_index_outside_the_table_panics_on_the_callers_thread() {
        let table = [0f32; 4];
        let mut indices = vec![0; 100];
        indices[99] = 4;
        for threads in [1, 2] {
            with_threads(threads, || {
                let panic = catch_unwind(|| {
                    let lookup = Lookup { table: &table, indices: &indices };
                    sum_embeddings(lookup, lookup, &[0.0], &mut [0.0; 100]);
                });
                let message = panic.expect_err("4 is outside").downcast::<String>().expect("a message");
                assert!(message.contains("range end index 1 out of range"), "{message}");
            });
        }
    }

    #[test]
    fn sums_of_groups_are_those_of_the_definition() {
        let (rows, width) = (1000, 33);
        let group_of: Vec<usize> = (0..rows).map(|row| row * 7 % 101).collect();
        let values: Vec<Bf16> = (0..rows * width).map(|i| Bf16::from_f32((i % 13) as f32)).collect();
        let mut expected = vec![0.0; 101 * width];
        for (at, value) in values.iter().enumerate() {
            expected[group_of[at / width] * width + at % width] += f64::from(value.to_f32());
        }
        // Whole numbers: every order of summation gives the same bits as fp64 does.
        let ours = || {
            let mut sums = vec![f32::NAN; expected.len()];
            group_sums(&values, &Groups::new(&group_of, 101), width, &mut sums);
            sums
        };
        with_each_isa(|isa| {
            let ours: Vec<f64> = ours().into_iter().map(f64::from).collect();
            assert_eq!(ours, expected, "{isa:?}");
        });
        let fractions: Vec<f32> = (0..rows * width).map(|i| 1.0 / (i % 89 + 1) as f32).collect();
        with_each_isa(|_| {
            assert_independent_of_threads("sums of groups", || {
                let mut sums = vec![f32::NAN; expected.len()];
                group_sums(&fractions, &Groups::new(&group_of, 101), width, &mut sums);
                sums
            });
        });
    }
}

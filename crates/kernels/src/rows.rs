//! Rows of embedding tables: their sums in the forward pass, and their gradients in the backward pass.

use crate::element::Element;
use crate::isa::Isa;
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
    let isa = Isa::best();
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
fn sum_embeddings_inline<T: Element, const ISA: u8>(job: SumEmbeddings<T>) {
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
    let isa = Isa::best();
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
fn group_sums_inline<T: Element, const ISA: u8>(job: GroupSums<T>) {
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
    use super::*;
    use crate::element::Bf16;

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

    #[test]
    fn many_rows_on_many_threads() {
        let (rows, width) = (1000, 33);
        let group_of: Vec<usize> = (0..rows).map(|row| row * 7 % 101).collect();
        let values: Vec<Bf16> = (0..rows * width).map(|i| Bf16::from_f32((i % 13) as f32)).collect();
        let mut expected = vec![0.0; 101 * width];
        for (at, value) in values.iter().enumerate() {
            expected[group_of[at / width] * width + at % width] += value.to_f32();
        }
        let mut sums = vec![0.0; expected.len()];
        group_sums(&values, &Groups::new(&group_of, 101), width, &mut sums);
        assert_eq!(sums, expected);
    }
}

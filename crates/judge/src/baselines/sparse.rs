//! A sparse matrix and its products with a dense one, on several threads.
//!
//! It is kept by rows and, transposed, by columns, so that each element of either product is one sum in a fixed order: the
//! bits of a result don't depend on the number of threads.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

/// Products with fewer multiplications than this are not worth a second thread.
const WORK_PER_THREAD: usize = 200_000;

/// A sparse matrix of rows (texts) and columns (features).
#[derive(Debug)]
pub(super) struct SparseMatrix {
    by_row: Compressed,
    by_column: Compressed,
}

/// One side of the matrix: for each line the places and the values that are not 0.
#[derive(Debug, Default)]
struct Compressed {
    /// Where each line starts, and at last the end.
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<f64>,
}

impl SparseMatrix {
    /// Of rows that each list their columns, ascending, with values.
    pub(super) fn of_rows(rows: &[Vec<(u32, f64)>], columns: usize) -> Self {
        let entries = rows.iter().map(Vec::len).sum();
        let mut by_row = Compressed::with_capacity(rows.len(), entries);
        let mut starts = vec![0; columns + 1];
        for row in rows {
            for &(column, value) in row {
                by_row.places.push(column);
                by_row.values.push(value);
                starts[column as usize + 1] += 1;
            }
            by_row.starts.push(by_row.places.len());
        }
        for column in 0..columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut by_column = Compressed { starts, places: vec![0; entries], values: vec![0.0; entries] };
        for (row, entries) in (0..).zip(rows) {
            for &(column, value) in entries {
                let at = &mut next[column as usize];
                (by_column.places[*at], by_column.values[*at]) = (row, value);
                *at += 1;
            }
        }
        Self { by_row, by_column }
    }

    pub(super) fn rows(&self) -> usize {
        self.by_row.lines()
    }

    pub(super) fn columns(&self) -> usize {
        self.by_column.lines()
    }

    /// This matrix times `dense`, of `width` values for each column: into `out`, of `width` values for each row.
    pub(super) fn times(&self, dense: &[f64], width: usize, out: &mut [f64]) {
        self.by_row.times(dense, width, out);
    }

    /// The transpose of this matrix times `dense`, of `width` values for each row: into `out`, of `width` values for each column.
    pub(super) fn transposed_times(&self, dense: &[f64], width: usize, out: &mut [f64]) {
        self.by_column.times(dense, width, out);
    }

    /// [`transposed_times`](Self::transposed_times), but with the squares of this matrix's values.
    pub(super) fn transposed_squares_times(&self, dense: &[f64], width: usize, out: &mut [f64]) {
        self.by_column.for_each_line(width, out, |line, out| {
            out.fill(0.0);
            for (place, value) in self.by_column.line(line) {
                add(out, value * value, &dense[place * width..][..width]);
            }
        });
    }
}

impl Compressed {
    fn with_capacity(lines: usize, entries: usize) -> Self {
        let mut starts = Vec::with_capacity(lines + 1);
        starts.push(0);
        Self { starts, places: Vec::with_capacity(entries), values: Vec::with_capacity(entries) }
    }

    fn lines(&self) -> usize {
        self.starts.len() - 1
    }

    fn line(&self, line: usize) -> impl Iterator<Item = (usize, f64)> {
        let entries = self.starts[line]..self.starts[line + 1];
        self.places[entries.clone()].iter().map(|&place| place as usize).zip(self.values[entries].iter().copied())
    }

    fn times(&self, dense: &[f64], width: usize, out: &mut [f64]) {
        if width == 1 {
            self.for_each_line(1, out, |line, out| {
                out[0] = self.line(line).map(|(place, value)| value * dense[place]).sum();
            });
        } else {
            self.for_each_line(width, out, |line, out| {
                out.fill(0.0);
                for (place, value) in self.line(line) {
                    add(out, value, &dense[place * width..][..width]);
                }
            });
        }
    }

    /// Calls `compute` with each line and its `width` values of `out`, on as many threads as the work is worth.
    fn for_each_line(&self, width: usize, out: &mut [f64], compute: impl Fn(usize, &mut [f64]) + Sync) {
        assert_eq!(out.len(), self.lines() * width, "{width} values for each of {} lines", self.lines());
        let compute_all = |lines: Range<usize>, out: &mut [f64]| {
            for (line, out) in lines.zip(out.chunks_exact_mut(width)) {
                compute(line, out);
            }
        };
        let work = self.places.len() * width;
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(work / WORK_PER_THREAD).max(1);
        let mut rest = out;
        let mut begin = 0;
        thread::scope(|scope| {
            for thread in 1..threads {
                let end = self.starts.partition_point(|start| start * threads < self.places.len() * thread).max(begin);
                let (part, later) = std::mem::take(&mut rest).split_at_mut((end - begin) * width);
                scope.spawn(move || compute_all(begin..end, part));
                (rest, begin) = (later, end);
            }
            compute_all(begin..self.lines(), rest);
        });
    }
}

/// `sums += factor * values`.
fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use test_support::Random;

    use super::*;

    #[test]
    fn products_are_those_of_the_dense_matrix() {
        let mut random = Random::new(1);
        // The last has enough entries for several threads.
        for (rows, columns, width, filled) in
            [(1, 1, 1, 2), (7, 5, 3, 2), (0, 4, 2, 2), (40, 0, 2, 2), (900, 800, 3, 3)]
        {
            let mut number = || random.below(2001) as f64 / 1000.0 - 1.0;
            let right: Vec<f64> = (0..columns * width).map(|_| number()).collect();
            let left: Vec<f64> = (0..rows * width).map(|_| number()).collect();
            let mut choice = Random::new(2);
            let entries: Vec<Vec<(u32, f64)>> = (0..rows)
                .map(|_| {
                    (0..columns as u32).filter(|_| choice.below(filled) == 0).map(|column| (column, number())).collect()
                })
                .collect();
            let matrix = SparseMatrix::of_rows(&entries, columns);
            assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
            let mut expected = [vec![0.0; rows * width], vec![0.0; columns * width], vec![0.0; columns * width]];
            for (row, entries) in entries.iter().enumerate() {
                for (&(column, value), k) in entries.iter().flat_map(|entry| (0..width).map(move |k| (entry, k))) {
                    let column = column as usize;
                    expected[0][row * width + k] += value * right[column * width + k];
                    expected[1][column * width + k] += value * left[row * width + k];
                    expected[2][column * width + k] += value * value * left[row * width + k];
                }
            }
            let mut found = expected.clone().map(|values| vec![f64::NAN; values.len()]);
            matrix.times(&right, width, &mut found[0]);
            matrix.transposed_times(&left, width, &mut found[1]);
            matrix.transposed_squares_times(&left, width, &mut found[2]);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-12, "{rows} x {columns}: {found}, expected {expected}");
            }
        }
    }
}

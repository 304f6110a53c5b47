//! How far a statistic would vary with other rows of the same kind: its 95 % interval by a bootstrap (Efron 1979).
//!
//! Resamples are the same for all statistics and for all calls with the same seed and number of rows, so that a difference of two
//! models' scores is paired. Results don't depend on the number of threads.

use std::num::NonZero;
use std::thread;

use crate::bca::{BootstrapInterval, interval};
use crate::resample::RowDraws;

/// Up to so many rows the jackknife leaves out each of them in turn, beyond that each of so many groups of rows drawn by lot: it
/// then visits a quarter of the rows that 9,999 resamples do, for any number of rows. The acceleration from so many groups has a
/// standard error of sqrt(6 / 2,500) / (6 sqrt(2,500)) = 0.0002, which moves an end by less than 0.001 standard deviations.
const JACKKNIFE_GROUPS: usize = 2_500;

/// Computes statistics of some rows: their numbers, which may repeat, and a place for the value of each statistic.
type RowStatistics<'a> = dyn Fn(&[u32], &mut [f64]) + Sync + 'a;

/// Computes statistics of some rows, of which only the number in each cell is known.
type CellStatistics<'a> = dyn Fn(&[u64], &mut [f64]) + Sync + 'a;

/// A bootstrap: how many resamples, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples are drawn; at least 1,000 for ends that can be relied on.
    pub resamples: u32,
    /// The seed of the resamples.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 9_999, seed: 0 }
    }
}

impl Bootstrap {
    /// 95 % intervals of `count` statistics at once of `rows` rows, on all cores. `statistics` gets row numbers (a resample with
    /// repetition, or all rows but some) and writes one value for each statistic, NaN where it is not defined.
    ///
    /// The intervals are BCa (Efron, "Better bootstrap confidence intervals", 1987), as `scipy.stats.bootstrap` computes them, or
    /// quantiles where BCa is not defined. Without rows or resamples all values are NaN.
    ///
    /// # Panics
    /// If `statistics` does, and for more than 2^32 rows.
    pub fn intervals(&self, rows: usize, count: usize, statistics: &RowStatistics<'_>) -> Vec<BootstrapInterval> {
        self.intervals_on(all_cores(), rows, count, statistics)
    }

    /// The same for statistics that depend only on how many rows are in each cell, such as all those of a confusion matrix.
    /// `cells` is the cell of each row, below `cell_count`; `statistics` gets the number of rows in each cell. The resamples are
    /// those of [`Bootstrap::intervals`]; the jackknife leaves out each row, whatever their number.
    ///
    /// # Panics
    /// If `statistics` does, and if a cell is not below `cell_count`.
    pub fn intervals_of_cells(
        &self,
        cells: &[u32],
        cell_count: usize,
        count: usize,
        statistics: &CellStatistics<'_>,
    ) -> Vec<BootstrapInterval> {
        self.intervals_of_cells_on(all_cores(), cells, cell_count, count, statistics)
    }

    /// The row numbers of resample `number`, as many as there are rows.
    pub fn resample(&self, number: u32, rows: usize) -> Vec<u32> {
        let mut resample = vec![0; rows];
        self.draw(number, &mut resample);
        resample
    }

    fn draw(&self, number: u32, resample: &mut [u32]) {
        if resample.is_empty() {
            return;
        }
        let mut draws = RowDraws::new(self.seed, u64::from(number), resample.len());
        resample.fill_with(|| draws.draw());
    }

    fn intervals_on(
        &self,
        threads: usize,
        rows: usize,
        count: usize,
        statistics: &RowStatistics<'_>,
    ) -> Vec<BootstrapInterval> {
        let all: Vec<u32> = (0..u32::try_from(rows).expect("at most 2^32 rows")).collect();
        let mut values = vec![f64::NAN; count];
        if rows > 0 {
            statistics(&all, &mut values);
        }
        let drawn = if rows > 0 { self.resamples as usize } else { 0 };
        let resampled =
            computed(threads, drawn, count, &|| vec![0; rows], &|resample: &mut Vec<u32>, number, values| {
                self.draw(number, resample);
                statistics(resample, values);
            });
        let groups = if drawn > 0 { self.jackknife_groups(rows) } else { Vec::new() };
        let left_out = computed(threads, groups.len(), count, &Vec::new, &|kept: &mut Vec<u32>, group, values| {
            let mut without = vec![false; rows];
            groups[group as usize].iter().for_each(|row| without[*row as usize] = true);
            kept.clear();
            kept.extend(all.iter().filter(|row| !without[**row as usize]));
            statistics(kept, values);
        });
        let once = vec![1; groups.len()];
        intervals(&values, &resampled, &left_out, &once)
    }

    fn intervals_of_cells_on(
        &self,
        threads: usize,
        cells: &[u32],
        cell_count: usize,
        count: usize,
        statistics: &CellStatistics<'_>,
    ) -> Vec<BootstrapInterval> {
        let mut all = vec![0; cell_count];
        cells.iter().for_each(|cell| all[*cell as usize] += 1);
        let mut values = vec![f64::NAN; count];
        if !cells.is_empty() {
            statistics(&all, &mut values);
        }
        let drawn = if cells.is_empty() { 0 } else { self.resamples as usize };
        let resampled =
            computed(threads, drawn, count, &|| vec![0; cell_count], &|counts: &mut Vec<u64>, number, values| {
                counts.fill(0);
                let mut draws = RowDraws::new(self.seed, u64::from(number), cells.len());
                for _ in 0..cells.len() {
                    counts[cells[draws.draw() as usize] as usize] += 1;
                }
                statistics(counts, values);
            });
        // Rows in one cell are alike: leaving out one of them is computed once.
        let leaves_some = drawn > 0 && cells.len() > 1;
        let filled: Vec<usize> = (0..cell_count).filter(|cell| leaves_some && all[*cell] > 0).collect();
        let left_out = computed(threads, filled.len(), count, &Vec::new, &|counts: &mut Vec<u64>, place, values| {
            counts.clone_from(&all);
            counts[filled[place as usize]] -= 1;
            statistics(counts, values);
        });
        let times: Vec<u64> = filled.iter().map(|cell| all[*cell]).collect();
        intervals(&values, &resampled, &left_out, &times)
    }

    /// The rows that the jackknife leaves out together, for each of its values; none where that leaves no rows.
    fn jackknife_groups(&self, rows: usize) -> Vec<Vec<u32>> {
        if rows == 1 {
            return Vec::new();
        }
        if rows <= JACKKNIFE_GROUPS {
            return (0..rows as u32).map(|row| vec![row]).collect();
        }
        // By lot, because neighboring rows may be alike; the draws are none of a resample's.
        let mut shuffled: Vec<u32> = (0..rows as u32).collect();
        for last in (1..rows).rev() {
            let mut draws = RowDraws::new(self.seed, (1 << 32) + last as u64, last + 1);
            shuffled.swap(last, draws.draw() as usize);
        }
        let mut groups = vec![Vec::new(); JACKKNIFE_GROUPS];
        shuffled.into_iter().enumerate().for_each(|(at, row)| groups[at % JACKKNIFE_GROUPS].push(row));
        groups
    }
}

/// How many threads this process may run at once.
pub(crate) fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// `count` values for each number below `total`, one number's after the other. `compute` gets a workspace of its thread.
pub(crate) fn computed<W>(
    threads: usize,
    total: usize,
    count: usize,
    workspace: &(dyn Fn() -> W + Sync),
    compute: &(dyn Fn(&mut W, u32, &mut [f64]) + Sync),
) -> Vec<f64> {
    let mut values = vec![f64::NAN; total * count];
    if values.is_empty() {
        return values;
    }
    let share = total.div_ceil(threads.clamp(1, total));
    thread::scope(|scope| {
        for (thread, part) in values.chunks_mut(share * count).enumerate() {
            scope.spawn(move || {
                let mut workspace = workspace();
                for (at, values) in part.chunks_mut(count).enumerate() {
                    compute(&mut workspace, (thread * share + at) as u32, values);
                }
            });
        }
    });
    values
}

/// The interval of each statistic. `left_out` has the jackknife's values, each of which counts as often as `times` says.
fn intervals(values: &[f64], resampled: &[f64], left_out: &[f64], times: &[u64]) -> Vec<BootstrapInterval> {
    let count = values.len();
    let column =
        |all: &[f64], statistic: usize| all.iter().skip(statistic).step_by(count).copied().collect::<Vec<f64>>();
    let one = |(statistic, value): (usize, &f64)| {
        let left_out: Vec<(f64, u64)> = column(left_out, statistic).into_iter().zip(times.iter().copied()).collect();
        interval(*value, column(resampled, statistic), &left_out)
    };
    values.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bca::BootstrapMethod;

    /// Skewed values without ties.
    fn skewed(rows: usize) -> Vec<f64> {
        (0..rows).map(|row| (8.0 * (row as f64 * 0.618_033_988_749).fract()).exp()).collect()
    }

    fn mean(values: &[f64], rows: &[u32]) -> f64 {
        rows.iter().map(|row| values[*row as usize]).sum::<f64>() / rows.len() as f64
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let bootstrap = Bootstrap { resamples: 501, seed: 4 };
        let values = skewed(97);
        let cells: Vec<u32> = (0..97).map(|row| row * row % 5).collect();
        let of_rows = |threads| {
            bootstrap.intervals_on(threads, 97, 2, &|rows, out| {
                out[0] = mean(&values, rows);
                out[1] = f64::from(rows[0]);
            })
        };
        let of_cells = |threads| {
            bootstrap.intervals_of_cells_on(threads, &cells, 5, 1, &|counts, out| out[0] = counts[1] as f64 / 97.0)
        };
        for threads in [2, 7, 1000] {
            assert_eq!(of_rows(threads), of_rows(1), "{threads} threads");
            assert_eq!(of_cells(threads), of_cells(1), "{threads} threads");
        }
        assert_ne!(
            of_rows(1),
            Bootstrap { seed: 5, ..bootstrap }.intervals_on(1, 97, 2, &|rows, out| {
                out[0] = mean(&values, rows);
                out[1] = f64::from(rows[0]);
            })
        );
    }

    #[test]
    fn counted_rows_have_the_intervals_of_rows_that_are_looked_at() {
        let bootstrap = Bootstrap { resamples: 1_999, seed: 1 };
        let cells: Vec<u32> = (0..300).map(|row| row * row % 7 % 4).collect();
        let counted = |counts: &[u64], out: &mut [f64]| {
            out[0] = counts[1] as f64 / counts.iter().sum::<u64>() as f64;
            out[1] = counts[0] as f64 / (counts[0] + 2 * counts[1]) as f64;
        };
        let looked_at = bootstrap.intervals(300, 2, &|rows, out| {
            let mut counts = [0; 4];
            rows.iter().for_each(|row| counts[cells[*row as usize] as usize] += 1);
            counted(&counts, out);
        });
        let of_cells = bootstrap.intervals_of_cells(&cells, 4, 2, &counted);
        for (one, other) in looked_at.iter().zip(&of_cells) {
            assert_eq!((one.value, one.method), (other.value, BootstrapMethod::Bca));
            assert!((one.low - other.low).abs() < 1e-12 && (one.high - other.high).abs() < 1e-12, "{one:?}, {other:?}");
        }
    }

    #[test]
    fn groups_of_rows_are_left_out_in_place_of_each_of_many_rows() {
        let bootstrap = Bootstrap { resamples: 999, seed: 0 };
        let rows = 4 * JACKKNIFE_GROUPS + 17;
        let mut left_out: Vec<u32> = bootstrap.jackknife_groups(rows).concat();
        left_out.sort_unstable();
        assert_eq!(left_out, (0..rows as u32).collect::<Vec<_>>());

        // The same bootstrap with each row as its own cell leaves out each of them.
        let values = skewed(rows);
        let grouped = bootstrap.intervals(rows, 1, &|rows, out| out[0] = mean(&values, rows))[0];
        let cells: Vec<u32> = (0..rows as u32).collect();
        let each = bootstrap.intervals_of_cells(&cells, rows, 1, &|counts, out| {
            let sum: f64 = counts.iter().zip(&values).map(|(count, value)| *count as f64 * value).sum();
            out[0] = sum / counts.iter().sum::<u64>() as f64;
        })[0];
        let width = each.high - each.low;
        assert!((grouped.low - each.low).abs() < 0.01 * width, "{grouped:?}, {each:?}");
        assert!((grouped.high - each.high).abs() < 0.01 * width, "{grouped:?}, {each:?}");
    }

    #[test]
    fn few_rows_and_undefined_statistics_have_what_interval_they_can() {
        let bootstrap = Bootstrap { resamples: 999, seed: 0 };
        let none = bootstrap.intervals(0, 1, &|rows, out| out[0] = rows[0].into())[0];
        assert!(none.value.is_nan() && none.low.is_nan() && none.high.is_nan());
        let one = bootstrap.intervals(1, 1, &|rows, out| out[0] = f64::from(rows[0]) + 5.0)[0];
        let expected = BootstrapInterval { value: 5.0, low: 5.0, high: 5.0, method: BootstrapMethod::Percentile };
        assert_eq!(one, expected);
        assert_eq!(
            bootstrap.intervals_of_cells(&[1], 2, 1, &|counts, out| out[0] = 4.0 + counts[1] as f64),
            [expected]
        );
        assert!(bootstrap.intervals_of_cells(&[], 2, 1, &|_, out| out[0] = 1.0)[0].value.is_nan());

        // Not defined without row 0, which a third of the resamples lack.
        let some = bootstrap.intervals(20, 1, &|rows, out| {
            out[0] = if rows.contains(&0) { rows.iter().sum::<u32>().into() } else { f64::NAN };
        })[0];
        assert!(
            some.method == BootstrapMethod::Percentile && some.low < some.value && some.value < some.high,
            "{some:?}"
        );
    }
}

//! How long the texts of a split are, in tokens, words or characters.

use serde::{Deserialize, Serialize};

use super::rounded;

/// Bins of a histogram, the open last one left out.
const BINS: usize = 10;

/// A distribution of lengths. A quantile is the smallest length that at least that share of the rows doesn't pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// A quarter of the rows is no longer.
    pub p25: usize,
    /// Half of the rows is no longer.
    pub median: usize,
    /// Three quarters are no longer.
    pub p75: usize,
    /// 90 % are no longer.
    pub p90: usize,
    /// 95 % are no longer.
    pub p95: usize,
    /// 99 % are no longer.
    pub p99: usize,
    /// The longest.
    pub max: usize,
    /// All lengths together over the rows.
    pub mean: f64,
    /// Rows by length, from the shortest; every row is in one bin.
    pub histogram: Vec<Bin>,
}

/// Rows whose length is `from` or more and `to` or less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The least length.
    pub from: usize,
    /// The greatest length; `None` in the last bin, if that is open.
    pub to: Option<usize>,
    /// The rows.
    pub rows: usize,
}

impl Lengths {
    /// The distribution of `lengths`; all zero without any.
    pub(super) fn new(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let (Some(&min), Some(&max)) = (lengths.first(), lengths.last()) else {
            return Self::default();
        };
        let rows = lengths.len();
        let quantile = |percent: usize| lengths[((percent * rows).div_ceil(100)).clamp(1, rows) - 1];
        let total: u128 = lengths.iter().map(|&length| length as u128).sum();
        Self {
            min,
            p25: quantile(25),
            median: quantile(50),
            p75: quantile(75),
            p90: quantile(90),
            p95: quantile(95),
            p99: quantile(99),
            max,
            mean: rounded(total as f64 / rows as f64),
            histogram: histogram(&lengths, quantile(99)),
        }
    }
}

/// Bins of one round width that reach to `most`, and an open one for what is longer. A few very long texts would press
/// all others into one bin otherwise.
fn histogram(sorted: &[usize], most: usize) -> Vec<Bin> {
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    let least = (most - min) / BINS + 1;
    let width =
        (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power))).find(|width| *width >= least);
    let width = width.unwrap_or(least);
    let mut bins = Vec::new();
    let mut from = min / width * width;
    let mut before = 0;
    while from <= most {
        let to = from + width - 1;
        let until = sorted.partition_point(|&length| length <= to);
        bins.push(Bin { from, to: Some(to), rows: until - before });
        before = until;
        from += width;
    }
    if max >= from {
        bins.push(Bin { from, to: None, rows: sorted.len() - before });
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let found = Lengths::new((1..=200).rev().collect());
        let quantiles = [found.min, found.p25, found.median, found.p75, found.p90, found.p95, found.p99, found.max];
        assert_eq!(quantiles, [1, 50, 100, 150, 180, 190, 198, 200]);
        assert_eq!(found.mean, 100.5);
        let one = Lengths::new(vec![7]);
        assert_eq!((one.min, one.p25, one.p99, one.max, one.mean), (7, 7, 7, 7, 7.0));
        assert_eq!(Lengths::new(Vec::new()), Lengths::default());
    }

    #[test]
    fn a_histogram_has_round_bins_and_loses_no_row() {
        let mut lengths: Vec<usize> = (3..=52).cycle().take(1000).collect();
        lengths.push(9_000);
        let bins = Lengths::new(lengths).histogram;
        let edges: Vec<(usize, Option<usize>)> = bins.iter().map(|bin| (bin.from, bin.to)).collect();
        assert_eq!(edges[..2], [(0, Some(4)), (5, Some(9))]);
        assert_eq!(edges.last(), Some(&(55, None)));
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<usize>(), 1001);
        assert_eq!((bins[0].rows, bins[1].rows, bins.last().map(|bin| bin.rows)), (40, 100, Some(1)));
        assert_eq!(Lengths::new(vec![4, 4, 5]).histogram.len(), 2);
        // Sizes near the ends of the range overflow nothing.
        let wide = Lengths::new(vec![0, 1 << 40, 1 << 41]).histogram;
        assert!(wide.len() <= BINS + 2 && wide.iter().map(|bin| bin.rows).sum::<usize>() == 3, "{wide:?}");
    }
}

//! How long the texts of a split are, in tokens, words or characters.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::rounded;

/// Bins of a histogram, the open last one left out.
const BINS: usize = 10;

/// A distribution of lengths. A quantile is the smallest length that at least that share of the rows doesn't pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    pub min: usize,
    pub p25: usize,
    pub median: usize,
    pub p75: usize,
    pub p90: usize,
    pub p95: usize,
    pub p99: usize,
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
    pub from: usize,
    /// The greatest length; `None` in the last bin, if that is open.
    pub to: Option<usize>,
    pub rows: usize,
}

/// How many rows have each length: as many numbers as there are lengths, however many rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct LengthCounts(BTreeMap<usize, usize>);

impl LengthCounts {
    pub(crate) fn add(&mut self, length: usize) {
        *self.0.entry(length).or_default() += 1;
    }

    pub(super) fn above(&self, most: usize) -> usize {
        self.0.range((Bound::Excluded(most), Bound::Unbounded)).map(|(_, rows)| rows).sum()
    }

    fn between(&self, from: usize, to: usize) -> usize {
        self.0.range(from..=to).map(|(_, rows)| rows).sum()
    }
}

impl FromIterator<usize> for LengthCounts {
    fn from_iter<I: IntoIterator<Item = usize>>(lengths: I) -> Self {
        let mut tally = Self::default();
        lengths.into_iter().for_each(|length| tally.add(length));
        tally
    }
}

impl Lengths {
    /// The distribution of `lengths`; all zero without any.
    pub(super) fn new(lengths: &LengthCounts) -> Self {
        let (Some((&min, _)), Some((&max, _))) = (lengths.0.first_key_value(), lengths.0.last_key_value()) else {
            return Self::default();
        };
        let rows: usize = lengths.0.values().sum();
        let quantile = |percent: usize| {
            let rank = (percent * rows).div_ceil(100).clamp(1, rows);
            let mut passed = 0;
            let reaches = |&(_, rows): &(&usize, &usize)| {
                passed += rows;
                passed >= rank
            };
            lengths.0.iter().find(reaches).map_or(max, |(length, _)| *length)
        };
        let total: u128 = lengths.0.iter().map(|(&length, &rows)| length as u128 * rows as u128).sum();
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
            histogram: histogram(lengths, (min, quantile(99), max)),
        }
    }
}

/// Bins of one round width that reach to `most`, and an open one for what is longer. A few very long texts would press
/// all others into one bin otherwise.
fn histogram(lengths: &LengthCounts, (min, most, max): (usize, usize, usize)) -> Vec<Bin> {
    let least = (most - min) / BINS + 1;
    let width =
        (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power))).find(|width| *width >= least);
    let width = width.unwrap_or(least);
    let mut bins = Vec::new();
    let mut from = min / width * width;
    while from <= most {
        let to = from + width - 1;
        bins.push(Bin { from, to: Some(to), rows: lengths.between(from, to) });
        from += width;
    }
    if max >= from {
        bins.push(Bin { from, to: None, rows: lengths.above(from - 1) });
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: impl IntoIterator<Item = usize>) -> Lengths {
        Lengths::new(&lengths.into_iter().collect())
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let found = of((1..=200).rev());
        let quantiles = [found.min, found.p25, found.median, found.p75, found.p90, found.p95, found.p99, found.max];
        assert_eq!(quantiles, [1, 50, 100, 150, 180, 190, 198, 200]);
        assert_eq!(found.mean, 100.5);
        let one = of([7]);
        assert_eq!((one.min, one.p25, one.p99, one.max, one.mean), (7, 7, 7, 7, 7.0));
        assert_eq!(of([]), Lengths::default());
    }

    #[test]
    fn a_histogram_has_round_bins_and_loses_no_row() {
        let mut lengths: Vec<usize> = (3..=52).cycle().take(1000).collect();
        lengths.push(9_000);
        let bins = of(lengths).histogram;
        let edges: Vec<(usize, Option<usize>)> = bins.iter().map(|bin| (bin.from, bin.to)).collect();
        assert_eq!(edges[..2], [(0, Some(4)), (5, Some(9))]);
        assert_eq!(edges.last(), Some(&(55, None)));
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<usize>(), 1001);
        assert_eq!((bins[0].rows, bins[1].rows, bins.last().map(|bin| bin.rows)), (40, 100, Some(1)));
        assert_eq!(of([4, 4, 5]).histogram.len(), 2);
        // Sizes near the ends of the range overflow nothing.
        let wide = of([0, 1 << 40, 1 << 41]).histogram;
        assert!(wide.len() <= BINS + 2 && wide.iter().map(|bin| bin.rows).sum::<usize>() == 3, "{wide:?}");
    }
}

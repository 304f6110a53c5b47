//! A regression tree as its leaves: boxes that tile the space, each with the mean of the values in it.

use crate::sampler::generator::RandomGenerator;

pub(super) struct Feature {
    pub range: Range,
    /// For each trial the position in [0, 1], or the index of the choice; `None`: the trial lacks it.
    pub values: Vec<Option<f64>>,
}

/// The kind of a parameter's range.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    Line,
    Choices(usize),
}

pub(super) struct Leaf {
    value: f64,
    sides: Vec<FeatureRange>,
}

/// A box along one parameter.
#[derive(Clone)]
enum FeatureRange {
    Interval(f64, f64),
    Choices(Vec<bool>),
}

/// A node has at most this many ancestors.
const MAX_DEPTH: usize = 64;

impl FeatureRange {
    fn whole(range: Range) -> Self {
        match range {
            Range::Line => Self::Interval(0.0, 1.0),
            Range::Choices(count) => Self::Choices(vec![true; count]),
        }
    }

    fn size(&self) -> f64 {
        match self {
            Self::Interval(from, to) => to - from,
            Self::Choices(chosen) => chosen.iter().filter(|chosen| **chosen).count() as f64 / chosen.len() as f64,
        }
    }
}

/// The leaves of a tree for as many rows as there are values, drawn with replacement. Each split is the one that lowers
/// the squared error most, over all columns; a node whose values are equal is a leaf.
pub(super) fn grow(columns: &[Feature], values: &[f64], generator: &mut RandomGenerator) -> Vec<Leaf> {
    if values.is_empty() {
        return Vec::new();
    }
    let drawn: Vec<usize> = (0..values.len()).map(|_| generator.below(values.len())).collect();
    let mut missing = |range: Range| match range {
        Range::Line => generator.unit(),
        Range::Choices(count) => generator.below(count) as f64,
    };
    let sample = Sample {
        values: drawn.iter().map(|row| values[*row]).collect(),
        columns: columns
            .iter()
            .map(|column| {
                drawn.iter().map(|row| column.values[*row].unwrap_or_else(|| missing(column.range))).collect()
            })
            .collect(),
        ranges: columns.iter().map(|column| column.range).collect(),
    };
    let sides = columns.iter().map(|column| FeatureRange::whole(column.range)).collect();
    let mut leaves = Vec::new();
    let mut open = vec![((0..drawn.len()).collect::<Vec<usize>>(), sides, 0)];
    while let Some((rows, sides, depth)) = open.pop() {
        match if depth < MAX_DEPTH { sample.best_split(&rows) } else { None } {
            None => leaves.push(Leaf { value: sample.mean(&rows), sides }),
            Some(split) => {
                let (left, right): (Vec<usize>, Vec<usize>) =
                    rows.into_iter().partition(|row| split.goes_left(sample.columns[split.column][*row]));
                let (left_sides, right_sides) = split.cut(sides);
                open.push((left, left_sides, depth + 1));
                open.push((right, right_sides, depth + 1));
            }
        }
    }
    leaves
}

struct Sample {
    values: Vec<f64>,
    columns: Vec<Vec<f64>>,
    ranges: Vec<Range>,
}

struct TreeSplit {
    column: usize,
    left: Left,
}

enum Left {
    Below(f64),
    Choices(Vec<bool>),
}

impl TreeSplit {
    fn goes_left(&self, value: f64) -> bool {
        match &self.left {
            Left::Below(threshold) => value <= *threshold,
            Left::Choices(chosen) => chosen[value as usize],
        }
    }

    fn cut(&self, sides: Vec<FeatureRange>) -> (Vec<FeatureRange>, Vec<FeatureRange>) {
        let (mut left, mut right) = (sides.clone(), sides);
        match (&mut left[self.column], &mut right[self.column], &self.left) {
            (FeatureRange::Interval(_, to), FeatureRange::Interval(from, _), Left::Below(threshold)) => {
                *to = *threshold;
                *from = *threshold;
            }
            (FeatureRange::Choices(ours), FeatureRange::Choices(theirs), Left::Choices(chosen)) => {
                for (index, chosen) in chosen.iter().enumerate() {
                    ours[index] &= chosen;
                    theirs[index] &= !chosen;
                }
            }
            _ => {}
        }
        (left, right)
    }
}

impl Sample {
    fn mean(&self, rows: &[usize]) -> f64 {
        rows.iter().map(|row| self.values[*row]).sum::<f64>() / rows.len() as f64
    }

    /// The split with the least squared error; `None` where the values are equal or nothing tells the rows apart.
    fn best_split(&self, rows: &[usize]) -> Option<TreeSplit> {
        let mean = self.mean(rows);
        if rows.iter().all(|row| self.values[*row] == self.values[rows[0]]) {
            return None;
        }
        let mut best: Option<(f64, TreeSplit)> = None;
        for column in 0..self.columns.len() {
            let found = match self.ranges[column] {
                Range::Line => self.best_threshold(rows, column, mean),
                Range::Choices(count) => self.best_choices(rows, column, count, mean),
            };
            if let Some((gain, left)) = found
                && best.as_ref().is_none_or(|(most, _)| gain > *most)
            {
                best = Some((gain, TreeSplit { column, left }));
            }
        }
        best.map(|(_, split)| split)
    }

    fn best_threshold(&self, rows: &[usize], column: usize, mean: f64) -> Option<(f64, Left)> {
        let places = &self.columns[column];
        let mut order: Vec<(f64, f64)> = rows.iter().map(|row| (places[*row], self.values[*row] - mean)).collect();
        order.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut best: Option<(f64, Left)> = None;
        let mut left = 0.0;
        for (count, pair) in (1..).zip(order.windows(2)) {
            left += pair[0].1;
            let gain = gain(left, count, order.len());
            if pair[0].0 < pair[1].0 && best.as_ref().is_none_or(|(most, _)| gain > *most) {
                // Halfway, and never the upper one, which rounding could make of it.
                let threshold = pair[0].0 + (pair[1].0 - pair[0].0) / 2.0;
                best = Some((gain, Left::Below(if threshold < pair[1].0 { threshold } else { pair[0].0 })));
            }
        }
        best
    }

    /// With the choices in the order of their means, one of the cuts between neighbors is the best of all subsets
    /// (Breiman et al., "Classification and regression trees", 1984).
    fn best_choices(&self, rows: &[usize], column: usize, count: usize, mean: f64) -> Option<(f64, Left)> {
        let mut sums = vec![(0.0, 0_usize); count];
        for row in rows {
            let (sum, seen) = &mut sums[self.columns[column][*row] as usize];
            *sum += self.values[*row] - mean;
            *seen += 1;
        }
        let mut order: Vec<usize> = (0..count).filter(|choice| sums[*choice].1 > 0).collect();
        let average = |choice: &usize| sums[*choice].0 / sums[*choice].1 as f64;
        order.sort_by(|one, other| average(one).total_cmp(&average(other)));
        let mut best: Option<(f64, usize)> = None;
        let (mut left, mut seen) = (0.0, 0);
        for (cut, choice) in (1..order.len()).zip(&order) {
            left += sums[*choice].0;
            seen += sums[*choice].1;
            let gain = gain(left, seen, rows.len());
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, cut));
            }
        }
        best.map(|(gain, cut)| {
            let mut chosen = vec![false; count];
            order[..cut].iter().for_each(|choice| chosen[*choice] = true);
            (gain, Left::Choices(chosen))
        })
    }
}

/// By how much a split lowers the squared error, where the deviations of the `count` rows on its left, of all `rows`,
/// sum to `left`, and all of them to 0.
fn gain(left: f64, count: usize, rows: usize) -> f64 {
    left * left * (1.0 / count as f64 + 1.0 / (rows - count) as f64)
}

/// The variance of a tree's prediction over the whole space.
pub(super) fn variance(columns: &[Feature], leaves: &[Leaf]) -> f64 {
    let size = |leaf: &Leaf| (0..columns.len()).map(|index| leaf.sides[index].size()).product::<f64>();
    let sizes: Vec<f64> = leaves.iter().map(size).collect();
    spread(leaves.iter().map(|leaf| leaf.value).zip(sizes))
}

/// The variance, along one parameter, of a tree's prediction averaged over all the others.
pub(super) fn variance_along(columns: &[Feature], leaves: &[Leaf], column: usize) -> f64 {
    // A leaf adds its value to the average, weighted by its size in the other parameters, wherever its side reaches.
    let others = |leaf: &Leaf| {
        (0..columns.len()).filter(|index| *index != column).map(|index| leaf.sides[index].size()).product::<f64>()
    };
    match columns[column].range {
        Range::Choices(count) => {
            let mut averages = vec![0.0; count];
            for leaf in leaves {
                if let FeatureRange::Choices(chosen) = &leaf.sides[column] {
                    let part = leaf.value * others(leaf);
                    averages.iter_mut().zip(chosen).filter(|(_, chosen)| **chosen).for_each(|(sum, _)| *sum += part);
                }
            }
            spread(averages.into_iter().map(|average| (average, 1.0 / count as f64)))
        }
        Range::Line => {
            let mut changes: Vec<(f64, f64)> = Vec::with_capacity(2 * leaves.len());
            for leaf in leaves {
                if let FeatureRange::Interval(from, to) = leaf.sides[column] {
                    let part = leaf.value * others(leaf);
                    changes.extend([(from, part), (to, -part)]);
                }
            }
            changes.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut average = 0.0;
            let stretches: Vec<(f64, f64)> = changes
                .windows(2)
                .map(|pair| {
                    average += pair[0].1;
                    (average, pair[1].0 - pair[0].0)
                })
                .collect();
            spread(stretches)
        }
    }
}

/// The variance of values with weights that sum to 1.
fn spread(values: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let values: Vec<(f64, f64)> = values.into_iter().collect();
    let mean: f64 = values.iter().map(|(value, weight)| value * weight).sum();
    values.iter().map(|(value, weight)| (value - mean).powi(2) * weight).sum()
}

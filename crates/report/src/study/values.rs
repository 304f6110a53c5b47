//! The values of trials: their text, their place on an axis, and how good they are.

use crate::ticks::{self, Tick};

/// With fewer complete trials than this, all values are on the axis.
const MIN_TRIALS_FOR_OUTLIERS: usize = 8;
/// The axis reaches this many times as far down from the best as the middle trial does.
const MAX_DISTANCE: f64 = 6.0;
/// The axis ends before the worst value only where it would be this many times as long with it.
const MIN_SHORTENING: f64 = 1.5;
/// At most this share of the values may lie beyond the axis.
const MAX_OUTLIERS: f64 = 0.25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// Scores from 0 to 1, shown as 0 to 100 %.
    pub percent: bool,
    pub maximize: bool,
}

impl Measure {
    pub(super) fn of(values: &[f64], maximize: bool) -> Self {
        Self { percent: maximize && values.iter().all(|value| (0.0..=1.0).contains(value)), maximize }
    }

    /// A value as text: percent with two decimals, or four significant digits.
    pub(super) fn text(&self, value: f64) -> String {
        if self.percent { format!("{:.2} %", 100.0 * value) } else { significant(value) }
    }

    /// A number that is larger for better values.
    pub(super) fn merit(&self, value: f64) -> f64 {
        if self.maximize { value } else { -value }
    }
}

/// An axis of values that shows where most of them are. A few that are far worse lie on its edge.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueAxis {
    pub measure: Measure,
    low: f64,
    high: f64,
    /// How many values lie beyond the edge.
    pub beyond: usize,
}

impl ValueAxis {
    /// The axis for `all` values, which are finite, whose length depends on those of `complete` trials; `None` without values.
    pub(super) fn new(measure: Measure, all: &[f64], complete: &[f64]) -> Option<Self> {
        let (mut low, mut high) = all
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (value.min(low), value.max(high)));
        if low > high {
            return None;
        }
        let edge = edge(measure, all, complete);
        let beyond = edge.map_or(0, |edge| all.iter().filter(|v| measure.merit(**v) < measure.merit(edge)).count());
        match edge {
            Some(edge) if measure.maximize => low = edge,
            Some(edge) => high = edge,
            None => {}
        }
        // The axis of values that are never negative starts at 0 or above.
        let floor = if low >= 0.0 { 0.0 } else { f64::MIN };
        let margin = match high / 2.0 - low / 2.0 {
            half if half > 0.0 => 0.1 * half,
            _ if high == 0.0 => 1.0,
            _ => 0.05 * high.abs(),
        };
        let margin = margin.max(f64::MIN_POSITIVE);
        // There is no margin at an edge on which the values beyond it are drawn.
        let (below, above) = if beyond == 0 {
            (margin, margin)
        } else if measure.maximize {
            (0.0, margin)
        } else {
            (margin, 0.0)
        };
        Some(Self { measure, low: (low - below).max(floor), high: (high + above).min(f64::MAX), beyond })
    }

    /// Where a value lies on the axis, 0 at its lower end, 1 at its upper one.
    pub(super) fn place(&self, value: f64) -> f64 {
        self.place_beyond(value).clamp(0.0, 1.0)
    }

    /// The same for lines that lead beyond the axis: less than 0 or more than 1 there.
    pub(super) fn place_beyond(&self, value: f64) -> f64 {
        between(self.low, self.high, value)
    }

    /// How good a value is, from 0, the worst on the axis, to 1, the best.
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.measure.maximize { self.place(value) } else { 1.0 - self.place(value) }
    }

    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        let (factor, unit) = if self.measure.percent { (100.0, " %") } else { (1.0, "") };
        let mut numbers = ticks::round_numbers(factor * self.low, factor * self.high, most);
        numbers.retain(|number| !self.measure.percent || *number < 100.000_1);
        let tick = |(number, text)| Tick { place: self.place(number / factor), text: format!("{text}{unit}") };
        let texts = ticks::texts(&numbers);
        numbers.into_iter().zip(texts).map(tick).collect()
    }

    /// A sentence on `what` lies beyond the edge, in the plural; empty where nothing does.
    pub(super) fn outliers_text(&self, what: &str) -> String {
        if self.beyond == 0 {
            return String::new();
        }
        let (side, end, edge) =
            if self.measure.maximize { ("below", self.low, "lower") } else { ("above", self.high, "upper") };
        let end = self.measure.text(end);
        format!("To show the rest in detail, {what} {side} {end} are drawn on the {edge} edge ({}).", self.beyond)
    }
}

/// The value at which the axis ends because few are worse, and those by far; `None` where there's no such value.
fn edge(measure: Measure, all: &[f64], complete: &[f64]) -> Option<f64> {
    let sorted = |values: &[f64]| {
        let mut merits: Vec<f64> = values.iter().map(|value| measure.merit(*value)).collect();
        merits.sort_by(f64::total_cmp);
        merits
    };
    let (all, complete) = (sorted(all), sorted(complete));
    let (best, middle) = (*complete.last()?, *complete.get(complete.len() / 2)?);
    let quantile = *all.get((MAX_OUTLIERS * all.len() as f64) as usize)?;
    let edge = (best - MAX_DISTANCE * (best - middle)).min(quantile);
    let worth_it = all.first().is_some_and(|worst| best - worst > MIN_SHORTENING * (best - edge));
    // `merit` is its own inverse.
    (complete.len() >= MIN_TRIALS_FOR_OUTLIERS && edge.is_finite() && edge < best && worth_it)
        .then(|| measure.merit(edge))
}

/// The share of the way from `low` to `high`, without overflow; the middle if `low` and `high` are equal.
pub(super) fn between(low: f64, high: f64, value: f64) -> f64 {
    let length = high / 2.0 - low / 2.0;
    if length > 0.0 { (value / 2.0 - low / 2.0) / length } else { 0.5 }
}

/// A number in four significant digits.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.3e}");
    match text.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()) {
        Some(exponent @ -4..=5) => format!("{value:.*}", (3 - exponent).max(0) as usize),
        _ => text,
    }
}

/// A setting in at most four significant digits, whole numbers as such.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.fract() == 0.0 && value.abs() < 1e9 {
        return format!("{value:.0}");
    }
    let text = if value.abs() < 1e-3 { format!("{value:.3e}") } else { significant(value) };
    let (number, exponent) =
        text.split_once('e').map_or((text.as_str(), ""), |(number, _)| (number, &text[number.len()..]));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORE: Measure = Measure { percent: true, maximize: true };
    const LOSS: Measure = Measure { percent: false, maximize: false };

    #[test]
    fn scores_read_in_percent_and_the_rest_in_four_digits() {
        assert_eq!(Measure::of(&[0.2, 1.0], true), SCORE);
        assert_eq!(Measure::of(&[0.2, 1.0], false), LOSS);
        assert!(!Measure::of(&[-0.2, 1.0], true).percent);
        assert_eq!(SCORE.text(0.88416), "88.42 %");
        assert_eq!(
            [0.31416, 12.3456, 123_456.7, 2e-5, 0.0, -1.0].map(|v| LOSS.text(v)),
            ["0.3142", "12.35", "123457", "2.000e-5", "0", "-1.000"]
        );
        assert_eq!(
            [16.0, 2e-5, 1.234_567e-5, 0.1, 0.123_46, f64::NAN].map(short),
            ["16", "2e-5", "1.235e-5", "0.1", "0.1235", "–"]
        );
    }

    #[test]
    fn the_axis_has_room_for_any_values() {
        for all in [&[0.5][..], &[0.0], &[-2.0, -2.0], &[f64::MIN, f64::MAX], &[5e-324], &[1e300, 1e300], &[1.0, 2.0]] {
            let values = ValueAxis::new(LOSS, all, all).unwrap();
            assert!(values.low < values.high && values.high.is_finite() && values.low.is_finite(), "{values:?}");
            assert!(all.iter().all(|v| (0.0..=1.0).contains(&values.place(*v))));
            assert!(values.ticks(5).iter().all(|tick| (0.0..=1.0).contains(&tick.place)), "{:?}", values.ticks(5));
        }
        assert_eq!(ValueAxis::new(LOSS, &[], &[]), None);
    }

    #[test]
    fn the_best_has_the_whole_share_whichever_way_is_better() {
        let values = [0.2, 0.5, 0.9];
        let (score, loss) = (ValueAxis::new(SCORE, &values, &values), ValueAxis::new(LOSS, &values, &values));
        let (score, loss) = (score.unwrap(), loss.unwrap());
        assert!(score.share(0.9) > score.share(0.5) && score.share(0.5) > score.share(0.2));
        assert!(loss.share(0.2) > loss.share(0.5) && loss.share(0.5) > loss.share(0.9));
    }

    #[test]
    fn a_few_that_are_far_worse_lie_on_the_edge() {
        let mut scores: Vec<f64> = (0..20).map(|trial| 0.9 - 0.001 * f64::from(trial)).collect();
        scores.push(0.5);
        let values = ValueAxis::new(SCORE, &scores, &scores).unwrap();
        assert_eq!((values.beyond, values.place(0.5)), (1, 0.0));
        assert!(values.low > 0.83 && values.outliers_text("value is").contains("below 84.00 %"), "{values:?}");
        let losses: Vec<f64> = scores.iter().map(|score| 1.0 - score).collect();
        let values = ValueAxis::new(LOSS, &losses, &losses).unwrap();
        assert_eq!((values.beyond, values.place(0.5)), (1, 1.0));
        assert!(values.high < 0.17 && values.outliers_text("").contains("upper"), "{values:?}");

        let halves: Vec<f64> = (0..20).map(|trial| if trial % 2 == 0 { 0.9 } else { 0.5 }).collect();
        assert_eq!(ValueAxis::new(SCORE, &halves, &halves).unwrap().beyond, 0, "many aren't a few");
    }
}

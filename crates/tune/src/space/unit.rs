//! A distribution mapped onto the unit interval, and listed as values for a grid.

use super::Hyperparameter;
use crate::distribution::Distribution;

/// The internal value at `unit`, in [0, 1): the values of a discrete range have equal shares, and so have equal
/// factors in a logarithmic one.
pub(crate) fn from_unit(distribution: &Distribution, unit: f64) -> f64 {
    match distribution {
        Distribution::Float { low, high, step: Some(step), .. } => {
            let steps = ((high - low) / step).round();
            on_step(*low, *high, *step, (unit * (steps + 1.0)).floor().min(steps))
        }
        Distribution::Float { low, high, log: true, .. } => {
            (low.ln() + unit * (high.ln() - low.ln())).exp().clamp(*low, *high)
        }
        Distribution::Float { low, high, .. } => (low + unit * (high - low)).clamp(*low, *high),
        Distribution::Int { low, high, log: true, .. } => {
            // A whole number has the share of everything that is rounded to it.
            let (low, high) = (*low as f64, *high as f64);
            let (from, to) = ((low - 0.5).ln(), (high + 0.5).ln());
            (from + unit * (to - from)).exp().round().clamp(low, high)
        }
        Distribution::Int { low, high, step, .. } => {
            let steps = high.abs_diff(*low) / step.unsigned_abs();
            let index = ((unit * (steps as f64 + 1.0)) as u64).min(steps);
            (low + index as i64 * step) as f64
        }
        Distribution::Categorical { choices } => {
            let count = choices.len() as f64;
            (unit * count).floor().min(count - 1.0)
        }
    }
}

/// `low + index * step`.
pub(crate) fn on_step(low: f64, high: f64, step: f64, index: f64) -> f64 {
    short(low + index * step).clamp(low, high)
}

/// A value without the digits that binary fractions add: 0.3 instead of 0.30000000000000004.
fn short(value: f64) -> f64 {
    format!("{value:.13e}").parse().unwrap_or(value)
}

/// The number of values; `None` for a continuous range.
pub(crate) fn count(distribution: &Distribution) -> Option<u64> {
    match distribution {
        Distribution::Float { low, high, .. } if low == high => Some(1),
        Distribution::Float { step: None, .. } => None,
        Distribution::Float { low, high, step: Some(step), .. } => Some(((high - low) / step).round() as u64 + 1),
        Distribution::Int { low, high, step, .. } => Some(high.abs_diff(*low) / step.unsigned_abs() + 1),
        Distribution::Categorical { choices } => Some(choices.len() as u64),
    }
}

/// The internal values of a parameter in a grid, in order; `None` for a continuous range without `points`, and for more
/// than `max` values.
pub(crate) fn grid_values(parameter: &Hyperparameter, max: usize) -> Option<Vec<f64>> {
    let every = count(&parameter.distribution);
    let points = match (parameter.points, every) {
        (Some(points), Some(every)) => points.min(every.try_into().unwrap_or(usize::MAX)),
        (Some(points), None) => points,
        (None, every) => every?.try_into().ok()?,
    };
    if points > max {
        return None;
    }
    let share = |index: usize| if points > 1 { index as f64 / (points - 1) as f64 } else { 0.0 };
    let at = |index: usize| match &parameter.distribution {
        Distribution::Float { low, high, step: Some(step), .. } => {
            on_step(*low, *high, *step, (share(index) * ((high - low) / step)).round())
        }
        Distribution::Float { low, high, log: true, .. } => {
            short((low.ln() + share(index) * (high.ln() - low.ln())).exp()).clamp(*low, *high)
        }
        Distribution::Float { low, high, .. } => short(low + share(index) * (high - low)).clamp(*low, *high),
        Distribution::Int { low, high, log: true, .. } if Some(points as u64) != every => {
            let (low, high) = (*low as f64, *high as f64);
            (low.ln() + share(index) * (high.ln() - low.ln())).exp().round().clamp(low, high)
        }
        Distribution::Int { low, high, step, .. } => {
            let steps = (share(index) * (high.abs_diff(*low) / step.unsigned_abs()) as f64).round();
            (low + steps as i64 * step) as f64
        }
        Distribution::Categorical { .. } => index as f64,
    };
    let mut values: Vec<f64> = (0..points).map(at).collect();
    // Points on whole numbers may meet.
    values.dedup();
    Some(values)
}

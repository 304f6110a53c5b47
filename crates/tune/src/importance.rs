//! The importance of each parameter: the share of the value's variance that it explains by itself.
//!
//! Functional ANOVA over a random forest (Hutter, Hoos & Leyton-Brown, "An efficient approach for assessing
//! hyperparameter importance", 2014). Each tree cuts the space into boxes with one value each; averaged over all other
//! parameters that is a step function of one parameter, whose variance is divided by the tree's. What only
//! combinations explain is not counted; the shares are scaled so that they sum to 1.
//!
//! Ranges are measured as they are sampled: logarithmic ones in logarithms. A parameter that a trial lacks gets a random
//! value, a new one for each tree, so that its presence has no influence: that belongs to the parameter it depends on.

mod forest;

use std::collections::BTreeSet;

use crate::distribution::{Distribution, ParamValue};
use crate::sampler::generator::{Purpose, RandomGenerator};
use crate::trial::{Trial, TrialState};
use forest::{Feature, Range};

#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    pub name: String,
    /// Its share, in [0, 1]; all of them sum to 1.
    pub share: f64,
}

/// As many trees as Optuna grows.
const TREES: u64 = 64;

/// The importance of the parameters of the complete trials, the highest first. Empty if it is unknown: with fewer than
/// two trials, or only equal values.
///
/// A pure function of trials and seed.
pub fn importance(trials: &[Trial], seed: u64) -> Vec<Importance> {
    let finished = |trial: &&Trial| trial.state == TrialState::Complete && trial.value.is_some_and(f64::is_finite);
    let trials: Vec<&Trial> = trials.iter().filter(finished).collect();
    let values: Vec<f64> = trials.iter().filter_map(|trial| trial.value).collect();
    let names: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.params.keys()).collect();
    let columns: Vec<Feature> = names.iter().map(|name| column(name, &trials)).collect();

    let mut shares = vec![0.0; columns.len()];
    for tree in 0..TREES {
        let mut generator = RandomGenerator::new(seed, tree, Purpose::Forest);
        let leaves = forest::grow(&columns, &values, &mut generator);
        let total = forest::variance(&columns, &leaves);
        if total > 0.0 {
            for (index, share) in shares.iter_mut().enumerate() {
                *share += forest::variance_along(&columns, &leaves, index) / total;
            }
        }
    }
    let sum: f64 = shares.iter().sum();
    if sum <= 0.0 {
        return Vec::new();
    }
    let mut found: Vec<Importance> = names
        .into_iter()
        .zip(shares)
        .map(|(name, share)| Importance { name: name.clone(), share: share / sum })
        .collect();
    found.sort_by(|one, other| other.share.total_cmp(&one.share));
    found
}

/// A parameter's values, in the order of the trials, and its range. Ranges that changed during the study are joined.
fn column(name: &str, trials: &[&Trial]) -> Feature {
    let params = trials.iter().map(|trial| trial.params.get(name));
    let distributions: Vec<&Distribution> = params.clone().flatten().map(|param| &param.distribution).collect();
    let is_choice = |distribution: &&Distribution| matches!(distribution, Distribution::Categorical { .. });
    if distributions.iter().all(|distribution| !is_choice(distribution)) {
        let log = distributions.iter().all(|distribution| is_log(distribution));
        let scale = |number: f64| if log { number.ln() } else { number };
        let bounds = distributions.iter().map(|distribution| bounds(distribution));
        let (low, high) = bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (from, to)| {
            (low.min(scale(from)), high.max(scale(to)))
        });
        let unit = |number: f64| if high > low { (scale(number) - low) / (high - low) } else { 0.5 };
        let values = params.map(|param| Some(unit(param?.internal))).collect();
        return Feature { range: Range::Line, values };
    }
    // Choices of all trials, by value.
    let mut choices: Vec<ParamValue> = Vec::new();
    let mut values = Vec::new();
    for param in params {
        values.push(param.map(|param| {
            let own = param.distribution.to_external(param.internal);
            let all = match &param.distribution {
                Distribution::Categorical { choices } => choices.as_slice(),
                _ => std::slice::from_ref(&own),
            };
            for choice in all {
                if !choices.contains(choice) {
                    choices.push(choice.clone());
                }
            }
            choices.iter().position(|choice| *choice == own).unwrap_or_default() as f64
        }));
    }
    Feature { range: Range::Choices(choices.len()), values }
}

fn is_log(distribution: &Distribution) -> bool {
    matches!(distribution, Distribution::Float { log: true, .. } | Distribution::Int { log: true, .. })
}

/// The ends of a range; with steps half a step wider, so that each value has an equal share.
fn bounds(distribution: &Distribution) -> (f64, f64) {
    match distribution {
        Distribution::Float { low, high, step, .. } => {
            let half = step.unwrap_or(0.0) / 2.0;
            (low - half, high + half)
        }
        Distribution::Int { low, high, step, .. } => {
            let half = *step as f64 / 2.0;
            (*low as f64 - half, *high as f64 + half)
        }
        Distribution::Categorical { choices } => (0.0, choices.len() as f64),
    }
}

#[cfg(test)]
mod tests;

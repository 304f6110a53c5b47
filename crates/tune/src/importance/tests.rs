use std::collections::BTreeMap;

use super::*;
use crate::trial::Param;

fn line(low: f64, high: f64) -> Distribution {
    Distribution::Float { low, high, log: false, step: None }
}

fn words(words: &[&str]) -> Distribution {
    Distribution::Categorical { choices: words.iter().map(|word| ParamValue::Str((*word).to_owned())).collect() }
}

fn trial(params: Vec<(&str, &Distribution, f64)>, value: f64) -> Trial {
    Trial {
        number: 0,
        state: TrialState::Complete,
        value: Some(value),
        params: params
            .into_iter()
            .map(|(name, distribution, internal)| {
                (name.to_owned(), Param { distribution: distribution.clone(), internal })
            })
            .collect(),
        intermediate: BTreeMap::new(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        started: None,
        completed: None,
    }
}

/// Random trials: what `make` makes of three units.
fn trials(count: u64, make: impl Fn([f64; 3]) -> Trial) -> Vec<Trial> {
    let units = |number| {
        let mut generator = RandomGenerator::new(17, number, Purpose::Random);
        [generator.unit(), generator.unit(), generator.unit()]
    };
    (0..count).map(|number| make(units(number))).collect()
}

fn shares(trials: &[Trial]) -> BTreeMap<String, f64> {
    importance(trials, 3).into_iter().map(|one| (one.name, one.share)).collect()
}

#[test]
fn a_sum_of_steps_is_taken_apart_exactly() {
    // Two choices and a threshold, all combinations: 2 x 2 boxes, variances 1 and 4.
    let (choice, range) = (words(&["a", "b"]), line(0.0, 1.0));
    let trials = trials(300, |[a, b, _]| {
        let (a, b) = ((a * 2.0).floor(), b);
        trial(vec![("choice", &choice, a), ("range", &range, b)], 2.0 * a + 4.0 * f64::from(b > 0.5))
    });
    let shares = shares(&trials);
    assert!((shares["choice"] - 0.2).abs() < 0.01 && (shares["range"] - 0.8).abs() < 0.01, "{shares:?}");
}

#[test]
fn a_logarithmic_range_is_measured_by_factors() {
    // Up to 1e-3, half of all factors: by differences almost nothing would lie below.
    let (rate, other) = (Distribution::Float { low: 1e-5, high: 1e-1, log: true, step: None }, line(0.0, 1.0));
    let trials = trials(300, |[a, b, _]| {
        let a = 1e-5 * 1e4_f64.powf(a);
        trial(vec![("rate", &rate, a), ("other", &other, b)], f64::from(a > 1e-3) + f64::from(b > 0.5))
    });
    let shares = shares(&trials);
    assert!((shares["rate"] - 0.5).abs() < 0.03, "{shares:?}");
}

#[test]
fn parameters_without_values_have_no_importance() {
    // Only the optimizer decides; momentum is there with one of them.
    let (optimizer, momentum) = (words(&["adamw", "sgd"]), line(0.0, 1.0));
    let trials = trials(200, |[a, b, _]| {
        let sgd = f64::from(a > 0.5);
        let mut params = vec![("optimizer", &optimizer, sgd)];
        if sgd == 1.0 {
            params.push(("momentum", &momentum, b));
        }
        trial(params, sgd)
    });
    let shares = shares(&trials);
    assert!(shares["optimizer"] > 0.99, "{shares:?}");
}

#[test]
fn ranges_that_changed_are_joined() {
    let (narrow, wide, choices, more) = (line(0.0, 1.0), line(0.0, 2.0), words(&["a", "b"]), words(&["c", "b", "a"]));
    let trials = trials(200, |[a, b, c]| {
        if c < 0.5 {
            return trial(vec![("x", &narrow, a), ("y", &choices, f64::from(b < 0.5))], a);
        }
        trial(vec![("x", &wide, 2.0 * a), ("y", &more, (b * 3.0).floor())], 2.0 * a)
    });
    let shares = shares(&trials);
    assert!(shares["x"] > 0.95 && shares["y"] < 0.05, "{shares:?}");
}

#[test]
fn too_few_trials_give_no_importance() {
    let range = line(0.0, 1.0);
    assert_eq!(importance(&[], 0), []);
    assert_eq!(importance(&[trial(vec![("x", &range, 0.3)], 1.0)], 0), []);
    let equal = trials(20, |[a, ..]| trial(vec![("x", &range, a)], 1.0));
    assert_eq!(importance(&equal, 0), []);
    let single = words(&["a"]);
    let trials = trials(20, |[a, ..]| trial(vec![("x", &range, a), ("y", &single, 0.0)], a));
    assert_eq!(shares(&trials), BTreeMap::from([("x".to_owned(), 1.0), ("y".to_owned(), 0.0)]));
}

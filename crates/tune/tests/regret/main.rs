//! How far the samplers stay from the minimum of six functions after 100 trials, held against Optuna's TPE and random
//! sampler on the same functions (tests/fixtures/tune/make_regret.py, whose numbers are in regret.json).
//!
//! `cargo test -p tune --test regret -- --nocapture` shows the table: median regret over the 30 seeds that Optuna had, in
//! brackets our TPE's over it.

mod functions;

use std::collections::BTreeMap;

use functions::{Function, functions, values};
use serde::Deserialize;
use serde_json::Value;
use tune::sampler::{RandomSampler, Sampler, Sobol, Tpe};
use tune::{ParamValue, StudyDirection, Trial, TrialState};

const TRIALS: usize = 100;

#[derive(Deserialize)]
struct Fixture {
    functions: Vec<Expected>,
}

/// What Optuna reached: for each seed the regret after 25, 50 and 100 trials.
#[derive(Deserialize)]
struct Expected {
    name: String,
    minimum: f64,
    checks: Vec<Check>,
    tpe: Vec<[f64; 3]>,
    random: Vec<[f64; 3]>,
}

#[derive(Deserialize)]
struct Check {
    point: BTreeMap<String, Value>,
    value: f64,
}

fn expected() -> Vec<(Function, Expected)> {
    let fixture: Fixture = test_support::fixture("tune/regret.json");
    let both: Vec<(Function, Expected)> = functions().into_iter().zip(fixture.functions).collect();
    assert_eq!(both.len(), 6);
    assert!(both.iter().all(|(function, expected)| function.name == expected.name));
    both
}

/// The best value of 100 trials less the minimum.
fn regret(function: &Function, minimum: f64, sampler: &dyn Sampler) -> f64 {
    let mut trials: Vec<Trial> = Vec::new();
    for number in 0..TRIALS as u64 {
        let params = sampler.sample(&function.space, &trials, number, StudyDirection::Minimize).unwrap().unwrap();
        let value = (function.value)(&values(&params));
        trials.push(Trial {
            number,
            state: TrialState::Complete,
            value: Some(value),
            params,
            intermediate: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: None,
            completed: None,
        });
    }
    trials.iter().filter_map(|trial| trial.value).fold(f64::INFINITY, f64::min) - minimum
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    (values[middle] + values[(values.len() - 1) / 2]) / 2.0
}

/// Median regrets over seeds: our TPE's, Optuna's TPE's, our random sampler's.
fn medians(function: &Function, expected: &Expected, seeds: u64) -> [f64; 3] {
    let ours = |sampler: fn(u64) -> Box<dyn Sampler>| {
        median((0..seeds).map(|seed| regret(function, expected.minimum, &*sampler(seed))).collect())
    };
    let theirs = median(expected.tpe.iter().map(|run| run[2]).collect());
    [ours(|seed| Box::new(Tpe::new(seed))), theirs, ours(|seed| Box::new(RandomSampler { seed }))]
}

#[test]
fn the_functions_are_those_of_the_optuna_fixture() {
    for (function, expected) in expected() {
        for check in expected.checks {
            let value = |value: Value| match value {
                Value::String(text) => ParamValue::Str(text),
                Value::Number(number) if number.is_i64() => ParamValue::Int(number.as_i64().unwrap()),
                other => ParamValue::Float(other.as_f64().unwrap()),
            };
            let point = check.point.into_iter().map(|(name, found)| (name, value(found))).collect();
            let found = (function.value)(&point);
            let near = 1e-10 * check.value.abs().max(1.0);
            assert!((found - check.value).abs() < near, "{}: {found} instead of {}", function.name, check.value);
        }
    }
}

#[test]
fn tpe_is_as_good_as_optunas_and_better_than_chance() {
    println!(
        "{:18} {:>10} {:>16} {:>16} {:>16} {:>16}",
        "", "tpe", "Optuna's tpe", "random", "Optuna's random", "sobol"
    );
    for (function, expected) in expected() {
        let seeds = expected.tpe.len() as u64;
        let [tpe, optuna, random] = medians(&function, &expected, seeds);
        let sobol = median((0..seeds).map(|seed| regret(&function, expected.minimum, &Sobol { seed })).collect());
        let others = [optuna, random, median(expected.random.iter().map(|run| run[2]).collect()), sobol];
        let others = others.map(|other| format!("{other:.4} ({:.2})", tpe / other));
        println!("{:18} {tpe:>10.4} {}", function.name, others.map(|other| format!("{other:>16}")).join(" "));
        assert!(tpe <= 1.1 * optuna && tpe < random, "{}", function.name);
    }
}

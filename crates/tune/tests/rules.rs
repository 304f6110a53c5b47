//! Decisions of the pruners and importances of parameters, compared with those of Optuna in the fixtures that
//! tests/fixtures/tune/make_optuna.py wrote.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use test_support::fixture;
use tune::importance::importance;
use tune::pruner::{Asha, Median, Pruner};
use tune::{Distribution, Param, ParamValue, StudyDirection, Trial, TrialState};

/// Values by step; what is no number is `None`.
type Values = BTreeMap<String, Option<f64>>;

fn trial(number: usize, state: TrialState, values: &Values) -> Trial {
    let step = |(step, value): (&String, &Option<f64>)| (step.parse().unwrap(), value.unwrap_or(f64::NAN));
    Trial {
        number: number as u64,
        state,
        value: (state == TrialState::Complete).then_some(0.5),
        params: BTreeMap::new(),
        intermediate: values.iter().map(step).collect(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        started: None,
        completed: None,
    }
}

fn direction(word: &str) -> StudyDirection {
    if word == "maximize" { StudyDirection::Maximize } else { StudyDirection::Minimize }
}

#[derive(Deserialize)]
struct Pruners {
    median: Vec<MedianCase>,
    halving: Vec<HalvingCase>,
}

#[derive(Deserialize)]
struct MedianCase {
    direction: String,
    n_startup_trials: usize,
    n_warmup_steps: u64,
    interval_steps: u64,
    n_min_trials: usize,
    trials: Vec<Finished>,
    running: Values,
    pruned: bool,
}

#[derive(Deserialize)]
struct Finished {
    state: String,
    values: Values,
}

#[derive(Deserialize)]
struct HalvingCase {
    direction: String,
    min_resource: u64,
    reduction_factor: u64,
    min_early_stopping_rate: u32,
    trials: Vec<Raced>,
}

#[derive(Deserialize)]
struct Raced {
    values: Values,
    stopped: Option<u64>,
}

const PRUNERS: &str = "tune/pruners.json";

#[test]
fn the_median_rule_decides_as_optuna_does() {
    let cases = fixture::<Pruners>(PRUNERS).median;
    assert!(cases.len() >= 100 && cases.iter().filter(|case| case.pruned).count() >= 20);
    for (index, case) in cases.iter().enumerate() {
        let rule = Median {
            startup_trials: case.n_startup_trials,
            warmup_steps: case.n_warmup_steps,
            interval_steps: case.interval_steps,
            min_trials: case.n_min_trials,
        };
        let state = |word: &str| match word {
            "complete" => TrialState::Complete,
            "pruned" => TrialState::Pruned,
            _ => TrialState::Fail,
        };
        let trials: Vec<Trial> =
            case.trials.iter().enumerate().map(|(number, one)| trial(number, state(&one.state), &one.values)).collect();
        let running = trial(trials.len(), TrialState::Running, &case.running);
        assert_eq!(rule.should_prune(&trials, &running, direction(&case.direction)), case.pruned, "case {index}");
    }
}

#[test]
fn successive_halving_stops_the_same_trials_at_the_same_steps_as_optuna() {
    let cases = fixture::<Pruners>(PRUNERS).halving;
    let stopped = cases.iter().flat_map(|case| &case.trials).filter(|raced| raced.stopped.is_some()).count();
    assert!(cases.len() >= 10 && stopped >= 50);
    for (index, case) in cases.iter().enumerate() {
        let rule = Asha {
            min_resource: case.min_resource,
            spacing: case.reduction_factor,
            reduction_factor: case.reduction_factor,
            min_early_stopping_rate: case.min_early_stopping_rate,
        };
        let mut trials: Vec<Trial> = Vec::new();
        for (number, raced) in case.trials.iter().enumerate() {
            let all = trial(number, TrialState::Running, &raced.values).intermediate;
            let mut running = trial(number, TrialState::Running, &Values::new());
            let mut stopped = None;
            for (step, value) in all {
                running.intermediate.insert(step, value);
                if rule.should_prune(&trials, &running, direction(&case.direction)) {
                    stopped = Some(step);
                    break;
                }
            }
            assert_eq!(stopped, raced.stopped, "study {index}, trial {number}");
            running.state = if stopped.is_some() { TrialState::Pruned } else { TrialState::Complete };
            trials.push(running);
        }
    }
}

#[derive(Deserialize)]
struct Importances {
    studies: Vec<Study>,
}

#[derive(Deserialize)]
struct Study {
    name: String,
    comparable: bool,
    distributions: BTreeMap<String, Value>,
    /// Parameters in the order of their names, and the value.
    trials: Vec<(Vec<Value>, f64)>,
    shares: BTreeMap<String, f64>,
}

fn distribution(description: &Value) -> Distribution {
    let attributes = &description["attributes"];
    let log = attributes["log"].as_bool().unwrap_or(false);
    match description["name"].as_str() {
        Some("FloatDistribution") => Distribution::Float {
            low: attributes["low"].as_f64().unwrap(),
            high: attributes["high"].as_f64().unwrap(),
            log,
            step: attributes["step"].as_f64(),
        },
        Some("IntDistribution") => Distribution::Int {
            low: attributes["low"].as_i64().unwrap(),
            high: attributes["high"].as_i64().unwrap(),
            log,
            step: attributes["step"].as_i64().unwrap(),
        },
        _ => {
            Distribution::Categorical { choices: attributes["choices"].as_array().unwrap().iter().map(value).collect() }
        }
    }
}

fn value(value: &Value) -> ParamValue {
    match value {
        Value::String(text) => ParamValue::Str(text.clone()),
        Value::Number(number) if number.is_i64() => ParamValue::Int(number.as_i64().unwrap()),
        other => ParamValue::Float(other.as_f64().unwrap()),
    }
}

#[test]
fn importance_is_near_optunas() {
    let studies = fixture::<Importances>("tune/importance.json").studies;
    assert_eq!(studies.len(), 5);
    for study in studies {
        let distributions: Vec<(&String, Distribution)> =
            study.distributions.iter().map(|(name, description)| (name, distribution(description))).collect();
        let trials: Vec<Trial> = study
            .trials
            .iter()
            .enumerate()
            .map(|(number, (values, result))| {
                let param = |((name, distribution), found): (&(&String, Distribution), &Value)| {
                    let internal = distribution.to_internal(&value(found)).unwrap();
                    ((*name).clone(), Param { distribution: distribution.clone(), internal })
                };
                Trial {
                    params: distributions.iter().zip(values).map(param).collect(),
                    value: Some(*result),
                    ..trial(number, TrialState::Complete, &Values::new())
                }
            })
            .collect();
        let found = importance(&trials, 0);
        println!("{}: {found:?}, by Optuna {:?}", study.name, study.shares);
        for one in &found {
            if study.comparable {
                let expected = study.shares[&one.name];
                assert!((one.share - expected).abs() < 0.05, "{}: {one:?} instead of {expected}", study.name);
            }
        }
        let mut expected: Vec<&String> = study.shares.keys().collect();
        expected.sort_by(|one, other| study.shares[*other].total_cmp(&study.shares[*one]));
        // The two factors of the product are equal but for chance.
        if study.name != "product" {
            assert_eq!(found.iter().map(|one| &one.name).collect::<Vec<_>>(), expected, "{}", study.name);
        }
    }
}

//! What pruners would have done: complete trainings, given as their logs, are replayed in random orders as the trials of
//! a study, one at a time, under each of several rules.
//!
//! ```text
//! cargo run -p tune --example replay -- studies/mine/trials/*/log.jsonl
//! ```
//!
//! For each rule: the share of all optimizer steps that it takes, how far the best trial that it brings to its end stays
//! behind the best of all (in points of a hundred), and in how many orders that is half a point or less.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;
use tune::pruner::{Asha, Median, NopPruner, Pruner};
use tune::{StudyDirection, Trial, TrialState};

const ORDERS: u64 = 1000;

/// A complete training: optimizer steps and value of each evaluation.
struct Training {
    evaluations: Vec<(u64, f64)>,
}

impl Training {
    fn read(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let evaluations = events.filter(|event| event["event"] == "evaluation").filter_map(|event| {
            // Logs of before `value` was there have the accuracy all the same.
            let value = event["value"].as_f64().or(event["accuracy"].as_f64())?;
            Some((event["step"].as_u64()?, value))
        });
        let evaluations: Vec<_> = evaluations.collect();
        if evaluations.is_empty() { Err(format!("{path}: no evaluation in it")) } else { Ok(Self { evaluations }) }
    }

    fn best(&self) -> f64 {
        self.evaluations.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max)
    }

    fn steps(&self) -> u64 {
        self.evaluations.last().map_or(0, |(step, _)| *step)
    }
}

/// Runs the trainings in this order under a rule: steps taken, and the best value of those that came to their end.
fn replay(order: &[&Training], rule: &dyn Pruner) -> (u64, f64) {
    let (mut trials, mut steps, mut best) = (Vec::new(), 0, f64::NEG_INFINITY);
    for (number, training) in (0..).zip(order) {
        let mut trial = Trial {
            number,
            state: TrialState::Running,
            value: None,
            params: BTreeMap::new(),
            intermediate: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: None,
            completed: None,
        };
        let mut taken = 0;
        for (evaluation, (step, value)) in (1..).zip(&training.evaluations) {
            taken = *step;
            trial.intermediate.insert(evaluation, *value);
            // At its end a trial isn't given up any more.
            if *step < training.steps() && rule.should_prune(&trials, &trial, StudyDirection::Maximize) {
                trial.state = TrialState::Pruned;
                break;
            }
        }
        if trial.state == TrialState::Running {
            trial.state = TrialState::Complete;
            trial.value = Some(training.best());
            best = best.max(training.best());
        }
        steps += taken;
        trials.push(trial);
    }
    (steps, best)
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let trainings: Vec<Training> = match paths.iter().map(|path| Training::read(path)).collect() {
        Ok(trainings) => trainings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if trainings.len() < 2 {
        eprintln!("error: replaying needs the logs of two trainings or more");
        return ExitCode::FAILURE;
    }
    let all: u64 = trainings.iter().map(Training::steps).sum();
    let best = trainings.iter().map(Training::best).fold(f64::NEG_INFINITY, f64::max);
    println!("{} trainings, {all} steps, best {best:.4}; {ORDERS} orders\n", trainings.len());
    println!("{:44} {:>7} {:>7} {:>8}", "", "steps", "behind", "<= 0.5");
    let asha = |spacing, reduction_factor| Asha { spacing, reduction_factor, ..Asha::default() };
    let rules: [(&str, &dyn Pruner); 6] = [
        ("none", &NopPruner),
        ("median", &Median::default()),
        ("asha: the better half at 1, 4, 16 (default)", &Asha::default()),
        ("asha: the better half at 1, 2, 4, 8, 16", &asha(2, 2)),
        ("asha: the best third at 1, 3, 9", &asha(3, 3)),
        ("asha: the best quarter at 1, 4, 16", &asha(4, 4)),
    ];
    for (name, rule) in rules {
        let mut state = 0;
        let (mut share, mut behind, mut near) = (0.0, 0.0, 0);
        for _ in 0..ORDERS {
            let mut order: Vec<&Training> = trainings.iter().collect();
            for last in (1..order.len()).rev() {
                order.swap(last, (random(&mut state) % (last as u64 + 1)) as usize);
            }
            let (steps, found) = replay(&order, rule);
            share += steps as f64 / all as f64;
            behind += 100.0 * (best - found);
            near += usize::from(100.0 * (best - found) <= 0.5);
        }
        let mean = |sum: f64| sum / ORDERS as f64;
        println!(
            "{name:44} {:>5.1} % {:>7.2} {:>6.1} %",
            100.0 * mean(share),
            mean(behind),
            100.0 * near as f64 / ORDERS as f64
        );
    }
    ExitCode::SUCCESS
}

//! What holds for every sampler in every space, with every history: proposals lie in the space and honor its
//! conditions, the same question has the same answer, and nothing is proposed twice.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tune::pruner::PrunerKind;
use tune::sampler::{RandomSampler, Sampler, SamplerKind};
use tune::space::{Hyperparameter, Space};
use tune::{Distribution, ParamValue, StudyDirection, Trial, TrialState};

const DIRECTIONS: [StudyDirection; 2] = [StudyDirection::Minimize, StudyDirection::Maximize];

fn distribution() -> impl Strategy<Value = Distribution> {
    prop_oneof![
        (1..5_usize).prop_map(choices),
        (-3.0..3.0, 0.0..5.0).prop_map(|(low, width)| Distribution::Float {
            low,
            high: low + width,
            log: false,
            step: None
        }),
        (1e-8..1.0, 1.0..1e6).prop_map(|(low, factor)| Distribution::Float {
            low,
            high: low * factor,
            log: true,
            step: None
        }),
        (-20..20_i32, 1..8_i32, 0..7_i32).prop_map(|(low, step, steps)| Distribution::Float {
            low: f64::from(low) / 100.0,
            high: f64::from(low + step * steps) / 100.0,
            log: false,
            step: Some(f64::from(step) / 100.0),
        }),
        (-9..9_i64, 1..4_i64, 0..6_i64).prop_map(|(low, step, steps)| Distribution::Int {
            low,
            high: low + step * steps,
            log: false,
            step
        }),
        (1..9_i64, 0..50_i64).prop_map(|(low, width)| Distribution::Int { low, high: low + width, log: true, step: 1 }),
    ]
}

fn choices(count: usize) -> Distribution {
    Distribution::Categorical { choices: (0..count).map(choice).collect() }
}

fn choice(index: usize) -> ParamValue {
    match index {
        0 => ParamValue::Str("zero".to_owned()),
        1 => ParamValue::Bool(true),
        2 => ParamValue::Float(2.5),
        _ => ParamValue::Int(index as i64),
    }
}

/// Up to six parameters; some depend on an earlier choice, which may depend on another.
fn space() -> impl Strategy<Value = Space> {
    let parameter = (distribution(), any::<Option<(prop::sample::Index, prop::sample::Index)>>());
    prop::collection::vec(parameter, 1..7).prop_map(|drawn| {
        let mut parameters: Vec<Hyperparameter> = Vec::new();
        for (index, (distribution, dependence)) in drawn.into_iter().enumerate() {
            let mut parameter = Hyperparameter::new(format!("p{index}"), distribution);
            parameter.points = Some(3);
            let parents: Vec<&Hyperparameter> =
                parameters.iter().filter(|one| matches!(one.distribution, Distribution::Categorical { .. })).collect();
            if let (Some((which, value)), false) = (dependence, parents.is_empty()) {
                let parent = which.get(&parents);
                if let Distribution::Categorical { choices } = &parent.distribution {
                    parameter = parameter.when(parent.name.clone(), [value.get(choices).clone()]);
                }
            }
            parameters.push(parameter);
        }
        Space::new(parameters, toml::Table::new()).expect("a space made well")
    })
}

/// Trials as others left them: in each state, with values among which are infinities and what is no number.
fn history(space: &Space, trial_outcomes: &[(u8, f64)]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (number, (state, value)) in (0..).zip(trial_outcomes) {
        let random = RandomSampler { seed: 99 };
        let Some(params) = random.sample(space, &trials, number, StudyDirection::Minimize).unwrap() else { break };
        let state = match state % 5 {
            0 => TrialState::Running,
            1 => TrialState::Pruned,
            2 => TrialState::Fail,
            _ => TrialState::Complete,
        };
        trials.push(Trial {
            number,
            state,
            value: (state == TrialState::Complete).then_some(*value),
            params,
            intermediate: BTreeMap::from([(number % 4, *value)]),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: None,
            completed: None,
        });
    }
    trials
}

fn trial_outcomes() -> impl Strategy<Value = Vec<(u8, f64)>> {
    let value =
        prop_oneof![8 => -5.0..5.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY)];
    prop::collection::vec((any::<u8>(), value), 0..40)
}

/// A proposal as text, to compare by.
fn shown(space: &Space, trial: &BTreeMap<String, tune::Param>) -> String {
    space.settings(trial).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proposals_lie_in_the_space(space in space(), trial_outcomes in trial_outcomes(), seed: u64, ahead in 0..50_u64) {
        let trials = history(&space, &trial_outcomes);
        let number = trials.len() as u64 + ahead;
        for (kind, direction) in SamplerKind::all().into_iter().flat_map(|kind| DIRECTIONS.map(|way| (kind, way))) {
            let sampler = kind.sampler(seed);
            let proposed = sampler.sample(&space, &trials, number, direction).unwrap();
            prop_assert_eq!(&proposed, &sampler.sample(&space, &trials, number, direction).unwrap(), "{}", kind);
            if let Some(params) = proposed {
                prop_assert!(space.contains(&params), "{}: {:?}", kind, params);
            }
        }
    }

    #[test]
    fn a_finite_space_is_exhausted_without_repetition(space in space(), seed: u64, kind in 0..4_usize) {
        let kind = SamplerKind::all()[kind];
        let sampler = kind.sampler(seed);
        let mut trials: Vec<Trial> = Vec::new();
        let mut seen = BTreeSet::new();
        for number in 0..30 {
            let Some(params) = sampler.sample(&space, &trials, number, StudyDirection::Maximize).unwrap() else { break };
            prop_assert!(seen.insert(shown(&space, &params)), "{} repeats {:?}", kind, params);
            trials.push(Trial { params, number, ..history(&space, &[(3, number as f64)]).remove(0) });
        }
        let whole = |parameter: &Hyperparameter| match &parameter.distribution {
            Distribution::Float { low, high, step, .. } => step.is_some() || low == high,
            _ => true,
        };
        // A grid takes three values of each range only; the others go on while there is anything.
        if trials.len() < 30 && kind != SamplerKind::Grid {
            prop_assert!(space.parameters().iter().all(whole), "{} ended after {} trials", kind, trials.len());
            let every: Vec<Hyperparameter> =
                space.parameters().iter().map(|one| Hyperparameter { points: None, ..one.clone() }).collect();
            let every = Space::new(every, toml::Table::new()).unwrap();
            prop_assert_eq!(trials.len(), tune::sampler::Grid::size(&every).unwrap(), "{}", kind);
        }
    }

    #[test]
    fn maximizing_equals_minimizing_the_negative(space in space(), trial_outcomes in trial_outcomes(), seed: u64) {
        let trials = history(&space, &trial_outcomes);
        let turned: Vec<Trial> = trials
            .iter()
            .map(|trial| Trial {
                value: trial.value.map(|value| -value),
                intermediate: trial.intermediate.iter().map(|(step, value)| (*step, -value)).collect(),
                ..trial.clone()
            })
            .collect();
        let number = trials.len() as u64;
        for kind in SamplerKind::all() {
            let sampler = kind.sampler(seed);
            prop_assert_eq!(
                sampler.sample(&space, &trials, number, StudyDirection::Minimize).unwrap(),
                sampler.sample(&space, &turned, number, StudyDirection::Maximize).unwrap()
            );
        }
        for pruner in PrunerKind::all().map(PrunerKind::pruner) {
            for (one, other) in trials.iter().zip(&turned) {
                prop_assert_eq!(
                    pruner.should_prune(&trials, one, StudyDirection::Minimize),
                    pruner.should_prune(&turned, other, StudyDirection::Maximize)
                );
            }
        }
    }

    #[test]
    fn shares_of_importance_sum_to_one(space in space(), trial_outcomes in trial_outcomes(), seed: u64) {
        let trials = history(&space, &trial_outcomes);
        let shares = tune::importance::importance(&trials, seed);
        prop_assert_eq!(&shares, &tune::importance::importance(&trials, seed));
        let sum: f64 = shares.iter().map(|one| one.share).sum();
        prop_assert!(shares.is_empty() || (sum - 1.0).abs() < 1e-9, "{:?}", shares);
        prop_assert!(shares.iter().all(|one| (0.0..=1.0).contains(&one.share)), "{:?}", shares);
    }
}

#[test]
fn seeds_differ() {
    let line = Distribution::Float { low: 0.0, high: 1.0, log: false, step: None };
    let space =
        Space::new(vec![Hyperparameter { points: Some(9), ..Hyperparameter::new("x", line) }], toml::Table::new())
            .unwrap();
    for kind in SamplerKind::all() {
        let first: BTreeSet<String> = (0..4)
            .filter_map(|seed| kind.sampler(seed).sample(&space, &[], 0, StudyDirection::Minimize).unwrap())
            .map(|params| shown(&space, &params))
            .collect();
        assert!(first.len() > 1, "{kind} begins alike with every seed");
    }
}

use std::collections::BTreeMap;

use super::*;
use crate::distribution::{Distribution, ParamValue};
use crate::space::Hyperparameter;

fn trial(number: u64, state: TrialState, value: Option<f64>, intermediate: &[(u64, f64)]) -> Trial {
    Trial {
        number,
        state,
        value,
        params: BTreeMap::new(),
        intermediate: intermediate.iter().copied().collect(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        started: None,
        completed: None,
    }
}

fn line(low: f64, high: f64) -> Distribution {
    Distribution::Float { low, high, log: false, step: None }
}

#[test]
fn completed_trials_come_before_those_given_up_and_farther_ones_before_others() {
    let trials = [
        trial(0, TrialState::Pruned, None, &[(1, 0.1)]),
        trial(1, TrialState::Complete, Some(0.9), &[]),
        trial(2, TrialState::Running, None, &[(9, 0.0)]),
        trial(3, TrialState::Complete, Some(f64::NAN), &[]),
        trial(4, TrialState::Pruned, None, &[(1, 0.1), (3, 0.7)]),
        trial(5, TrialState::Complete, Some(0.3), &[]),
        trial(6, TrialState::Pruned, None, &[]),
        trial(7, TrialState::Pruned, None, &[(3, 0.6)]),
        trial(8, TrialState::Fail, None, &[(3, 0.0)]),
    ];
    assert_eq!(ranked(&trials, StudyDirection::Minimize), [5, 1, 3, 7, 4, 0, 6]);
    assert_eq!(ranked(&trials, StudyDirection::Maximize), [1, 5, 3, 4, 7, 0, 6]);
}

#[test]
fn weights_fall_by_rank_and_stay_above_zero() {
    let weights = weights(25);
    assert!(weights.windows(2).all(|pair| pair[0] > pair[1] || pair[1] == 0.05));
    assert!(weights[24] >= 0.02 && (weights[0] - 25.5_f64.ln()).abs() < 1e-12);
}

#[test]
fn a_density_integrates_to_one_over_each_kind_of_range() {
    let words = Distribution::Categorical { choices: ["a", "b", "c"].map(|word| ParamValue::Str(word.into())).into() };
    let spaces = [
        Distribution::Int { low: 1, high: 9, log: false, step: 2 },
        Distribution::Int { low: 1, high: 9, log: true, step: 1 },
        Distribution::Float { low: 0.1, high: 0.5, log: false, step: Some(0.1) },
        words,
    ];
    for distribution in spaces {
        let space = Space::new(vec![Hyperparameter::new("x", distribution)], toml::Table::new()).unwrap();
        let every = crate::sampler::grid::all_points(&space);
        let points: Vec<&UnitPoint> = vec![&every[0], &every[2]];
        let density = Density::new(&space, &points, vec![2.0, 1.0]);
        let sum: f64 = every.iter().map(|point| density.log_at(point).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum} over {:?}", space.parameters()[0].distribution);
    }
    // A continuum, by the middle of many slices; the density leaves out the factor 1 / sqrt(2 pi).
    let space = Space::new(vec![Hyperparameter::new("x", line(-2.0, 3.0))], toml::Table::new()).unwrap();
    let (one, other) = (vec![Some(-1.9)], vec![Some(2.0)]);
    let density = Density::new(&space, &[&one, &other], vec![1.0, 1.0]);
    let slice = |index: i32| density.log_at(&vec![Some(-2.0 + (f64::from(index) + 0.5) / 1000.0)]).exp() / 1000.0;
    let sum: f64 = (0..5000).map(slice).sum();
    assert!((sum / (2.0 * std::f64::consts::PI).sqrt() - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn draws_follow_the_density() {
    let distribution = Distribution::Int { low: 0, high: 4, log: false, step: 1 };
    let space = Space::new(vec![Hyperparameter::new("x", distribution)], toml::Table::new()).unwrap();
    let point = vec![Some(3.0)];
    let density = Density::new(&space, &[&point], vec![1.0]);
    let mut generator = RandomGenerator::new(5, 0, Purpose::Tpe);
    let mut counts = [0.0; 5];
    for _ in 0..40_000 {
        counts[density.draw(&mut generator)[0].unwrap() as usize] += 1.0 / 40_000.0;
    }
    for (value, count) in counts.iter().enumerate() {
        let expected = density.log_at(&vec![Some(value as f64)]).exp();
        assert!((count - expected).abs() < 0.01, "{value}: {count} instead of {expected}");
    }
}

#[test]
fn running_trials_repel_new_ones() {
    let space = Space::new(vec![Hyperparameter::new("x", line(0.0, 1.0))], toml::Table::new()).unwrap();
    let at = |number: u64, state, x: f64, value| Trial {
        params: space.params(&[Some(x)]),
        ..trial(number, state, value, &[])
    };
    let mut trials: Vec<Trial> =
        (0..20).map(|n| at(n, TrialState::Complete, n as f64 / 19.0, Some((n as f64 / 19.0 - 0.7).powi(2)))).collect();
    let near = |trials: &[Trial]| {
        let distance = |seed| {
            let params = Tpe::new(seed).sample(&space, trials, 30, StudyDirection::Minimize).unwrap().unwrap();
            (params["x"].internal - 0.7).abs()
        };
        (0..100).map(distance).filter(|distance| *distance < 0.05).count()
    };
    let alone = near(&trials);
    trials.extend((20..28).map(|n| at(n, TrialState::Running, 0.7 + (n as f64 - 24.0) * 0.005, None)));
    let beside = near(&trials);
    assert!(alone > 60 && beside < alone / 2, "{alone} of 100 come near alone, {beside} beside running ones");
}

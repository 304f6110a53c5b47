//! Grid search: every combination of the parameters' values, each once.

use super::generator::{Purpose, RandomGenerator};
use super::{MAX_LISTED, Sampler};
use crate::error::Result;
use crate::space::{Hyperparameter, Space, SpaceError, UnitPoint, grid_values, is_same_point};
use crate::trial::{Params, StudyDirection, Trial};

/// Grid search: a trial gets the first combination that no other trial has.
///
/// A range has the values of its steps, or as many as its `points` say. A parameter whose conditions don't hold has no
/// values.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// The seed of the order; `None`: the last parameter changes fastest.
    pub shuffle: Option<u64>,
}

impl Sampler for Grid {
    fn sample(&self, space: &Space, trials: &[Trial], _: u64, _: StudyDirection) -> Result<Option<Params>> {
        let mut grid = combinations(space, |parameter| parameter.clone())?;
        if let Some(seed) = self.shuffle {
            RandomGenerator::new(seed, 0, Purpose::Grid).shuffle(&mut grid);
        }
        let known = space.points(trials);
        let next = grid.iter().find(|point| !known.iter().any(|other| is_same_point(other, point)));
        Ok(next.map(|point| space.params(point)))
    }
}

impl Grid {
    /// The number of configurations in the grid.
    ///
    /// # Errors
    /// A continuous range without `points`; too many configurations.
    pub fn size(space: &Space) -> Result<usize> {
        Ok(combinations(space, |parameter| parameter.clone())?.len())
    }
}

/// All configurations of a space without continuous ranges, regardless of `points`; empty if they can't be listed.
pub(super) fn all_points(space: &Space) -> Vec<UnitPoint> {
    combinations(space, |parameter| Hyperparameter { points: None, ..parameter.clone() }).unwrap_or_default()
}

fn combinations(space: &Space, cut: impl Fn(&Hyperparameter) -> Hyperparameter) -> Result<Vec<UnitPoint>, SpaceError> {
    let mut points: Vec<UnitPoint> = vec![Vec::new()];
    for (index, parameter) in space.parameters().iter().enumerate() {
        let parameter = cut(parameter);
        let values =
            grid_values(&parameter, MAX_LISTED).ok_or_else(|| match crate::space::count(&parameter.distribution) {
                None => SpaceError::GridRange { name: parameter.name.clone() },
                Some(_) => SpaceError::GridSize { max: MAX_LISTED },
            })?;
        let mut longer = Vec::with_capacity(points.len());
        for point in points {
            let here: Vec<Option<f64>> =
                if space.is_active(index, &point) { values.iter().copied().map(Some).collect() } else { vec![None] };
            longer.extend(here.into_iter().map(|value| [point.as_slice(), &[value]].concat()));
            if longer.len() > MAX_LISTED {
                return Err(SpaceError::GridSize { max: MAX_LISTED });
            }
        }
        points = longer;
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::distribution::{Distribution, ParamValue};
    use crate::trial::TrialState;

    fn words(words: &[&str]) -> Distribution {
        Distribution::Categorical { choices: words.iter().map(|word| ParamValue::Str((*word).to_owned())).collect() }
    }

    fn space() -> Space {
        let momentum = Distribution::Float { low: 0.8, high: 0.9, log: false, step: Some(0.05) };
        let rate = Distribution::Float { low: 1e-4, high: 1e-2, log: true, step: None };
        let parameters = vec![
            Hyperparameter::new("optimizer", words(&["adamw", "sgd"])),
            Hyperparameter { points: Some(3), ..Hyperparameter::new("learning_rate", rate) },
            Hyperparameter::new("momentum", momentum).when("optimizer", [ParamValue::Str("sgd".to_owned())]),
        ];
        Space::new(parameters, toml::Table::new()).unwrap()
    }

    fn all(grid: Grid) -> Vec<UnitPoint> {
        let space = space();
        let mut trials = Vec::new();
        while let Some(params) = grid.sample(&space, &trials, trials.len() as u64, StudyDirection::Minimize).unwrap() {
            trials.push(Trial {
                number: trials.len() as u64,
                state: if trials.len() % 2 == 0 { TrialState::Complete } else { TrialState::Running },
                value: None,
                params,
                intermediate: BTreeMap::new(),
                user_attrs: BTreeMap::new(),
                system_attrs: BTreeMap::new(),
                started: None,
                completed: None,
            });
        }
        space.points(&trials)
    }

    #[test]
    fn every_combination_comes_once_and_inactive_parameters_add_none() {
        let expected: Vec<UnitPoint> = vec![
            vec![Some(0.0), Some(1e-4), None],
            vec![Some(0.0), Some(1e-3), None],
            vec![Some(0.0), Some(1e-2), None],
            vec![Some(1.0), Some(1e-4), Some(0.8)],
            vec![Some(1.0), Some(1e-4), Some(0.85)],
            vec![Some(1.0), Some(1e-4), Some(0.9)],
            vec![Some(1.0), Some(1e-3), Some(0.8)],
            vec![Some(1.0), Some(1e-3), Some(0.85)],
            vec![Some(1.0), Some(1e-3), Some(0.9)],
            vec![Some(1.0), Some(1e-2), Some(0.8)],
            vec![Some(1.0), Some(1e-2), Some(0.85)],
            vec![Some(1.0), Some(1e-2), Some(0.9)],
        ];
        let found = all(Grid { shuffle: None });
        assert_eq!(found.len(), expected.len());
        for (one, other) in found.iter().zip(&expected) {
            assert!(is_same_point(one, other), "{one:?} is not {other:?}");
        }
        assert_eq!(Grid::size(&space()).unwrap(), 12);
    }

    #[test]
    fn a_shuffled_grid_is_the_same_grid() {
        let (plain, mut shuffled) = (all(Grid { shuffle: None }), all(Grid { shuffle: Some(1) }));
        assert_ne!(plain, shuffled);
        shuffled.sort_by(|one, other| one.partial_cmp(other).unwrap());
        assert_eq!(plain, shuffled);
    }

    #[test]
    fn what_the_grid_does_not_support_is_refused() {
        let line = |low, high| Distribution::Float { low, high, log: false, step: None };
        let space = Space::new(vec![Hyperparameter::new("dropout", line(0.0, 0.5))], toml::Table::new()).unwrap();
        let error = Grid::size(&space).unwrap_err().to_string();
        assert!(
            error.starts_with("the grid sampler can't use \"dropout\": its range is continuous (hint: "),
            "{error}"
        );

        let wide = Distribution::Int { low: 0, high: 999, log: false, step: 1 };
        let parameters = ["a", "b"].map(|name| Hyperparameter::new(name, wide.clone()));
        let space = Space::new(parameters.into(), toml::Table::new()).unwrap();
        assert!(
            Grid::size(&space).unwrap_err().to_string().starts_with("the grid has more than 100000 configurations")
        );
    }
}

//! The search space: options that vary, each with its [`Distribution`], options that are fixed, and conditions between
//! them.
//!
//! A space is written as a configuration file in which an option may have several values:
//!
//! ```
//! use tune::space::{Space, SpaceFields};
//!
//! let file = r#"
//!     seed = 7                                                   # fixed
//!     batch_size = [16, 32]                                      # one of these
//!     learning_rate = { low = 1e-5, high = 3e-4, log = true }    # logarithmic
//!     warmup_ratio = { low = 0.0, high = 0.2, step = 0.05 }      # 0.0, 0.05, 0.1, 0.15 or 0.2
//!     epochs = { low = 2, high = 4 }                             # 2, 3 or 4
//!     optimizer = ["adamw", "sgd"]
//!     momentum = { low = 0.8, high = 0.99, when = { optimizer = "sgd" } }
//! "#;
//! let names = ["seed", "batch_size", "learning_rate", "warmup_ratio", "epochs", "optimizer", "momentum"];
//! let whole = |name: &str, value: &toml::Value| match name {
//!     "epochs" | "batch_size" if value.is_float() => Err("expected a whole number".to_owned()),
//!     _ => Ok(()),
//! };
//! let space = Space::parse("space.toml".as_ref(), file, &SpaceFields { names: &names, check: &whole })?;
//! assert_eq!(space.parameters().len(), 6);
//! assert_eq!(space.fixed()["seed"].as_integer(), Some(7));
//! # Ok::<(), tune::space::SpaceError>(())
//! ```

mod entry;
mod error;
mod file;
mod unit;

pub use error::SpaceError;
pub(crate) use unit::{count, from_unit, grid_values, on_step};

use crate::distribution::{Distribution, ParamValue};
use crate::trial::{Param, Params, Trial};

/// The options that a space may have, as the caller knows them.
pub struct SpaceFields<'a> {
    pub names: &'a [&'a str],
    /// Checks a value of an option; the error is the reason with a hint. It is called for every choice and both ends of
    /// a range; and with a fraction for a range between whole numbers, to find out whether the option accepts fractions.
    pub check: &'a dyn Fn(&str, &toml::Value) -> Result<(), String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameter {
    pub name: String,
    pub distribution: Distribution,
    /// The number of values in a grid, both ends included; `None`: by the steps of the range.
    pub points: Option<usize>,
    /// A trial has the parameter only if all of these hold.
    pub conditions: Vec<Condition>,
}

impl Hyperparameter {
    /// An unconditional parameter.
    pub fn new(name: impl Into<String>, distribution: Distribution) -> Self {
        Self { name: name.into(), distribution, points: None, conditions: Vec::new() }
    }

    /// The same, only in trials whose parameter `name` has one of `values`.
    #[must_use]
    pub fn when(mut self, name: impl Into<String>, values: impl Into<Vec<ParamValue>>) -> Self {
        self.conditions.push(Condition { name: name.into(), values: values.into() });
        self
    }
}

/// Holds in a trial whose parameter `name` has one of `values`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub name: String,
    pub values: Vec<ParamValue>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    parameters: Vec<Hyperparameter>,
    /// The conditions of each parameter: the index of the other one, and that one's internal values.
    conditions: Vec<Vec<(usize, Vec<f64>)>>,
    fixed: toml::Table,
}

/// The internal values of a configuration, in the order of the parameters; `None` for one that it doesn't have.
pub(crate) type UnitPoint = Vec<Option<f64>>;

impl Space {
    /// A space of these parameters and fixed options. A parameter comes after those that it depends on; otherwise the
    /// order is kept.
    ///
    /// # Errors
    /// A range without values; two parameters of one name; a condition on a parameter that doesn't exist or never has that
    /// value; conditions that depend on each other.
    pub fn new(parameters: Vec<Hyperparameter>, fixed: toml::Table) -> Result<Self, SpaceError> {
        for (index, parameter) in parameters.iter().enumerate() {
            let wrong = |message: String| SpaceError::Parameter { name: parameter.name.clone(), message };
            entry::check_distribution(&parameter.distribution).map_err(wrong)?;
            if fixed.contains_key(&parameter.name) || parameters[..index].iter().any(|one| one.name == parameter.name) {
                return Err(wrong("it is given twice (hint: remove one)".to_owned()));
            }
        }
        let parameters = parents_first(parameters)?;
        let conditions =
            parameters.iter().map(|parameter| resolve(parameter, &parameters)).collect::<Result<_, _>>()?;
        Ok(Self { parameters, conditions, fixed })
    }

    /// The options that vary, each after those that it depends on.
    pub fn parameters(&self) -> &[Hyperparameter] {
        &self.parameters
    }

    /// The options that are the same in every trial.
    pub fn fixed(&self) -> &toml::Table {
        &self.fixed
    }

    /// A trial's whole configuration: the fixed options and its parameters, as a configuration file has them.
    pub fn settings(&self, params: &Params) -> toml::Table {
        let mut settings = self.fixed.clone();
        for (name, param) in params {
            let value = match param.distribution.to_external(param.internal) {
                ParamValue::Null => continue,
                ParamValue::Bool(value) => toml::Value::Boolean(value),
                ParamValue::Int(value) => toml::Value::Integer(value),
                ParamValue::Float(value) => toml::Value::Float(value),
                ParamValue::Str(value) => toml::Value::String(value),
            };
            settings.insert(name.clone(), value);
        }
        settings
    }

    /// Whether these are the parameters of one of the space's configurations: each within its range, each present exactly
    /// if its conditions hold, and no others.
    pub fn contains(&self, params: &Params) -> bool {
        let point = self.point(params);
        let there = point.iter().flatten().count();
        there == params.len() && (0..point.len()).all(|index| point[index].is_some() == self.is_active(index, &point))
    }

    /// An upper bound of the number of configurations; `None` if a range is continuous, or the number overflows. With
    /// conditional parameters there are fewer.
    pub(crate) fn max_size(&self) -> Option<u64> {
        let mut counts = self.parameters.iter().map(|parameter| count(&parameter.distribution));
        counts.try_fold(1_u64, |product, count| product.checked_mul(count?))
    }

    /// Whether the conditions of a parameter hold, given the parameters before it.
    pub(crate) fn is_active(&self, index: usize, point: &[Option<f64>]) -> bool {
        self.conditions[index].iter().all(|(other, values)| point[*other].is_some_and(|value| values.contains(&value)))
    }

    /// The configuration whose active parameters have the values that `draw` returns for their index.
    pub(crate) fn fill(&self, mut draw: impl FnMut(usize) -> f64) -> UnitPoint {
        let mut point = vec![None; self.parameters.len()];
        for index in 0..point.len() {
            if self.is_active(index, &point) {
                point[index] = Some(draw(index));
            }
        }
        point
    }

    /// A point as the parameters of a trial.
    pub(crate) fn params(&self, point: &[Option<f64>]) -> Params {
        let param = |(parameter, internal): (&Hyperparameter, &Option<f64>)| {
            Some((
                parameter.name.clone(),
                Param { distribution: parameter.distribution.clone(), internal: (*internal)? },
            ))
        };
        self.parameters.iter().zip(point).filter_map(param).collect()
    }

    /// The parameters of a trial as a point of this space. The trial's ranges may have been others: a value that is not in
    /// this space is left out.
    pub(crate) fn point(&self, params: &Params) -> UnitPoint {
        let value = |parameter: &Hyperparameter| {
            let param = params.get(&parameter.name)?;
            if param.distribution == parameter.distribution {
                return Some(param.internal).filter(|internal| parameter.distribution.contains(*internal));
            }
            let external = param.distribution.to_external(param.internal);
            parameter.distribution.to_internal(&external).filter(|internal| parameter.distribution.contains(*internal))
        };
        self.parameters.iter().map(value).collect()
    }

    /// The configurations of all trials, in any state.
    pub(crate) fn points(&self, trials: &[Trial]) -> Vec<UnitPoint> {
        trials.iter().map(|trial| self.point(&trial.params)).collect()
    }
}

/// Whether two configurations are equal up to rounding errors.
pub(crate) fn is_same_point(one: &[Option<f64>], other: &[Option<f64>]) -> bool {
    one.iter().zip(other).all(|pair| match pair {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-12 * one.abs().max(other.abs()),
        (one, other) => one.is_none() && other.is_none(),
    })
}

/// Sorts parameters so that each comes after those that it depends on.
fn parents_first(parameters: Vec<Hyperparameter>) -> Result<Vec<Hyperparameter>, SpaceError> {
    for parameter in &parameters {
        for condition in &parameter.conditions {
            if !parameters.iter().any(|other| other.name == condition.name) {
                return Err(SpaceError::Parameter {
                    name: parameter.name.clone(),
                    message: format!(
                        "it depends on \"{}\", which doesn't vary (hint: give \"{0}\" choices)",
                        condition.name
                    ),
                });
            }
        }
    }
    let mut ordered: Vec<Hyperparameter> = Vec::with_capacity(parameters.len());
    let mut waiting = parameters;
    while !waiting.is_empty() {
        let is_there = |condition: &Condition| ordered.iter().any(|other| other.name == condition.name);
        let Some(next) = waiting.iter().position(|parameter| parameter.conditions.iter().all(is_there)) else {
            return Err(SpaceError::Cycle { names: waiting.into_iter().map(|parameter| parameter.name).collect() });
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

/// A parameter's conditions by index and internal value.
fn resolve(parameter: &Hyperparameter, all: &[Hyperparameter]) -> Result<Vec<(usize, Vec<f64>)>, SpaceError> {
    let mut resolved = Vec::new();
    for condition in &parameter.conditions {
        let wrong = |message: String| SpaceError::Parameter { name: parameter.name.clone(), message };
        let place = all.iter().position(|other| other.name == condition.name).unwrap_or_default();
        let distribution = &all[place].distribution;
        if matches!(distribution, Distribution::Float { .. }) {
            return Err(wrong(format!(
                "it depends on \"{}\", which is a continuous range (hint: conditions need choices or whole numbers)",
                condition.name
            )));
        }
        let mut values = Vec::new();
        for value in &condition.values {
            match distribution.to_internal(value).filter(|internal| distribution.contains(*internal)) {
                Some(internal) => values.push(internal),
                None => {
                    return Err(wrong(format!(
                        "it depends on \"{}\" being {}, which it never is (hint: expected one of {})",
                        condition.name,
                        entry::shown(value),
                        entry::shown_all(distribution)
                    )));
                }
            }
        }
        resolved.push((place, values));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests;

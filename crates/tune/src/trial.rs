//! One configuration of a study with its result.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::distribution::{Distribution, ParamValue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialState {
    Running = 0,
    Complete = 1,
    Pruned = 2,
    Fail = 3,
    /// In the queue.
    Waiting = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyDirection {
    Minimize = 1,
    Maximize = 2,
}

/// A parameter's value in internal form, with its distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub distribution: Distribution,
    pub internal: f64,
}

/// Parameters by name.
pub type Params = BTreeMap<String, Param>;

#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The trial's place in its study, counted from 0.
    pub number: u64,
    pub state: TrialState,
    /// The final value of a complete trial, or the last intermediate value of a pruned one.
    pub value: Option<f64>,
    pub params: Params,
    pub intermediate: BTreeMap<u64, f64>,
    /// Attributes that users set.
    pub user_attrs: BTreeMap<String, Value>,
    /// Attributes that programs set.
    pub system_attrs: BTreeMap<String, Value>,
    /// When it started, as in the journal: `2026-11-23T12:00:00.123456+00:00`. Without an offset, as in older journals,
    /// it is local time.
    pub started: Option<String>,
    /// When it finished, in the same form.
    pub completed: Option<String>,
}

/// Optuna's system attribute with the fixed parameters of a queued trial.
pub(crate) const FIXED_PARAMS: &str = "fixed_params";

impl Trial {
    pub fn param(&self, name: &str) -> Option<ParamValue> {
        self.params.get(name).map(Param::value)
    }

    pub fn last_intermediate(&self) -> Option<f64> {
        self.intermediate.last_key_value().map(|(_, value)| *value)
    }

    /// Seconds from its start to its end, if both are known.
    pub fn duration(&self) -> Option<f64> {
        let (started, completed) = (time(self.started.as_ref()?)?, time(self.completed.as_ref()?)?);
        (started.0 == completed.0).then(|| (completed.1 - started.1) as f64 / 1e6)
    }

    /// Seconds from another trial's start to this one's, if both are known.
    pub fn started_after(&self, other: &Self) -> Option<f64> {
        let (this, other) = (time(self.started.as_ref()?)?, time(other.started.as_ref()?)?);
        (this.0 == other.0).then(|| (this.1 - other.1) as f64 / 1e6)
    }

    /// The parameters that were fixed when the trial was queued; those of a kind that no parameter has are left out.
    pub fn fixed_params(&self) -> BTreeMap<String, ParamValue> {
        let fixed = self.system_attrs.get(FIXED_PARAMS).and_then(Value::as_object);
        let fixed = fixed.into_iter().flatten();
        fixed.filter_map(|(name, value)| Some((name.clone(), ParamValue::from_json(value).ok()?))).collect()
    }

    /// Whether the trial has exactly these parameters with exactly these values. Their ranges don't matter.
    pub fn has_params(&self, params: &Params) -> bool {
        self.params.len() == params.len()
            && self
                .params
                .iter()
                .zip(params)
                .all(|((name, param), (other_name, other))| name == other_name && param.value().is_same(&other.value()))
    }
}

impl Param {
    pub fn value(&self) -> ParamValue {
        self.distribution.to_external(self.internal)
    }
}

impl TrialState {
    /// Whether the trial has ended.
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Running | Self::Waiting)
    }

    /// Optuna's number of the state.
    pub(crate) fn code(self) -> u64 {
        self as u64
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        let all = [Self::Running, Self::Complete, Self::Pruned, Self::Fail, Self::Waiting];
        all.get(usize::try_from(code).ok()?).copied()
    }
}

/// Optuna's names: `RUNNING`, `COMPLETE`, `PRUNED`, `FAIL`, `WAITING`.
impl fmt::Display for TrialState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETE",
            Self::Pruned => "PRUNED",
            Self::Fail => "FAIL",
            Self::Waiting => "WAITING",
        })
    }
}

impl StudyDirection {
    /// A value as a loss: lower is better in either direction, and NaN is worst.
    pub(crate) fn loss(self, value: f64) -> f64 {
        match self {
            _ if value.is_nan() => f64::INFINITY,
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }

    /// Whether `a` is the better value; false if one of them is NaN.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Minimize => a < b,
            Self::Maximize => a > b,
        }
    }

    /// Optuna's number of the direction.
    pub(crate) fn code(self) -> u64 {
        self as u64
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        [Self::Minimize, Self::Maximize].into_iter().find(|direction| direction.code() == code)
    }
}

impl fmt::Display for StudyDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Minimize => "minimize",
            Self::Maximize => "maximize",
        })
    }
}

/// The current time as Optuna writes it.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A time of a journal in microseconds, and whether it has an offset from UTC. Two times can be compared if both have one
/// or neither has.
pub(crate) fn time(text: &str) -> Option<(bool, i64)> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some((true, time.timestamp_micros()));
    }
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some((false, time.and_utc().timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(started: Option<&str>, completed: Option<&str>) -> Trial {
        Trial {
            number: 0,
            state: TrialState::Complete,
            value: None,
            params: BTreeMap::new(),
            intermediate: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: started.map(str::to_owned),
            completed: completed.map(str::to_owned),
        }
    }

    #[test]
    fn durations_need_two_times_of_a_kind() {
        let utc = "2026-11-23T12:00:00.000001+00:00";
        assert_eq!(trial(Some(utc), Some("2026-11-23T13:00:01.500001+01:00")).duration(), Some(1.5));
        let local = "2026-11-23T12:00:00.25";
        assert_eq!(trial(Some(local), Some("2026-11-23T12:01:00")).duration(), Some(59.75));
        assert_eq!(trial(Some(utc), Some(local)).duration(), None);
        assert_eq!(trial(Some(utc), None).duration(), None);
        let later = trial(Some("2026-11-23T12:00:02.500001+00:00"), None);
        assert_eq!(later.started_after(&trial(Some(utc), None)), Some(2.5));
        assert_eq!(later.started_after(&trial(Some(local), None)), None);
        assert_eq!(time("yesterday"), None);
    }

    #[test]
    fn the_current_time_is_parsed() {
        let (utc, micros) = time(&now()).unwrap();
        assert!(utc && micros > 1_700_000_000_000_000);
        assert!(now().ends_with("+00:00"), "{}", now());
    }

    #[test]
    fn the_same_values_in_another_range_are_the_same() {
        let param =
            |high, internal| Param { distribution: Distribution::Int { low: 0, high, log: false, step: 1 }, internal };
        let mut one = trial(None, None);
        one.params = BTreeMap::from([("a".to_owned(), param(4, 2.0))]);
        assert!(one.has_params(&BTreeMap::from([("a".to_owned(), param(9, 2.0))])));
        assert!(!one.has_params(&BTreeMap::from([("a".to_owned(), param(4, 3.0))])));
        assert!(!one.has_params(&BTreeMap::from([("b".to_owned(), param(4, 2.0))])));
        assert!(!one.has_params(&BTreeMap::new()));
    }

    #[test]
    fn numbers_of_states_are_optunas() {
        let names: Vec<_> = (0..6).map_while(TrialState::from_code).map(|state| state.to_string()).collect();
        assert_eq!(names, ["RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING"]);
        assert!((0..5).all(|code| TrialState::from_code(code).unwrap().code() == code));
        assert!((1..3).all(|code| StudyDirection::from_code(code).unwrap().code() == code));
        assert_eq!(StudyDirection::from_code(0), None);
    }
}

//! The operations of a journal: read from a line, and written as one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::distribution::Distribution;
use crate::json;
use crate::trial::{Param, Params, StudyDirection, TrialState, time};

#[derive(Debug)]
pub(crate) struct JournalEntry {
    pub(crate) worker: String,
    pub(crate) operation: Operation,
}

/// An operation; studies and trials are given by id.
#[derive(Debug)]
pub(crate) enum Operation {
    CreateStudy {
        name: String,
        directions: Vec<u64>,
    },
    DeleteStudy {
        study: u64,
    },
    StudyUserAttr {
        study: u64,
        key: String,
        value: Value,
    },
    StudySystemAttr {
        study: u64,
        key: String,
        value: Value,
    },
    CreateTrial {
        study: u64,
        trial: Box<NewTrial>,
    },
    TrialParam {
        trial: u64,
        name: String,
        param: Param,
    },
    TrialState {
        trial: u64,
        state: TrialState,
        values: Option<Vec<f64>>,
        time: Option<String>,
    },
    Intermediate {
        trial: u64,
        step: u64,
        value: f64,
    },
    TrialUserAttr {
        trial: u64,
        key: String,
        value: Value,
    },
    TrialSystemAttr {
        trial: u64,
        key: String,
        value: Value,
    },
    /// Optuna's operations on its own memory, and those of later formats.
    Ignored,
}

#[derive(Debug, Clone)]
pub(crate) struct NewTrial {
    pub(crate) state: TrialState,
    pub(crate) values: Option<Vec<f64>>,
    pub(crate) params: Params,
    pub(crate) user_attrs: BTreeMap<String, Value>,
    pub(crate) system_attrs: BTreeMap<String, Value>,
    pub(crate) intermediate: BTreeMap<u64, f64>,
    pub(crate) started: Option<String>,
    pub(crate) completed: Option<String>,
}

impl NewTrial {
    pub(crate) fn new(state: TrialState) -> Self {
        Self {
            state,
            values: None,
            params: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate: BTreeMap::new(),
            started: None,
            completed: None,
        }
    }
}

/// The beginning of every line, ours and Optuna's.
pub(crate) const BEGIN: &[u8] = b"{\"op_code\":";

pub(crate) fn parse(line: &[u8]) -> Result<JournalEntry, String> {
    let Value::Object(fields) = json::parse(line).map_err(|reason| format!("not valid JSON ({reason})"))? else {
        return Err("expected a JSON object".to_owned());
    };
    let mut fields = Fields(fields);
    let worker = fields.text("worker_id")?;
    let operation = match fields.get("op_code")?.as_i64().ok_or("\"op_code\" is not a whole number")? {
        0 => {
            let directions = fields.get("directions")?.as_array().cloned().ok_or("\"directions\" is not a list")?;
            let known =
                |code: &Value| code.as_u64().filter(|code| *code <= 2).ok_or("\"directions\" has an unknown direction");
            let directions: Result<_, _> = directions.iter().map(known).collect();
            Operation::CreateStudy { name: fields.text("study_name")?, directions: directions? }
        }
        1 => Operation::DeleteStudy { study: fields.id("study_id")? },
        2 => {
            let (key, value) = fields.attr("user_attr")?;
            Operation::StudyUserAttr { study: fields.id("study_id")?, key, value }
        }
        3 => {
            let (key, value) = fields.attr("system_attr")?;
            Operation::StudySystemAttr { study: fields.id("study_id")?, key, value }
        }
        4 => Operation::CreateTrial { study: fields.id("study_id")?, trial: Box::new(fields.trial()?) },
        5 => {
            let (name, internal) = (fields.text("param_name")?, fields.get("param_value_internal")?.clone());
            let param = param(&name, fields.get("distribution")?, &internal)?;
            Operation::TrialParam { trial: fields.id("trial_id")?, name, param }
        }
        6 => {
            let state = fields.state("state")?;
            let key = if state == TrialState::Running { "datetime_start" } else { "datetime_complete" };
            let time = fields.time(key)?;
            if time.is_none() && state != TrialState::Waiting {
                return Err(format!("\"{key}\" is missing"));
            }
            let values = fields.values("values")?;
            Operation::TrialState { trial: fields.id("trial_id")?, state, values, time }
        }
        7 => {
            let value =
                json::number(fields.get("intermediate_value")?).ok_or("\"intermediate_value\" is not a number")?;
            Operation::Intermediate { trial: fields.id("trial_id")?, step: fields.id("step")?, value }
        }
        8 => {
            let (key, value) = fields.attr("user_attr")?;
            Operation::TrialUserAttr { trial: fields.id("trial_id")?, key, value }
        }
        9 => {
            let (key, value) = fields.attr("system_attr")?;
            Operation::TrialSystemAttr { trial: fields.id("trial_id")?, key, value }
        }
        _ => Operation::Ignored,
    };
    Ok(JournalEntry { worker, operation })
}

/// The fields of a line, each with its error.
struct Fields(Map<String, Value>);

impl Fields {
    fn get(&self, key: &str) -> Result<&Value, String> {
        self.0.get(key).ok_or_else(|| format!("\"{key}\" is missing"))
    }

    fn text(&self, key: &str) -> Result<String, String> {
        self.get(key)?.as_str().map(str::to_owned).ok_or_else(|| format!("\"{key}\" is not a string"))
    }

    fn id(&self, key: &str) -> Result<u64, String> {
        self.get(key)?.as_u64().ok_or_else(|| format!("\"{key}\" is not a whole number of 0 or more"))
    }

    fn state(&self, key: &str) -> Result<TrialState, String> {
        TrialState::from_code(self.id(key)?).ok_or_else(|| format!("\"{key}\" is not a trial state"))
    }

    /// A time that may be missing or null.
    fn time(&self, key: &str) -> Result<Option<String>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if time(text).is_some() => Ok(Some(text.clone())),
            Some(_) => Err(format!("\"{key}\" is not a time")),
        }
    }

    fn values(&self, key: &str) -> Result<Option<Vec<f64>>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Some(None),
            Some(Value::Array(values)) => values.iter().map(json::number).collect::<Option<_>>().map(Some),
            Some(_) => None,
        }
        .ok_or_else(|| format!("\"{key}\" is not a list of numbers"))
    }

    /// The only member of an object.
    fn attr(&mut self, key: &str) -> Result<(String, Value), String> {
        let members = self.object(key)?;
        let one = members.len() == 1;
        let member = members.into_iter().next().filter(|_| one);
        member
            .map(|(key, value)| (key, json::unmarked(value)))
            .ok_or_else(|| format!("\"{key}\" is not an object with one member"))
    }

    /// An object that may be missing; removes it.
    fn object(&mut self, key: &str) -> Result<Map<String, Value>, String> {
        match self.0.remove(key) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(format!("\"{key}\" is not an object")),
        }
    }

    fn trial(&mut self) -> Result<NewTrial, String> {
        let state = if self.0.contains_key("state") { self.state("state")? } else { TrialState::Running };
        let value = match self.0.get("value") {
            None | Some(Value::Null) => None,
            Some(value) => Some(vec![json::number(value).ok_or("\"value\" is not a number")?]),
        };
        let values = self.values("values")?;
        if value.is_some() && values.is_some() {
            return Err("expected \"value\" or \"values\", found both".to_owned());
        }
        let distributions = self.object("distributions")?;
        let params = self.object("params")?.into_iter().map(|(name, internal)| {
            let distribution = distributions.get(&name).ok_or_else(|| missing(&name))?;
            let param = param(&name, distribution, &internal)?;
            Ok::<_, String>((name, param))
        });
        let params = params.collect::<Result<_, _>>()?;
        let intermediate = self.object("intermediate_values")?.into_iter().map(|(step, value)| {
            let pair = step.parse().ok().zip(json::number(&value));
            pair.ok_or_else(|| "\"intermediate_values\" is not an object of numbers by step".to_owned())
        });
        let mut attrs = |key: &str| {
            let members = self.object(key)?.into_iter();
            Ok::<_, String>(members.map(|(name, value)| (name, json::unmarked(value))).collect())
        };
        Ok(NewTrial {
            state,
            values: value.or(values),
            params,
            intermediate: intermediate.collect::<Result<_, _>>()?,
            user_attrs: attrs("user_attrs")?,
            system_attrs: attrs("system_attrs")?,
            started: self.time("datetime_start")?,
            completed: self.time("datetime_complete")?,
        })
    }
}

fn missing(name: &str) -> String {
    format!("parameter \"{}\" has no distribution", json::excerpt(name))
}

fn param(name: &str, distribution: &Value, internal: &Value) -> Result<Param, String> {
    let wrong = |problem: &str| format!("parameter \"{}\": {problem}", json::excerpt(name));
    let text = distribution.as_str().ok_or_else(|| wrong("the distribution is not a string"))?;
    let distribution =
        Distribution::from_json(text).map_err(|problem| wrong(&format!("the distribution is not valid: {problem}")))?;
    let internal = json::number(internal).ok_or_else(|| wrong("the value is not a number"))?;
    if !distribution.can_represent(internal) {
        return Err(wrong("the value is not one of its distribution"));
    }
    Ok(Param { distribution, internal })
}

struct OperationFields(Vec<(&'static str, String)>);

impl OperationFields {
    fn new(op_code: u8, worker: &str) -> Self {
        Self(vec![("op_code", op_code.to_string()), ("worker_id", json::string(worker))])
    }

    fn with(mut self, key: &'static str, json: impl Into<String>) -> Self {
        self.0.push((key, json.into()));
        self
    }

    fn done(self) -> String {
        json::object(self.0)
    }
}

fn optional(time: Option<&String>) -> String {
    time.map_or_else(|| "null".to_owned(), |time| json::string(time))
}

fn list(values: Option<&Vec<f64>>) -> String {
    let list = |values: &Vec<f64>| values.iter().map(|value| json::float(*value)).collect::<Vec<_>>().join(",");
    values.map_or_else(|| "null".to_owned(), |values| format!("[{}]", list(values)))
}

fn attrs(attrs: &BTreeMap<String, Value>) -> String {
    json::object(attrs.iter().map(|(name, value)| (name.as_str(), value.to_string())))
}

pub(crate) fn create_study(worker: &str, name: &str, direction: StudyDirection) -> String {
    let directions = format!("[{}]", direction.code());
    OperationFields::new(0, worker).with("study_name", json::string(name)).with("directions", directions).done()
}

pub(crate) fn study_user_attr(worker: &str, study: u64, key: &str, value: &Value) -> String {
    let attr = json::object([(key, value.to_string())]);
    OperationFields::new(2, worker).with("study_id", study.to_string()).with("user_attr", attr).done()
}

pub(crate) fn create_trial(worker: &str, study: u64, trial: &NewTrial) -> String {
    let distributions = trial.params.iter().map(|(name, param)| {
        let text = param.distribution.to_json();
        (name.as_str(), json::string(&text))
    });
    let params = trial.params.iter().map(|(name, param)| (name.as_str(), internal(param)));
    let steps: Vec<_> =
        trial.intermediate.iter().map(|(step, value)| (step.to_string(), json::float(*value))).collect();
    let steps = steps.iter().map(|(step, value)| (step.as_str(), value.clone()));
    let mut line = OperationFields::new(4, worker)
        .with("study_id", study.to_string())
        .with("datetime_start", optional(trial.started.as_ref()))
        .with("state", trial.state.code().to_string())
        .with("value", "null")
        .with("values", list(trial.values.as_ref()));
    if trial.completed.is_some() {
        line = line.with("datetime_complete", optional(trial.completed.as_ref()));
    }
    line.with("distributions", json::object(distributions))
        .with("params", json::object(params))
        .with("user_attrs", attrs(&trial.user_attrs))
        .with("system_attrs", attrs(&trial.system_attrs))
        .with("intermediate_values", json::object(steps))
        .done()
}

/// An internal value as Optuna writes it: an index as a whole number.
fn internal(param: &Param) -> String {
    match param.distribution {
        Distribution::Categorical { .. } => format!("{:.0}", param.internal),
        Distribution::Float { .. } | Distribution::Int { .. } => json::float(param.internal),
    }
}

pub(crate) fn trial_param(worker: &str, trial: u64, name: &str, param: &Param) -> String {
    OperationFields::new(5, worker)
        .with("trial_id", trial.to_string())
        .with("param_name", json::string(name))
        .with("param_value_internal", internal(param))
        .with("distribution", json::string(&param.distribution.to_json()))
        .done()
}

/// `time` is when the trial started if `state` is running, else when it ended.
pub(crate) fn trial_state(worker: &str, trial: u64, state: TrialState, value: Option<f64>, time: &str) -> String {
    let key = if state == TrialState::Running { "datetime_start" } else { "datetime_complete" };
    OperationFields::new(6, worker)
        .with("trial_id", trial.to_string())
        .with("state", state.code().to_string())
        .with("values", list(value.map(|value| vec![value]).as_ref()))
        .with(key, json::string(time))
        .done()
}

pub(crate) fn intermediate(worker: &str, trial: u64, step: u64, value: f64) -> String {
    OperationFields::new(7, worker)
        .with("trial_id", trial.to_string())
        .with("step", step.to_string())
        .with("intermediate_value", json::float(value))
        .done()
}

pub(crate) fn trial_user_attr(worker: &str, trial: u64, key: &str, value: &Value) -> String {
    let attr = json::object([(key, value.to_string())]);
    OperationFields::new(8, worker).with("trial_id", trial.to_string()).with("user_attr", attr).done()
}

pub(crate) fn trial_system_attr(worker: &str, trial: u64, key: &str, value: &Value) -> String {
    let attr = json::object([(key, value.to_string())]);
    OperationFields::new(9, worker).with("trial_id", trial.to_string()).with("system_attr", attr).done()
}

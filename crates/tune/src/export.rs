//! All trials as CSV or JSON, for other programs.
//!
//! The columns are those of Optuna's `trials_dataframe`: `number`, `value`, `datetime_start`, `datetime_complete`,
//! `duration`, `params_NAME` for every parameter, `user_attrs_NAME` for every attribute, `state`. Times are as in
//! the journal, in UTC; durations are in seconds. A missing value is empty in the table and missing or null in JSON.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::distribution::ParamValue;
use crate::error::{Result, TuneError};
use crate::study::Study;
use crate::trial::Trial;

/// Writes the trials as comma-separated values with a header.
///
/// # Errors
/// [`TuneError::Export`] if writing fails.
pub fn csv(trials: &[Trial], output: impl Write) -> Result<()> {
    let params: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.params.keys()).collect();
    let attrs: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.user_attrs.keys()).collect();
    let write = || {
        let mut table = csv::Writer::from_writer(output);
        let begin = ["number", "value", "datetime_start", "datetime_complete", "duration"].map(str::to_owned);
        let params_columns = params.iter().map(|name| format!("params_{name}"));
        let attrs_columns = attrs.iter().map(|name| format!("user_attrs_{name}"));
        table.write_record(begin.into_iter().chain(params_columns).chain(attrs_columns).chain(["state".to_owned()]))?;
        for trial in trials {
            let number = |value: Option<f64>| value.map(|value| ParamValue::Float(value).to_string());
            let mut row = vec![
                Some(trial.number.to_string()),
                number(trial.value),
                trial.started.clone(),
                trial.completed.clone(),
                number(trial.duration()),
            ];
            row.extend(params.iter().map(|name| trial.param(name).map(|value| value.to_string())));
            row.extend(attrs.iter().map(|name| trial.user_attrs.get(*name).map(cell)));
            row.push(Some(trial.state.to_string()));
            table.write_record(row.into_iter().map(Option::unwrap_or_default))?;
        }
        table.flush()?;
        Ok::<_, csv::Error>(())
    };
    write().map_err(|error| TuneError::Export { source: io::Error::other(error) })
}

/// A string unquoted, anything else as JSON.
fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes the study as one JSON object: `study`, `direction` and `trials`, a list of objects with the table's columns,
/// parameters, attributes and `intermediate_values` as objects of their own. Numbers that JSON lacks are written as
/// the strings `NaN`, `inf` and `-inf`.
///
/// # Errors
/// [`TuneError::Export`] if writing fails.
pub fn json(study: &Study, mut output: impl Write) -> Result<()> {
    let trials: Vec<Value> = study.trials().iter().map(object).collect();
    let whole = json!({"study": study.name(), "direction": study.direction().to_string(), "trials": trials});
    let written = serde_json::to_writer_pretty(&mut output, &whole).map_err(io::Error::from);
    let ended = written.and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
    ended.map_err(|source| TuneError::Export { source })
}

fn object(trial: &Trial) -> Value {
    let number = |value: f64| ParamValue::Float(value).to_value();
    let params: Map<_, _> = trial.params.iter().map(|(name, param)| (name.clone(), param.value().to_value())).collect();
    let steps: Map<_, _> = trial.intermediate.iter().map(|(step, value)| (step.to_string(), number(*value))).collect();
    json!({
        "number": trial.number,
        "value": trial.value.map(number),
        "datetime_start": trial.started,
        "datetime_complete": trial.completed,
        "duration": trial.duration(),
        "params": params,
        "user_attrs": trial.user_attrs,
        "intermediate_values": steps,
        "state": trial.state.to_string(),
    })
}

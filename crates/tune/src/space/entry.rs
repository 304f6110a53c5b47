//! One key of a search space's file: a value, choices or a range, with conditions if any.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;

use super::{Condition, Hyperparameter, SpaceError, SpaceFields};
use crate::distribution::{Distribution, ParamValue};

const KEYS: [&str; 8] = ["low", "high", "log", "step", "points", "choices", "value", "when"];

pub(super) struct SpaceEntry<'a> {
    pub path: &'a Path,
    pub name: String,
    pub line: usize,
    /// The lines of the keys of its table.
    pub inner: BTreeMap<String, usize>,
    pub value: Value,
}

pub(super) enum EntryKind {
    Fixed(Value),
    Varies { distribution: Distribution, points: Option<usize> },
}

impl SpaceEntry<'_> {
    /// An error at this key, or at a key in its table.
    pub(super) fn wrong(&self, key: Option<&str>, message: impl Into<String>) -> SpaceError {
        SpaceError::File {
            path: self.path.to_owned(),
            line: key.and_then(|key| self.inner.get(key)).copied().unwrap_or(self.line),
            key: Some(self.name.clone()),
            message: message.into(),
        }
    }

    fn fail<T>(&self, key: &str, message: impl Into<String>) -> Result<T, SpaceError> {
        Err(self.wrong(Some(key), message))
    }

    pub(super) fn read(&self, fields: &SpaceFields<'_>) -> Result<EntryKind, SpaceError> {
        match &self.value {
            Value::Array(choices) => self.choices(choices, fields),
            Value::Table(table) => self.table(table, fields),
            value => {
                self.check(fields, None, value)?;
                Ok(EntryKind::Fixed(value.clone()))
            }
        }
    }

    fn table(&self, table: &toml::Table, fields: &SpaceFields<'_>) -> Result<EntryKind, SpaceError> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let line = self.inner.get(key).copied().unwrap_or(self.line);
            return Err(SpaceError::unknown(self.path, line, key, Some(&self.name), &KEYS));
        }
        let forms = ["low", "choices", "value"].map(|key| table.contains_key(key));
        let others = |allowed: &str| table.keys().find(|key| *key != allowed && *key != "when").cloned();
        match forms {
            [false, true, false] => {
                if let Some(other) = others("choices") {
                    return self.fail(&other, format!("`choices` and `{other}` exclude each other (hint: remove one)"));
                }
                match &table["choices"] {
                    Value::Array(choices) => self.choices(choices, fields),
                    _ => self.fail("choices", "`choices` must be a list (hint: `choices = [16, 32]`)"),
                }
            }
            [false, false, true] => {
                if let Some(other) = others("value") {
                    return self.fail(&other, format!("`value` and `{other}` exclude each other (hint: remove one)"));
                }
                let value = &table["value"];
                self.check(fields, Some("value"), value)?;
                if !table.contains_key("when") {
                    return Ok(EntryKind::Fixed(value.clone()));
                }
                self.choices(std::slice::from_ref(value), fields)
            }
            [true, false, false] => self.range(table, fields),
            [false, false, false] => Err(self.wrong(
                None,
                "expected a range, choices or a value (hint: `{ low = 1, high = 4 }`, `[16, 32]` or `16`)",
            )),
            _ => Err(self.wrong(None, "a range, choices and a value exclude each other (hint: keep one of them)")),
        }
    }

    fn choices(&self, choices: &[Value], fields: &SpaceFields<'_>) -> Result<EntryKind, SpaceError> {
        let mut values = Vec::new();
        for choice in choices {
            self.check(fields, Some("choices"), choice)?;
            let Some(value) = scalar(choice) else {
                return self.fail(
                    "choices",
                    format!("expected a number, a string, true or false as a choice, found {choice} (hint: for the same list in all trials write `{{ value = [..] }}`)"),
                );
            };
            values.push(value);
        }
        // Among floats an integer is a float.
        if values.iter().any(|value| matches!(value, ParamValue::Float(_))) {
            for value in &mut values {
                if let ParamValue::Int(number) = value {
                    *value = ParamValue::Float(*number as f64);
                }
            }
        }
        let distribution = Distribution::Categorical { choices: values };
        check_distribution(&distribution).map_err(|message| self.wrong(Some("choices"), message))?;
        Ok(EntryKind::Varies { distribution, points: None })
    }

    fn range(&self, table: &toml::Table, fields: &SpaceFields<'_>) -> Result<EntryKind, SpaceError> {
        let number = |key: &str| match table.get(key) {
            Some(Value::Integer(number)) => Ok(Some(ParamValue::Int(*number))),
            Some(Value::Float(number)) if number.is_finite() => Ok(Some(ParamValue::Float(*number))),
            Some(other) => self.fail(key, format!("expected a number as `{key}`, found {other} (hint: `{key} = 1`)")),
            None => Ok(None),
        };
        let log = match table.get("log") {
            None => false,
            Some(Value::Boolean(log)) => *log,
            Some(other) => {
                return self
                    .fail("log", format!("expected true or false as `log`, found {other} (hint: `log = true`)"));
            }
        };
        let points = match table.get("points") {
            None => None,
            Some(Value::Integer(points @ 2..)) => usize::try_from(*points).ok(),
            Some(other) => {
                return self.fail(
                    "points",
                    format!("expected a whole number of 2 or more as `points`, found {other} (hint: `points = 5`)"),
                );
            }
        };
        let (Some(low), Some(high)) = (number("low")?, number("high")?) else {
            return Err(self.wrong(None, "a range needs `low` and `high` (hint: `{ low = 1, high = 4 }`)"));
        };
        for key in ["low", "high"] {
            self.check(fields, Some(key), &table[key])?;
        }
        let step = number("step")?;

        let distribution = match (low, high, step.unwrap_or(ParamValue::Null)) {
            (ParamValue::Int(low), ParamValue::Int(high), step @ (ParamValue::Null | ParamValue::Int(_)))
                if self.is_whole(low, high, fields) =>
            {
                let step = if let ParamValue::Int(step) = step { step } else { 1 };
                Distribution::Int { low, high, log, step }
            }
            (low, high, step) => Distribution::Float {
                low: as_number(&low),
                high: as_number(&high),
                log,
                step: Some(as_number(&step)).filter(|step| !step.is_nan()),
            },
        };
        check_distribution(&distribution).map_err(|message| self.wrong(None, message))?;
        // The option may accept the ends of a range but not the values between them, such as half an epoch.
        if let Distribution::Float { low, high, step, .. } = &distribution {
            let between = step.map_or((low + high) / 2.0, |step| (low + step).min(*high));
            self.check(fields, None, &Value::Float(between))?;
        }
        Ok(EntryKind::Varies { distribution, points })
    }

    /// Whether a range between whole numbers is one of whole numbers only: the option refuses fractions.
    fn is_whole(&self, low: i64, high: i64, fields: &SpaceFields<'_>) -> bool {
        (fields.check)(&self.name, &Value::Float((low as f64 + high as f64) / 2.0)).is_err()
    }

    fn check(&self, fields: &SpaceFields<'_>, key: Option<&str>, value: &Value) -> Result<(), SpaceError> {
        (fields.check)(&self.name, value).map_err(|message| self.wrong(key, message))
    }

    /// The conditions of this key. Those on fixed options are decided here.
    pub(super) fn conditions(
        &self,
        parameters: &[Hyperparameter],
        fixed: &toml::Table,
    ) -> Result<Vec<Condition>, SpaceError> {
        let when = match self.value.as_table().and_then(|table| table.get("when")) {
            None => return Ok(Vec::new()),
            Some(Value::Table(when)) if !when.is_empty() => when,
            Some(_) => {
                return self.fail("when", "`when` must be a table (hint: `when = { optimizer = \"sgd\" }`)");
            }
        };
        let mut conditions = Vec::new();
        for (name, expected) in when {
            let expected =
                if let Value::Array(several) = expected { several.as_slice() } else { std::slice::from_ref(expected) };
            let values: Option<Vec<ParamValue>> = expected.iter().map(scalar).collect();
            let Some(values) = values.filter(|values| !values.is_empty()) else {
                return self.fail(
                    "when",
                    format!("a condition needs a value or a list of values (hint: `when = {{ {name} = \"sgd\" }}`)"),
                );
            };
            if let Some(parameter) = parameters.iter().find(|parameter| parameter.name == *name) {
                conditions.push(self.condition(parameter, values)?);
            } else if let Some(value) = fixed.get(name) {
                if !expected.contains(value) {
                    return self.fail(
                        "when",
                        format!("`{name}` is always {value}, so this is never used (hint: remove it, or give `{name}` choices)"),
                    );
                }
            } else {
                return self.fail(
                    "when",
                    format!("it depends on `{name}`, which this file doesn't set (hint: give `{name}` choices)"),
                );
            }
        }
        Ok(conditions)
    }

    fn condition(&self, parameter: &Hyperparameter, mut values: Vec<ParamValue>) -> Result<Condition, SpaceError> {
        let (name, distribution) = (&parameter.name, &parameter.distribution);
        if matches!(distribution, Distribution::Float { .. }) {
            return self.fail(
                "when",
                format!("it depends on `{name}`, which is a continuous range (hint: conditions need choices or whole numbers)"),
            );
        }
        for value in &mut values {
            if let (ParamValue::Int(number), None) = (&*value, distribution.to_internal(value)) {
                *value = ParamValue::Float(*number as f64);
            }
            if !distribution.to_internal(value).is_some_and(|internal| distribution.contains(internal)) {
                return self.fail(
                    "when",
                    format!("`{name}` is never {} (hint: it is one of {})", shown(value), shown_all(distribution)),
                );
            }
        }
        Ok(Condition { name: name.clone(), values })
    }
}

fn scalar(value: &Value) -> Option<ParamValue> {
    match value {
        Value::String(text) => Some(ParamValue::Str(text.clone())),
        Value::Integer(number) => Some(ParamValue::Int(*number)),
        Value::Float(number) if number.is_finite() => Some(ParamValue::Float(*number)),
        Value::Boolean(value) => Some(ParamValue::Bool(*value)),
        _ => None,
    }
}

fn as_number(value: &ParamValue) -> f64 {
    match value {
        ParamValue::Int(number) => *number as f64,
        ParamValue::Float(number) => *number,
        _ => f64::NAN,
    }
}

/// With more steps in a range of floats, two of them may be the same number.
const MAX_STEPS: f64 = 1e6;

/// Refuses a distribution that is not valid, with a hint.
pub(super) fn check_distribution(distribution: &Distribution) -> Result<(), String> {
    let (low, high, log, step) = match distribution {
        Distribution::Categorical { choices } => {
            if choices.is_empty() {
                return Err("expected at least one choice (hint: `[16, 32]`)".to_owned());
            }
            let twice = choices.iter().enumerate().find(|(index, choice)| choices[..*index].contains(choice));
            return match twice {
                Some((_, choice)) => Err(format!("the choice {} is given twice (hint: remove one)", shown(choice))),
                None => Ok(()),
            };
        }
        Distribution::Float { low, high, log, step } => (*low, *high, *log, *step),
        Distribution::Int { low, high, log, step } => {
            (*low as f64, *high as f64, *log, (*step != 1 || !*log).then_some(*step as f64))
        }
    };
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(format!("low {low:?} is above high {high:?} (hint: swap them)"));
    }
    if log && low <= 0.0 {
        return Err(format!(
            "low must be above 0 in a logarithmic range, found {low:?} (hint: use a small low, or `log = false`)"
        ));
    }
    let Some(step) = step else { return Ok(()) };
    if step <= 0.0 || !step.is_finite() {
        return Err(format!("step must be above 0, found {step:?} (hint: leave it out for a continuous range)"));
    }
    if log {
        return Err("a logarithmic range can't have steps (hint: remove `step` or `log`)".to_owned());
    }
    let steps = (high - low) / step;
    if (steps - steps.round()).abs() > 1e-8 {
        let last = super::on_step(low, high, step, steps.floor());
        return Err(format!("steps of {step:?} from {low:?} don't reach {high:?} (hint: `high = {last:?}`)"));
    }
    if matches!(distribution, Distribution::Float { .. }) && steps > MAX_STEPS {
        return Err(format!(
            "steps of {step:?} from {low:?} to {high:?} are more than a million (hint: remove `step`)"
        ));
    }
    Ok(())
}

pub(super) fn shown(value: &ParamValue) -> String {
    match value {
        ParamValue::Null => "null".to_owned(),
        ParamValue::Bool(value) => value.to_string(),
        ParamValue::Int(value) => value.to_string(),
        ParamValue::Float(value) => format!("{value:?}"),
        ParamValue::Str(value) => format!("\"{value}\""),
    }
}

/// All values: choices, or the ends of a range.
pub(super) fn shown_all(distribution: &Distribution) -> String {
    match distribution {
        Distribution::Categorical { choices } => choices.iter().map(shown).collect::<Vec<_>>().join(", "),
        Distribution::Int { low, high, .. } => format!("{low} to {high}"),
        Distribution::Float { low, high, .. } => format!("{low:?} to {high:?}"),
    }
}

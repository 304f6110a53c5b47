//! The values that a parameter may take, and the two forms of a value.
//!
//! The external form is what a configuration file has: a number, a string or a boolean. The internal form is always a
//! number: the value itself, or the index of a choice. Journals hold internal values with their distribution, as Optuna's do.

use std::fmt;

use serde_json::Value;

use crate::json;

#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// With `log` the logarithm is drawn uniformly, `low` is above 0, and `step` is `None`. Steps count from `low`.
    Float { low: f64, high: f64, log: bool, step: Option<f64> },
    /// The same of whole numbers; the step is at least 1, and 1 with `log`.
    Int { low: i64, high: i64, log: bool, step: i64 },
    /// At least one choice.
    Categorical { choices: Vec<ParamValue> },
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
}

/// How far a value may be from a step, in steps, as in Optuna.
const STEP_TOLERANCE: f64 = 1e-8;

impl Distribution {
    /// The internal form of a value: the number itself, or the index of a choice. `None` for a value of another kind, but not
    /// for one out of range: see [`contains`](Self::contains).
    pub fn to_internal(&self, value: &ParamValue) -> Option<f64> {
        let number = match value {
            ParamValue::Int(number) => Some(*number as f64),
            ParamValue::Float(number) if !number.is_nan() => Some(*number),
            _ => None,
        };
        match self {
            Self::Float { log, .. } => number.filter(|number| !log || *number > 0.0),
            Self::Int { log, .. } => number.filter(|number| number.fract() == 0.0 && (!log || *number > 0.0)),
            Self::Categorical { choices } => {
                let exact = choices.iter().position(|choice| choice == value);
                exact.or_else(|| choices.iter().position(|choice| choice.is_same(value))).map(|index| index as f64)
            }
        }
    }

    /// The external form of an internal value; `Null` for an index that no choice has.
    pub fn to_external(&self, internal: f64) -> ParamValue {
        match self {
            Self::Float { .. } => ParamValue::Float(internal),
            Self::Int { .. } => ParamValue::Int(internal as i64),
            Self::Categorical { choices } => {
                index(internal).and_then(|index| choices.get(index)).cloned().unwrap_or(ParamValue::Null)
            }
        }
    }

    /// Whether an internal value is in range and on a step.
    pub fn contains(&self, internal: f64) -> bool {
        match self {
            Self::Float { low, high, step, .. } => {
                let steps = step.map_or(0.0, |step| (internal - low) / step);
                (*low..=*high).contains(&internal) && (steps - steps.round()).abs() < STEP_TOLERANCE
            }
            Self::Int { low, high, step, .. } => {
                let (low, high) = (*low as f64, *high as f64);
                (low..=high).contains(&internal) && (internal - low) % *step as f64 == 0.0
            }
            Self::Categorical { choices } => index(internal).is_some_and(|index| index < choices.len()),
        }
    }

    /// Whether a study may have a parameter with this distribution and with `other`: ranges may change, but not kind,
    /// scale and choices. This is Optuna's rule. The error is the reason.
    pub(crate) fn check_compatible(&self, other: &Self) -> Result<(), &'static str> {
        match (self, other) {
            (Self::Float { log: a, .. }, Self::Float { log: b, .. })
            | (Self::Int { log: a, .. }, Self::Int { log: b, .. }) => {
                if a == b {
                    Ok(())
                } else {
                    Err(
                        "had another scale (logarithmic or linear) in this study (hint: keep it, or start another study)",
                    )
                }
            }
            (Self::Categorical { choices: a }, Self::Categorical { choices: b }) => {
                let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b));
                if same {
                    Ok(())
                } else {
                    Err("had other choices in this study (hint: keep them, or start another study)")
                }
            }
            _ => Err("had another kind of distribution in this study (hint: keep it, or start another study)"),
        }
    }

    /// Refuses a distribution that is not valid.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Float { low, high, .. } if low.is_nan() || high.is_nan() => Err("has a bound that is NaN"),
            Self::Float { low, high, .. } if low > high => Err("has low above high"),
            Self::Float { log: true, step: Some(_), .. } => Err("is logarithmic and has a step"),
            Self::Float { low, log: true, .. } if *low <= 0.0 => Err("is logarithmic, so low must be above 0"),
            Self::Float { step: Some(step), .. } if step.is_nan() || *step <= 0.0 => Err("has a step of 0 or less"),
            Self::Int { low, high, .. } if low > high => Err("has low above high"),
            Self::Int { log: true, step, .. } if *step != 1 => Err("is logarithmic and has a step"),
            Self::Int { low, log: true, .. } if *low < 1 => Err("is logarithmic, so low must be 1 or more"),
            Self::Int { step, .. } if *step < 1 => Err("has a step of 0 or less"),
            Self::Categorical { choices } if choices.is_empty() => Err("has no choices"),
            _ => Ok(()),
        }
    }

    /// Whether an internal value has an external form; it may be out of range.
    pub(crate) fn can_represent(&self, internal: f64) -> bool {
        match self {
            Self::Float { .. } => !internal.is_nan(),
            Self::Int { .. } => internal.is_finite(),
            Self::Categorical { .. } => self.contains(internal),
        }
    }

    /// JSON as Optuna writes it; journals hold it as a string.
    pub(crate) fn to_json(&self) -> String {
        let (name, attributes) = match self {
            Self::Float { low, high, log, step } => {
                let step = step.map_or_else(|| "null".to_owned(), json::float);
                let (low, high) = (json::float(*low), json::float(*high));
                ("FloatDistribution", format!("{{\"step\": {step}, \"low\": {low}, \"high\": {high}, \"log\": {log}}}"))
            }
            Self::Int { low, high, log, step } => {
                ("IntDistribution", format!("{{\"log\": {log}, \"step\": {step}, \"low\": {low}, \"high\": {high}}}"))
            }
            Self::Categorical { choices } => {
                let choices: Vec<_> = choices.iter().map(ParamValue::to_json).collect();
                ("CategoricalDistribution", format!("{{\"choices\": [{}]}}", choices.join(", ")))
            }
        };
        format!("{{\"name\": \"{name}\", \"attributes\": {attributes}}}")
    }

    /// Reads JSON that Optuna wrote, also with older names and in the short form.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        let value = json::parse(text.as_bytes())?;
        let (name, fields) = match (&value["name"], &value["type"]) {
            (Value::String(name), _) => (name, &value["attributes"]),
            (_, Value::String(kind)) => (kind, &value),
            _ => return Err("\"name\" is missing".to_owned()),
        };
        let float = |key: &str| json::number(&fields[key]).ok_or_else(|| format!("\"{key}\" is not a number"));
        let int = |key: &str| json::integer(&fields[key]).ok_or_else(|| format!("\"{key}\" is not a whole number"));
        let log = fields["log"].as_bool().unwrap_or(false);
        let optional = |key: &str| !fields[key].is_null();
        let distribution = match name.as_str() {
            "FloatDistribution" | "UniformDistribution" | "float" => {
                let step = optional("step").then(|| float("step")).transpose()?;
                Self::Float { low: float("low")?, high: float("high")?, log, step }
            }
            "LogUniformDistribution" => Self::Float { low: float("low")?, high: float("high")?, log: true, step: None },
            "DiscreteUniformDistribution" => {
                Self::Float { low: float("low")?, high: float("high")?, log: false, step: Some(float("q")?) }
            }
            "IntDistribution" | "IntUniformDistribution" | "IntLogUniformDistribution" | "int" => {
                let step = optional("step").then(|| int("step")).transpose()?.unwrap_or(1);
                let log = log || name == "IntLogUniformDistribution";
                Self::Int { low: int("low")?, high: int("high")?, log, step }
            }
            "CategoricalDistribution" | "categorical" => {
                let choices = fields["choices"].as_array().ok_or("\"choices\" is not a list")?;
                let choices: Result<_, _> = choices.iter().map(ParamValue::from_json).collect();
                Self::Categorical { choices: choices? }
            }
            _ => return Err(format!("unknown kind \"{}\"", json::excerpt(name))),
        };
        distribution.check()?;
        Ok(distribution)
    }
}

fn index(internal: f64) -> Option<usize> {
    (internal > -1.0).then_some(internal as usize)
}

impl ParamValue {
    /// Whether the two are equal in Python, as 1, 1.0 and true are; NaN equals NaN.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let number = |value: &Self| match value {
            Self::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Null | Self::Str(_) => None,
        };
        match (number(self), number(other)) {
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => self == other,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => json::float(*number),
            Self::Str(text) => json::string(text),
        }
    }

    /// As a JSON value; a number that JSON lacks becomes a string.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) if number.is_finite() => (*number).into(),
            Self::Float(number) => number.to_string().into(),
            Self::Str(text) => text.as_str().into(),
        }
    }

    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        if let Some(special) = json::special(value) {
            return Ok(Self::Float(special));
        }
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(truth) => Ok(Self::Bool(*truth)),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(Self::Int(whole)),
                (None, Some(float)) => Ok(Self::Float(float)),
                _ => Err("the choice is a number out of range".to_owned()),
            },
            Value::String(text) => Ok(Self::Str(text.clone())),
            Value::Array(_) | Value::Object(_) => {
                Err("the choice is not a number, a string, a boolean or null".to_owned())
            }
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            Self::Float(number) if !number.is_finite() => write!(f, "{number}"),
            _ => f.write_str(&self.to_json()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Distribution {
        Distribution::Float { low, high, log, step }
    }

    fn int(low: i64, high: i64, log: bool, step: i64) -> Distribution {
        Distribution::Int { low, high, log, step }
    }

    fn choices() -> Distribution {
        let word = |text: &str| ParamValue::Str(text.to_owned());
        Distribution::Categorical {
            choices: vec![
                ParamValue::Null,
                ParamValue::Int(1),
                ParamValue::Bool(true),
                ParamValue::Float(f64::NAN),
                ParamValue::Float(f64::NEG_INFINITY),
                word("ö \" \n"),
            ],
        }
    }

    #[test]
    fn both_forms_of_a_value() {
        assert_eq!(float(0.0, 1.0, false, None).to_internal(&ParamValue::Int(1)), Some(1.0));
        assert_eq!(float(0.1, 1.0, true, None).to_internal(&ParamValue::Float(-1.0)), None);
        assert_eq!(int(0, 9, false, 1).to_internal(&ParamValue::Float(2.5)), None);
        assert_eq!(int(0, 9, false, 1).to_internal(&ParamValue::Float(2.0)), Some(2.0));
        assert_eq!(int(0, 9, false, 1).to_internal(&ParamValue::Str("2".to_owned())), None);
        assert_eq!(int(0, 9, false, 1).to_external(7.0), ParamValue::Int(7));
        let choices = choices();
        for internal in [0.0, 1.0, 2.0, 4.0, 5.0] {
            assert_eq!(choices.to_internal(&choices.to_external(internal)), Some(internal));
        }
        // NaN can be a choice although it equals nothing; 1.0 is Python's 1.
        assert_eq!(choices.to_internal(&ParamValue::Float(f64::NAN)), Some(3.0));
        assert_eq!(choices.to_internal(&ParamValue::Float(1.0)), Some(1.0));
        assert_eq!(choices.to_internal(&ParamValue::Float(2.0)), None);
        assert_eq!(choices.to_external(6.0), ParamValue::Null);
    }

    #[test]
    fn ranges_and_steps() {
        let stepped = float(0.1, 0.7, false, Some(0.2));
        assert!(stepped.contains(0.1 + 0.2 + 0.2) && stepped.contains(0.7) && !stepped.contains(0.4));
        assert!(int(1, 9, false, 4).contains(5.0) && !int(1, 9, false, 4).contains(4.0));
        assert!(!int(1, 9, false, 4).contains(13.0) && !float(0.0, 1.0, false, None).contains(f64::NAN));
        assert!(choices().contains(5.0) && !choices().contains(6.0) && !choices().contains(-1.0));
    }

    #[test]
    fn what_is_written_is_read() {
        let all = [
            float(1e-6, 1e-3, true, None),
            float(-0.5, 1e300, false, Some(0.1)),
            int(i64::MIN, i64::MAX, false, 1),
            int(1, 64, true, 1),
        ];
        for distribution in all {
            assert_eq!(Distribution::from_json(&distribution.to_json()), Ok(distribution));
        }
        let read = Distribution::from_json(&choices().to_json()).unwrap();
        assert_eq!(read.check_compatible(&choices()), Ok(()));
        assert_eq!(format!("{read:?}"), format!("{:?}", choices()));
    }

    #[test]
    fn older_names_and_the_short_form() {
        let read = |text: &str| Distribution::from_json(text).unwrap();
        let old = |name: &str, fields: &str| read(&format!(r#"{{"name": "{name}", "attributes": {{{fields}}}}}"#));
        assert_eq!(old("UniformDistribution", r#""low": 0, "high": 1"#), float(0.0, 1.0, false, None));
        assert_eq!(old("LogUniformDistribution", r#""low": 1, "high": 2"#), float(1.0, 2.0, true, None));
        let stepped = float(0.0, 1.0, false, Some(0.5));
        assert_eq!(old("DiscreteUniformDistribution", r#""low": 0, "high": 1, "q": 0.5"#), stepped);
        assert_eq!(old("IntUniformDistribution", r#""low": 0, "high": 4, "step": 2"#), int(0, 4, false, 2));
        assert_eq!(old("IntLogUniformDistribution", r#""low": 1, "high": 4, "step": 1"#), int(1, 4, true, 1));
        assert_eq!(read(r#"{"type": "int", "low": 1, "high": 4}"#), int(1, 4, false, 1));
        assert_eq!(read(r#"{"type": "float", "low": 1, "high": 4, "log": true}"#), float(1.0, 4.0, true, None));
    }

    #[test]
    fn invalid_values_are_refused() {
        let texts = [
            float(1.0, 0.0, false, None).to_json(),
            float(0.0, 1.0, true, None).to_json(),
            float(1.0, 2.0, true, Some(0.1)).to_json(),
            float(0.0, 1.0, false, Some(0.0)).to_json(),
            float(f64::NAN, 1.0, false, None).to_json(),
            int(2, 1, false, 1).to_json(),
            int(0, 1, true, 1).to_json(),
            int(1, 5, true, 2).to_json(),
            int(1, 5, false, 0).to_json(),
            Distribution::Categorical { choices: Vec::new() }.to_json(),
            r#"{"name": "CategoricalDistribution", "attributes": {"choices": [[1]]}}"#.to_owned(),
            r#"{"name": "OtherDistribution", "attributes": {}}"#.to_owned(),
            r#"{"name": "IntDistribution", "attributes": {"low": 0.5, "high": 2}}"#.to_owned(),
            "[]".to_owned(),
            "{".to_owned(),
        ];
        for text in texts {
            assert!(Distribution::from_json(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_may_change_within_a_study() {
        assert_eq!(float(0.0, 1.0, false, None).check_compatible(&float(0.0, 9.0, false, Some(1.0))), Ok(()));
        assert!(float(0.5, 1.0, false, None).check_compatible(&float(0.5, 1.0, true, None)).is_err());
        assert!(float(0.0, 1.0, false, None).check_compatible(&int(0, 1, false, 1)).is_err());
        let other = Distribution::Categorical { choices: vec![ParamValue::Null] };
        assert!(choices().check_compatible(&other).is_err());
    }
}

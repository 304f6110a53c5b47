//! How the value of an option is written: as text, by a flag, and as a TOML value, which is its text and its kind.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use metrics::Metric;
use toml::Value;

/// Which TOML values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TomlKind {
    Whole,
    Number,
    Switch,
    Text,
    /// Numbers with commas between, a list in TOML; or a word.
    Numbers,
}

impl TomlKind {
    /// The TOML value of a text that a type has written; `None` where TOML can't hold it.
    pub(super) fn value(self, text: &str) -> Option<Value> {
        match self {
            Self::Whole => text.parse().ok().map(Value::Integer),
            Self::Number => text.parse().ok().map(Value::Float),
            Self::Switch => text.parse().ok().map(Value::Boolean),
            Self::Text => Some(text.into()),
            Self::Numbers => {
                let numbers: Option<_> = text.split(',').map(|number| Self::Number.value(number.trim())).collect();
                Some(numbers.map_or_else(|| text.into(), Value::Array))
            }
        }
    }

    /// The text of a TOML value; `None` where the kind doesn't fit.
    pub(super) fn text(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::Whole | Self::Number, Value::Integer(number)) => Some(number.to_string()),
            (Self::Number, Value::Float(number)) => Some(number.to_string()),
            (Self::Switch, Value::Boolean(switch)) => Some(switch.to_string()),
            (Self::Text, Value::String(text)) => Some(text.clone()),
            (Self::Numbers, Value::String(word)) => Some(word.clone()).filter(|word| !word.contains(',')),
            (Self::Numbers, Value::Array(numbers)) => numbers
                .iter()
                .map(|number| Self::Number.text(number))
                .collect::<Option<Vec<_>>>()
                .map(|it| it.join(",")),
            _ => None,
        }
    }
}

/// What can be the value of an option.
pub(super) trait OptionValue: Sized {
    const KIND: TomlKind;

    /// The allowed words of a choice.
    fn possible_values() -> Vec<PossibleValue> {
        if Self::KIND == TomlKind::Switch { ["true", "false"].map(PossibleValue::new).into() } else { Vec::new() }
    }

    fn from_text(text: &str) -> Option<Self>;

    /// `None` where nothing is set.
    fn to_text(&self) -> Option<String>;
}

/// Types whose text is that of `FromStr` and `Display`.
macro_rules! plain {
    ($($type:ty: $kind:ident),*) => { $(
        impl OptionValue for $type {
            const KIND: TomlKind = TomlKind::$kind;

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn to_text(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}

plain!(u64: Whole, usize: Whole, f64: Number, bool: Switch, String: Text, Metric: Text);

impl OptionValue for PathBuf {
    const KIND: TomlKind = TomlKind::Text;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn to_text(&self) -> Option<String> {
        self.to_str().map(str::to_owned)
    }
}

/// An option that may be left open.
impl<T: OptionValue> OptionValue for Option<T> {
    const KIND: TomlKind = T::KIND;

    fn possible_values() -> Vec<PossibleValue> {
        T::possible_values()
    }

    fn from_text(text: &str) -> Option<Self> {
        T::from_text(text).map(Some)
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref()?.to_text()
    }
}

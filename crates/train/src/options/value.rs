//! Conversion of option values between their type, the text of a flag and a TOML value.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use metrics::Metric;
use toml::Value;

/// The TOML type of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TomlKind {
    Integer,
    Float,
    Boolean,
    String,
    /// Numbers separated by commas, which are an array in TOML; or a name.
    Floats,
}

impl TomlKind {
    /// Converts text to a TOML value; `None` if TOML can't represent it.
    pub(super) fn to_value(self, text: &str) -> Option<Value> {
        match self {
            Self::Integer => text.parse().ok().map(Value::Integer),
            Self::Float => text.parse().ok().map(Value::Float),
            Self::Boolean => text.parse().ok().map(Value::Boolean),
            Self::String => Some(text.into()),
            Self::Floats => {
                let numbers: Option<_> = text.split(',').map(|number| Self::Float.to_value(number.trim())).collect();
                Some(numbers.map_or_else(|| text.into(), Value::Array))
            }
        }
    }

    /// Converts a TOML value to text; `None` if the value has another type.
    pub(super) fn to_text(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::Integer | Self::Float, Value::Integer(number)) => Some(number.to_string()),
            (Self::Float, Value::Float(number)) => Some(number.to_string()),
            (Self::Boolean, Value::Boolean(boolean)) => Some(boolean.to_string()),
            (Self::String, Value::String(text)) => Some(text.clone()),
            (Self::Floats, Value::String(name)) => Some(name.clone()).filter(|name| !name.contains(',')),
            (Self::Floats, Value::Array(numbers)) => numbers
                .iter()
                .map(|number| Self::Float.to_text(number))
                .collect::<Option<Vec<_>>>()
                .map(|numbers| numbers.join(",")),
            _ => None,
        }
    }
}

/// A type of option values.
pub(super) trait OptionValue: Sized {
    const KIND: TomlKind;

    /// The values of an enum or a boolean; empty for other types.
    fn possible_values() -> Vec<PossibleValue> {
        if Self::KIND == TomlKind::Boolean { ["true", "false"].map(PossibleValue::new).into() } else { Vec::new() }
    }

    fn from_text(text: &str) -> Option<Self>;

    /// `None` if the option is not set.
    fn to_text(&self) -> Option<String>;
}

/// Implements [`OptionValue`] by `FromStr` and `Display`.
macro_rules! impl_from_str {
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

impl_from_str!(u64: Integer, usize: Integer, f64: Float, bool: Boolean, String: String, Metric: String);

impl OptionValue for PathBuf {
    const KIND: TomlKind = TomlKind::String;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn to_text(&self) -> Option<String> {
        self.to_str().map(str::to_owned)
    }
}

/// An option that may be unset.
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

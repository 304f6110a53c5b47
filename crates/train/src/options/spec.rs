//! The definition of an option ([`OptionSpec`]), and [`options!`], the macro that defines options.
//!
//! An entry consists of a doc comment, which is the help text; the field name, which is also the key in files and, with
//! hyphens, the flag; the type; the default; a [`Rule`] for the allowed values; and other fields of the rule:
//!
//! ```text
//! /// Power of the decay
//! polynomial_power: f64 = 1.0, float(0.5..=3.0), reader: read_by("schedule", &[ScheduleKind::Polynomial]);
//! ```
//!
//! `field as key: ...` defines a field whose key has another name. A default may depend on the fields above it.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::RangeBounds;

use clap::builder::PossibleValue;
use toml::{Table, Value};

use super::choices::Choice;
use super::value::{OptionValue, TomlKind};

/// The allowed values of an option, and its behavior besides its value.
pub(super) struct Rule {
    /// Whether a value of the right type is allowed.
    pub is_allowed: Box<dyn Fn(&Value) -> bool + Send + Sync>,
    /// Completes "it must be ...". For an enum, `OptionSpec::new` lists its values.
    pub expected: String,
    /// The hint in the error for a value that isn't allowed. `{default}` is replaced by the default.
    pub hint: &'static str,
    /// The displayed default of an option that is not set by default.
    pub unset: &'static str,
    /// The placeholder of the value in the help; empty for the usual placeholder of the type.
    pub placeholder: &'static str,
    /// When the option is read. Giving it otherwise is an error.
    pub reader: Reader,
    /// The key of an alternative option, whose value in a file is ignored if this option is given by flag; or empty.
    pub replaces: &'static str,
    /// Whether the option is part of a saved configuration.
    pub saved: bool,
    /// Whether the value may change on resume, because the result doesn't depend on it or because the checkpoint
    /// compares what it refers to.
    pub changeable_on_resume: bool,
    /// Whether the processes of one training may have different values, because it says where each finds the same things or
    /// how it computes on its machine. What the value comes to is compared by `Identity`.
    pub differs_by_process: bool,
}

/// When an option is read.
pub(super) enum Reader {
    /// In every run.
    Training,
    /// In runs where another option has one of these values.
    TrainingWith(&'static str, Vec<String>),
    /// In runs that evaluate on a validation split.
    Evaluation,
}

/// An option that is read only if the option `key` has one of these values.
pub(super) fn read_by(key: &'static str, values: &[impl Choice]) -> Reader {
    Reader::TrainingWith(key, values.iter().map(Choice::name).collect())
}

/// Allows every value of the type.
pub(super) fn any_value() -> Rule {
    Rule {
        is_allowed: Box::new(|_| true),
        expected: String::new(),
        hint: "{default} is the default",
        unset: "off",
        placeholder: "",
        reader: Reader::Training,
        replaces: "",
        saved: true,
        changeable_on_resume: false,
        differs_by_process: false,
    }
}

/// Allows every string.
pub(super) fn string(placeholder: &'static str) -> Rule {
    Rule { expected: "text".to_owned(), hint: "a file has it in quotes", placeholder, ..any_value() }
}

/// Allows the values for which `is_allowed` is true; `expected` describes them.
pub(super) fn matching(
    expected: impl Into<String>,
    is_allowed: impl Fn(&Value) -> bool + Send + Sync + 'static,
) -> Rule {
    Rule { is_allowed: Box::new(is_allowed), expected: expected.into(), ..any_value() }
}

/// Allows the integers of a range with an inclusive lower bound.
pub(super) fn integer(range: impl RangeBounds<i64> + Send + Sync + 'static) -> Rule {
    let expected = match (range.start_bound(), range.end_bound()) {
        (Included(low), Included(&i64::MAX)) => format!("a whole number from {low} to 2^63 - 1"),
        (Included(low), Included(high)) => format!("a whole number from {low} to {high}"),
        (Included(low), _) => format!("a whole number of {low} or more"),
        _ => unreachable!("integer ranges have an inclusive lower bound"),
    };
    matching(expected, move |value| value.as_integer().is_some_and(|number| range.contains(&number)))
}

/// Allows the finite numbers of a range with a lower bound.
pub(super) fn float(range: impl RangeBounds<f64> + Send + Sync + 'static) -> Rule {
    let expected = match (range.start_bound(), range.end_bound()) {
        (Included(low), Excluded(high)) => format!("a number from {low} to below {high}"),
        (Included(low), Included(high)) => format!("a number from {low} to {high}"),
        (Included(low), Unbounded) => format!("a finite number of {low} or more"),
        (Excluded(low), Included(high)) => format!("a number above {low} and up to {high}"),
        (Excluded(low), Unbounded) => format!("a finite number above {low}"),
        _ => unreachable!("every range of an option is one of these"),
    };
    matching(expected, move |value| value.as_float().is_some_and(|x| x.is_finite() && range.contains(&x)))
}

/// The definition of an option.
pub(super) struct OptionSpec {
    pub key: &'static str,
    /// The flag without its two hyphens.
    pub flag: String,
    pub heading: &'static str,
    pub kind: TomlKind,
    /// The values of an enum; empty for other types.
    pub choices: Vec<PossibleValue>,
    pub rule: Rule,
    description: &'static str,
    /// Parses a text as the option's type and formats it again; `None` if it can't be parsed.
    normalize: fn(&str) -> Option<String>,
    resolve: fn(&Table) -> Option<String>,
}

impl OptionSpec {
    /// `resolve` returns the option's value, as text, in the configuration that a table resolves to.
    pub(super) fn new<T: OptionValue>(
        key: &'static str,
        heading: &'static str,
        description: &'static str,
        resolve: fn(&Table) -> Option<String>,
        mut rule: Rule,
    ) -> Self {
        let choices = T::possible_values();
        let names: Vec<&str> = choices.iter().map(PossibleValue::get_name).collect();
        match names[..] {
            [] => {}
            [one, other] => rule.expected = format!("{one} or {other}"),
            _ => rule.expected = format!("one of {}", names.join(", ")),
        }
        let normalize = |text: &str| T::from_text(text)?.to_text();
        Self {
            key,
            flag: key.replace('_', "-"),
            heading,
            kind: T::KIND,
            choices,
            rule,
            description,
            normalize,
            resolve,
        }
    }

    /// Parses the value of a flag; `None` if it has the wrong type.
    pub(super) fn parse(&self, text: &str) -> Option<Value> {
        let text = if self.kind == TomlKind::String { text } else { text.trim() };
        // Rust accepts a leading plus sign in integers; options don't.
        let normalized = (self.normalize)(text).filter(|_| self.kind != TomlKind::Integer || !text.starts_with('+'));
        self.kind.to_value(&normalized?)
    }

    /// Normalizes a value from a file; `None` if it has the wrong type.
    pub(super) fn parse_value(&self, value: &Value) -> Option<Value> {
        self.parse(&self.kind.to_text(value)?)
    }

    /// The value in the configuration that a table resolves to: the table's or the default; `None` if it is not set.
    pub(super) fn value_in(&self, table: &Table) -> Option<Value> {
        self.kind.to_value(&(self.resolve)(table)?)
    }

    /// The same value for display.
    pub(super) fn display_in(&self, table: &Table) -> String {
        match self.value_in(table) {
            None => self.rule.unset.to_owned(),
            Some(Value::String(word)) => word,
            Some(Value::Float(small)) if small > 0.0 && small < 1e-3 => format!("{small:e}"),
            Some(value) => value.to_string(),
        }
    }

    /// The default for display, followed by different defaults with other values of the option that [`Reader`] names.
    pub(super) fn display_default(&self) -> String {
        let mut defaults = vec![self.display_in(&Table::new())];
        if let Reader::TrainingWith(key, values) = &self.rule.reader {
            for word in values {
                let other = self.display_in(&Table::from_iter([((*key).to_owned(), word.as_str().into())]));
                if other != defaults[0] {
                    defaults.push(format!("{other} for {word}"));
                }
            }
        }
        defaults.join(", ")
    }

    /// The help text, with the condition under which the option is read.
    pub(super) fn help(&self) -> String {
        match &self.rule.reader {
            Reader::TrainingWith(key, values) => {
                format!("{} [read by {key} = {}]", self.description.trim(), values.join(", "))
            }
            _ => self.description.trim().to_owned(),
        }
    }

    pub(super) fn hint(&self) -> String {
        self.rule.hint.replace("{default}", &self.display_default())
    }

    /// The requirement and hint for an error message.
    pub(super) fn requirement(&self) -> String {
        format!("it must be {} (hint: {})", self.rule.expected, self.hint())
    }
}

/// The value of an option in a validated table; `None` if the key is missing.
pub(super) fn value_of<T: OptionValue>(table: &Table, key: &str) -> Option<T> {
    T::from_text(&T::KIND.to_text(table.get(key)?)?)
}

/// Writes a value into a table, if it is set.
pub(super) fn write<T: OptionValue>(table: &mut Table, key: &str, value: &T) {
    if let Some(value) = value.to_text().and_then(|text| T::KIND.to_value(&text)) {
        table.insert(key.to_owned(), value);
    }
}

/// Defines the struct of a group of options, see the [module](self).
macro_rules! options {
    (
        $(#[$about:meta])*
        $group:ident, $heading:literal, [$($sub:ident: $Sub:ident),*] {
            $($(#[doc = $help:literal])+ $field:ident $(as $key:ident)?: $type:ty = $default:expr,
                $rule:expr $(, $more:ident: $other:expr)*;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $group {
            $($(#[doc = $help])+ pub $field: $type,)*
            $(#[doc = concat!("See [`", stringify!($Sub), "`].")] pub $sub: $Sub,)*
        }

        impl $group {
            /// The values in a validated table, and the defaults of missing keys.
            pub(in $crate::options) fn resolve(table: &toml::Table) -> Self {
                $(
                    let given = $crate::options::spec::value_of(table, options!(@key $field $($key)?));
                    let $field: $type = given.unwrap_or_else(|| $default);
                )*
                Self { $($field,)* $($sub: $Sub::resolve(table),)* }
            }

            /// Writes every value that is set into a table.
            pub(in $crate::options) fn write(&self, table: &mut toml::Table) {
                $($crate::options::spec::write(table, options!(@key $field $($key)?), &self.$field);)*
                $(self.$sub.write(table);)*
            }

            pub(in $crate::options) fn specs() -> Vec<$crate::options::spec::OptionSpec> {
                use $crate::options::{spec::{OptionSpec, Rule}, value::OptionValue};
                #[allow(unused_mut, reason = "most groups have no subgroups")]
                let mut specs = vec![$(OptionSpec::new::<$type>(
                    options!(@key $field $($key)?),
                    $heading,
                    concat!($($help),+),
                    |table| Self::resolve(table).$field.to_text(),
                    Rule { $($more: $other,)* ..$rule },
                )),*];
                $(specs.extend($Sub::specs());)*
                specs
            }
        }

        impl Default for $group {
            fn default() -> Self {
                Self::resolve(&toml::Table::new())
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:ident) => { stringify!($key) };
}

pub(super) use options;

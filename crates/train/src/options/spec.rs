//! What is known of an option beside its value, and [`options!`], by which an option is said once.
//!
//! An entry is a doc comment, which is the help; the field's name, which is also the key in files and, with hyphens, the flag;
//! the type; the default; a [`Rule`] with the values that are allowed; and other fields of the rule:
//!
//! ```text
//! /// Power of the decay
//! polynomial_power: f64 = 1.0, number(0.5..=3.0), reader: read_by("schedule", &[ScheduleKind::Polynomial]);
//! ```
//!
//! `field as key: ...` is for a field whose key has another name. A default may depend on the fields above it.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::RangeBounds;

use clap::builder::PossibleValue;
use toml::{Table, Value};

use super::choices::Choice;
use super::value::{OptionValue, TomlKind};

/// What is allowed and what is said about it.
pub(super) struct Rule {
    /// Of the values that the type reads.
    pub allows: Box<dyn Fn(&Value) -> bool + Send + Sync>,
    /// What a value must be, in words; empty for a choice, whose words say it.
    pub expected: String,
    /// What to do about a value that isn't allowed. `{default}` stands for the default.
    pub hint: &'static str,
    /// What is done where nothing is set and the default is no value.
    pub unset: &'static str,
    /// What stands for the value in help, where the kind doesn't say it.
    pub placeholder: &'static str,
    /// What reads the option. Where it doesn't, giving the option is an error.
    pub reader: Reader,
    /// The option of which this one, given by flag, takes the place in a file.
    pub instead_of: &'static str,
    /// Whether it is part of a saved configuration.
    pub saved: bool,
    /// Whether a resumed run may have another value: no bit of its result depends on it, or the checkpoint compares what
    /// it stands for.
    pub free_on_resume: bool,
}

/// What reads an option.
pub(super) enum Reader {
    Training,
    /// Training where another option has one of these values.
    With(&'static str, Vec<String>),
    /// Evaluation on the data's validation split.
    Evaluation,
}

/// The values of another option with which an option is read.
pub(super) fn read_by(key: &'static str, values: &[impl Choice]) -> Reader {
    Reader::With(key, values.iter().map(Choice::name).collect())
}

/// Every value of the type.
pub(super) fn any() -> Rule {
    Rule {
        allows: Box::new(|_| true),
        expected: String::new(),
        hint: "{default} is the default",
        unset: "off",
        placeholder: "",
        reader: Reader::Training,
        instead_of: "",
        saved: true,
        free_on_resume: false,
    }
}

pub(super) fn text(placeholder: &'static str) -> Rule {
    Rule { expected: "text".to_owned(), hint: "a file has it in quotes", placeholder, ..any() }
}

/// The values of the type that pass a test, which words describe.
pub(super) fn such_that(expected: impl Into<String>, allows: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Rule {
    Rule { allows: Box::new(allows), expected: expected.into(), ..any() }
}

/// Whole numbers of a range that has its first number.
pub(super) fn whole(range: impl RangeBounds<i64> + Send + Sync + 'static) -> Rule {
    let expected = match (range.start_bound(), range.end_bound()) {
        (Included(low), Included(&i64::MAX)) => format!("a whole number from {low} to 2^63 - 1"),
        (Included(low), Included(high)) => format!("a whole number from {low} to {high}"),
        (Included(low), _) => format!("a whole number of {low} or more"),
        _ => unreachable!("every range of an option has its first number"),
    };
    such_that(expected, move |value| value.as_integer().is_some_and(|number| range.contains(&number)))
}

/// Finite numbers of a range that has a lower bound.
pub(super) fn number(range: impl RangeBounds<f64> + Send + Sync + 'static) -> Rule {
    let expected = match (range.start_bound(), range.end_bound()) {
        (Included(low), Excluded(high)) => format!("a number from {low} to below {high}"),
        (Included(low), Included(high)) => format!("a number from {low} to {high}"),
        (Included(low), Unbounded) => format!("a finite number of {low} or more"),
        (Excluded(low), Included(high)) => format!("a number above {low} and up to {high}"),
        (Excluded(low), Unbounded) => format!("a finite number above {low}"),
        _ => unreachable!("every range of an option is one of these"),
    };
    such_that(expected, move |value| value.as_float().is_some_and(|x| x.is_finite() && range.contains(&x)))
}

/// An option: everything but its value.
pub(super) struct OptionSpec {
    pub key: &'static str,
    /// The flag without its two hyphens.
    pub flag: String,
    pub heading: &'static str,
    pub kind: TomlKind,
    pub words: Vec<PossibleValue>,
    pub rule: Rule,
    about: &'static str,
    spell: fn(&str) -> Option<String>,
    resolve: fn(&Table) -> Option<String>,
}

impl OptionSpec {
    /// `resolve` gives the text of the option's value in the configuration that a table says.
    pub(super) fn new<T: OptionValue>(
        key: &'static str,
        heading: &'static str,
        about: &'static str,
        resolve: fn(&Table) -> Option<String>,
        mut rule: Rule,
    ) -> Self {
        let words = T::possible_values();
        let names: Vec<&str> = words.iter().map(PossibleValue::get_name).collect();
        match names[..] {
            [] => {}
            [one, other] => rule.expected = format!("{one} or {other}"),
            _ => rule.expected = format!("one of {}", names.join(", ")),
        }
        let spell = |text: &str| T::from_text(text)?.to_text();
        Self { key, flag: key.replace('_', "-"), heading, kind: T::KIND, words, rule, about, spell, resolve }
    }

    /// A value from a flag's text; `None` where it is of the wrong kind.
    pub(super) fn parse(&self, text: &str) -> Option<Value> {
        let text = if self.kind == TomlKind::Text { text } else { text.trim() };
        // Rust's numbers may begin with a plus.
        let spelled = (self.spell)(text).filter(|_| self.kind != TomlKind::Whole || !text.starts_with('+'));
        self.kind.value(&spelled?)
    }

    /// A value from a file in its one spelling; `None` where it is of the wrong kind.
    pub(super) fn read(&self, value: &Value) -> Option<Value> {
        self.parse(&self.kind.text(value)?)
    }

    /// The value in the configuration that a table says: the table's, or the default; `None` where it stays unset.
    pub(super) fn value_in(&self, table: &Table) -> Option<Value> {
        self.kind.value(&(self.resolve)(table)?)
    }

    /// That value in words, or what is done where it stays unset.
    pub(super) fn shown_in(&self, table: &Table) -> String {
        match self.value_in(table) {
            None => self.rule.unset.to_owned(),
            Some(Value::String(word)) => word,
            Some(Value::Float(small)) if small > 0.0 && small < 1e-3 => format!("{small:e}"),
            Some(value) => value.to_string(),
        }
    }

    /// The default in words, with those that differ by what reads the option.
    pub(super) fn shown_default(&self) -> String {
        let mut defaults = vec![self.shown_in(&Table::new())];
        if let Reader::With(key, values) = &self.rule.reader {
            for word in values {
                let other = self.shown_in(&Table::from_iter([((*key).to_owned(), word.as_str().into())]));
                if other != defaults[0] {
                    defaults.push(format!("{other} for {word}"));
                }
            }
        }
        defaults.join(", ")
    }

    /// What the option does, and what reads it.
    pub(super) fn help(&self) -> String {
        match &self.rule.reader {
            Reader::With(key, values) => format!("{} [read by {key} = {}]", self.about.trim(), values.join(", ")),
            _ => self.about.trim().to_owned(),
        }
    }

    pub(super) fn hint(&self) -> String {
        self.rule.hint.replace("{default}", &self.shown_default())
    }

    /// What a value must be, and what to do about another one.
    pub(super) fn demand(&self) -> String {
        format!("it must be {} (hint: {})", self.rule.expected, self.hint())
    }
}

/// The value of an option in a table that was checked; `None` where it isn't there.
pub(super) fn value_of<T: OptionValue>(table: &Table, key: &str) -> Option<T> {
    T::from_text(&T::KIND.text(table.get(key)?)?)
}

/// Puts a value into a table, where it is set.
pub(super) fn write<T: OptionValue>(table: &mut Table, key: &str, value: &T) {
    if let Some(value) = value.to_text().and_then(|text| T::KIND.value(&text)) {
        table.insert(key.to_owned(), value);
    }
}

/// Makes the struct of a group of options out of their entries, see the [module](self).
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
            /// The values in a table that was checked, and defaults for the rest.
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
                #[allow(unused_mut, reason = "most groups have no groups in them")]
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

//! The list of all options, and functions that look up an option by key.

use std::sync::LazyLock;

use toml::{Table, Value};

use super::config::TrainConfig;
use super::spec::{OptionSpec, Reader};

static OPTIONS: LazyLock<Vec<OptionSpec>> = LazyLock::new(TrainConfig::specs);

/// All options, in the order in which help, saved configurations and the guide list them.
pub(super) fn options() -> &'static [OptionSpec] {
    &OPTIONS
}

pub(super) fn option(key: &str) -> Option<&'static OptionSpec> {
    options().iter().find(|option| option.key == key)
}

/// The key most similar to a misspelled one, if any is similar enough.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase().replace('-', "_");
    options()
        .iter()
        .map(|option| (strsim::jaro_winkler(&key, option.key), option.key))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

/// The keys of all options, which a file may set.
pub fn keys() -> impl Iterator<Item = &'static str> {
    options().iter().map(|option| option.key)
}

/// Checks the type and range of one value.
///
/// # Errors
/// An unknown key; the requirement that the value violates, with a hint.
pub fn check(key: &str, value: &Value) -> Result<(), String> {
    let option = option(key).ok_or_else(|| format!("no option is called \"{key}\""))?;
    let allowed = option.parse_value(value).is_some_and(|value| (option.rule.is_allowed)(&value));
    if allowed { Ok(()) } else { Err(option.requirement()) }
}

/// The option whose value determines whether this one is read, such as `optimizer` for `momentum`.
pub fn depends_on(key: &str) -> Option<&'static str> {
    match &option(key)?.rule.reader {
        Reader::TrainingWith(other, _) => Some(other),
        _ => None,
    }
}

/// Why an option has no effect in the configuration that a table resolves to; `None` if it has an effect.
pub fn no_effect_reason(key: &str, table: &Table) -> Option<String> {
    let Reader::TrainingWith(other, values) = &option(key)?.rule.reader else { return None };
    let value = option(other)?.display_in(table);
    let why = || format!("{other} = {value} does not read it, only {other} = {} does", values.join(", "));
    (!values.contains(&value)).then(why)
}

/// Whether the processes of one training may have different values of an option.
pub(crate) fn differs_by_process(key: &str) -> bool {
    option(key).is_some_and(|option| option.rule.differs_by_process)
}

/// Whether the value of an option may change on resume.
pub(crate) fn changeable_on_resume(key: &str) -> bool {
    option(key).is_some_and(|option| option.rule.changeable_on_resume)
}

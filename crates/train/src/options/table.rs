//! The table of all options, for everything that is done with each of them alike.

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

/// The option whose key is closest, where it is close enough to have been meant.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase().replace('-', "_");
    options()
        .iter()
        .map(|option| (strsim::jaro_winkler(&key, option.key), option.key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

/// The keys of all options, which a file may set.
pub fn keys() -> impl Iterator<Item = &'static str> {
    options().iter().map(|option| option.key)
}

/// Whether an option takes this value, as far as one can say without the others.
///
/// # Errors
/// What it must be, and what to do.
pub fn check(key: &str, value: &Value) -> Result<(), String> {
    let option = option(key).ok_or_else(|| format!("no option is called \"{key}\""))?;
    let allowed = option.read(value).is_some_and(|value| (option.rule.allows)(&value));
    if allowed { Ok(()) } else { Err(option.demand()) }
}

/// The option that decides whether this one is read, such as `optimizer` for `momentum`.
pub fn decided_by(key: &str) -> Option<&'static str> {
    match &option(key)?.rule.reader {
        Reader::With(decides, _) => Some(decides),
        _ => None,
    }
}

/// Why an option isn't read in the configuration that a table says; `None` where it is.
pub fn unread(key: &str, table: &Table) -> Option<String> {
    let Reader::With(decides, values) = &option(key)?.rule.reader else { return None };
    let value = option(decides)?.shown_in(table);
    let why = || format!("{decides} = {value} does not read it, only {decides} = {} does", values.join(", "));
    (!values.contains(&value)).then(why)
}

/// Whether a resumed run may have another value of an option.
pub(crate) fn free_on_resume(key: &str) -> bool {
    option(key).is_some_and(|option| option.rule.free_on_resume)
}

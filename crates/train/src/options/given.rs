//! Options given by flag, in a file or in the configuration of a resumed run, merged in this order of precedence. Each
//! value records where it was given.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Map;
use toml::{Table, Value};

use super::spec::{OptionSpec, Reader};
use super::table::{nearest, no_effect_reason, option, options};
use crate::error::{GivenOption, OptionsError, ValueSource};

/// Values of options by key, each with its original text and source. Options that were not given are absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenOptions(BTreeMap<&'static str, (Value, GivenOption)>);

impl GivenOptions {
    /// The configuration stored in a checkpoint; `null` means that an option is not set.
    ///
    /// # Errors
    /// An unknown key; a value of the wrong type.
    pub(crate) fn from_json(map: &Map<String, serde_json::Value>) -> Result<Self, OptionsError> {
        let mut given = Self::default();
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            given.insert(key, serde_json::from_value(value.clone()).ok(), value.to_string(), ValueSource::Saved)?;
        }
        Ok(given)
    }

    /// The configuration in the `run.toml` of a resumed run.
    pub(crate) fn from_saved_file(path: &Path) -> Result<Self, OptionsError> {
        let mut given = Self::from_file(path)?;
        given.0.values_mut().for_each(|(_, setting)| setting.origin = ValueSource::Saved);
        Ok(given)
    }

    /// Adds a value, after checking its type; `None` is a value that could not be parsed.
    pub(super) fn insert(
        &mut self,
        key: &str,
        value: Option<Value>,
        text: String,
        origin: ValueSource,
    ) -> Result<(), OptionsError> {
        let Some(option) = option(key) else {
            return Err(OptionsError::UnknownKey { origin, key: key.to_owned(), nearest: nearest(key) });
        };
        let setting = GivenOption { key: option.key, text, origin };
        match value.and_then(|value| option.parse_value(&value)) {
            Some(value) => self.insert_parsed(value, setting),
            None => return Err(OptionsError::value(setting, &option.rule.expected, option.hint())),
        }
        Ok(())
    }

    /// Adds a value of the right type.
    pub(super) fn insert_parsed(&mut self, value: Value, setting: GivenOption) {
        self.0.insert(setting.key, (value, setting));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|(value, _)| value)
    }

    /// These options, and those of `fallback` that are not given here. An option given here also removes the option
    /// that it replaces from `fallback`.
    pub(super) fn with_fallback(mut self, mut fallback: Self) -> Self {
        let key_replaced_by = |key: &str| option(key).map(|option| option.rule.replaces);
        fallback.0.retain(|key, _| !self.0.keys().any(|given| given == key || key_replaced_by(given) == Some(key)));
        self.0.append(&mut fallback.0);
        self
    }

    pub(super) fn table(&self) -> Table {
        self.0.iter().map(|(key, (value, _))| ((*key).to_owned(), value.clone())).collect()
    }

    /// Checks that every value is in the range of its option.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        for option in options() {
            if let Some((value, setting)) = self.0.get(option.key)
                && !(option.rule.is_allowed)(value)
            {
                return Err(OptionsError::value(setting.clone(), &option.rule.expected, option.hint()));
            }
        }
        Ok(())
    }

    /// Refuses options that have no effect because of the values of other options.
    pub(super) fn refuse_without_effect(&self) -> Result<(), OptionsError> {
        let table = self.table();
        self.refuse(|option| no_effect_reason(option.key, &table))
    }

    /// Refuses evaluation options that were given for data without a validation split.
    pub(crate) fn refuse_evaluation_options(&self) -> Result<(), OptionsError> {
        let why = "the data has no labeled validation split to evaluate on";
        self.refuse(|option| matches!(option.rule.reader, Reader::Evaluation).then(|| why.to_owned()))
    }

    /// Refuses each given option for which `reason` returns a reason.
    fn refuse(&self, reason: impl Fn(&OptionSpec) -> Option<String>) -> Result<(), OptionsError> {
        for option in options() {
            let Some((value, setting)) = self.0.get(option.key) else { continue };
            let requested = match setting.origin {
                ValueSource::Flag => true,
                ValueSource::Saved => false,
                // The `run.toml` of a run contains every option, so a default value does not count as requested.
                ValueSource::File(..) => {
                    let mut others = self.table();
                    others.remove(option.key);
                    option.value_in(&others).as_ref() != Some(value)
                }
            };
            if let Some(why) = reason(option).filter(|_| requested) {
                return Err(OptionsError::NoEffect { setting: Box::new(setting.clone()), why });
            }
        }
        Ok(())
    }

    /// Adds to an error the sources of the options that it is about.
    pub(crate) fn locate(&self, mut error: OptionsError) -> OptionsError {
        for setting in error.settings() {
            if let Some((_, given)) = self.0.get(setting.key) {
                *setting = given.clone();
            }
        }
        error
    }
}

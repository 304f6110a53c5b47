//! What was given: by flag, in a file, in the configuration of a resumed run. Each is a layer, and the layers lie
//! over each other as one table whose values know where they come from.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Map;
use toml::{Table, Value};

use super::spec::{OptionSpec, Reader};
use super::table::{nearest, option, options, unread};
use crate::error::{GivenOption, OptionsError, ValueSource};

/// Values of options by their keys, each with how and where it was written; the rest is left open.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given(BTreeMap<&'static str, (Value, GivenOption)>);

impl Given {
    /// The configuration of a run as its checkpoint keeps it; `null` is a value that isn't set.
    ///
    /// # Errors
    /// A key that no option has; a value of the wrong kind.
    pub(crate) fn saved(map: &Map<String, serde_json::Value>) -> Result<Self, OptionsError> {
        let mut given = Self::default();
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            given.insert(key, serde_json::from_value(value.clone()).ok(), value.to_string(), ValueSource::Saved)?;
        }
        Ok(given)
    }

    /// The configuration in the file of a resumed run.
    pub(crate) fn saved_in(path: &Path) -> Result<Self, OptionsError> {
        let mut given = Self::from_file(path)?;
        given.0.values_mut().for_each(|(_, setting)| setting.origin = ValueSource::Saved);
        Ok(given)
    }

    /// Adds a value from a file; `None` is one in a form that no option has.
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
        match value.and_then(|value| option.read(&value)) {
            Some(value) => self.insert_read(value, setting),
            None => return Err(OptionsError::value(setting, &option.rule.expected, option.hint())),
        }
        Ok(())
    }

    /// Adds a value that was read.
    pub(super) fn insert_read(&mut self, value: Value, setting: GivenOption) {
        self.0.insert(setting.key, (value, setting));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|(value, _)| value)
    }

    /// These values, and where one is left open, that of the layer below. An option that stands in for another one puts
    /// that one's value below out of force too.
    pub(super) fn over(mut self, mut below: Self) -> Self {
        let instead = |key: &str| option(key).map(|option| option.rule.instead_of);
        below.0.retain(|key, _| !self.0.keys().any(|ours| ours == key || instead(ours) == Some(key)));
        self.0.append(&mut below.0);
        self
    }

    pub(super) fn table(&self) -> Table {
        self.0.iter().map(|(key, (value, _))| ((*key).to_owned(), value.clone())).collect()
    }

    /// Whether every value is one that its option allows.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        for option in options() {
            if let Some((value, setting)) = self.0.get(option.key)
                && !(option.rule.allows)(value)
            {
                return Err(OptionsError::value(setting.clone(), &option.rule.expected, option.hint()));
            }
        }
        Ok(())
    }

    /// Refuses options that were given and have no effect because of the values of other options.
    pub(super) fn refuse_unread(&self) -> Result<(), OptionsError> {
        let table = self.table();
        self.refuse(|option| unread(option.key, &table))
    }

    /// Refuses evaluation options that were given for data without a validation split.
    pub(crate) fn refuse_evaluation(&self) -> Result<(), OptionsError> {
        let why = "the data has no labelled validation split to evaluate on";
        self.refuse(|option| matches!(option.rule.reader, Reader::Evaluation).then(|| why.to_owned()))
    }

    /// Refuses each given option for which `reason` returns a reason.
    fn refuse(&self, reason: impl Fn(&OptionSpec) -> Option<String>) -> Result<(), OptionsError> {
        for option in options() {
            let Some((value, setting)) = self.0.get(option.key) else { continue };
            let asked_for = match setting.origin {
                ValueSource::Flag => true,
                ValueSource::Saved => false,
                // A run's own file contains every option. Its defaults were not asked for.
                ValueSource::File(..) => {
                    let mut others = self.table();
                    others.remove(option.key);
                    option.value_in(&others).as_ref() != Some(value)
                }
            };
            if let Some(why) = reason(option).filter(|_| asked_for) {
                return Err(OptionsError::Unread { setting: Box::new(setting.clone()), why });
            }
        }
        Ok(())
    }

    /// An error about options that names the places of their values.
    pub(crate) fn locate(&self, mut error: OptionsError) -> OptionsError {
        for setting in error.settings() {
            if let Some((_, given)) = self.0.get(setting.key) {
                *setting = given.clone();
            }
        }
        error
    }
}

//! The options of training: flags and a configuration file ([`TrainArgs`]) are resolved into one validated
//! configuration ([`TrainConfig`]), which is saved with the run and can be passed to `--config` again.
//!
//! An option is defined by one entry in the file of its group (`config`, `optimizer`, `schedule`, `regularization`,
//! `evaluation`, `checkpoint`): key, type, default, bounds, hint, help. The entry defines the flag, the key in a file,
//! the field of [`TrainConfig`], the check with its message, what is saved and resumed, and the row of the guide's
//! table (updated by `VERDICT_UPDATE=1 cargo test -p train guide`). `spec` defines the syntax of an entry, `value` how
//! values are written, and `given` the order of precedence of flags (`args`), file (`file`) and saved configuration.
//!
//! ```
//! use train::options::{TrainArgs, TrainConfig};
//!
//! let mut args = TrainArgs::default();
//! args.set("optimizer", "lion")?;
//! args.set("learning_rate", "3e-6")?;
//! let config = TrainConfig::from_args(&args)?;
//! assert_eq!((config.epochs, config.optimizer.beta2), (3, 0.99));
//!
//! args.set("batch_size", "0")?;
//! let refused = TrainConfig::from_args(&args).unwrap_err();
//! assert!(refused.to_string().starts_with("--batch-size 0 is not allowed"));
//! # Ok::<(), train::options::OptionsError>(())
//! ```

mod args;
mod checkpoint;
mod choices;
mod config;
mod evaluation;
mod file;
mod given;
mod optimizer;
mod regularization;
mod schedule;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;

use serde_json::Map;
use toml::Table;

pub use crate::error::{GivenOption, OptionsError, ValueSource};

pub use args::TrainArgs;
pub use checkpoint::CheckpointOptions;
pub use choices::{Choice, ClassWeights};
pub use config::TrainConfig;
pub use evaluation::EvaluationOptions;
pub use given::GivenOptions;
pub use optimizer::OptimizerOptions;
pub use regularization::RegularizationOptions;
pub use schedule::ScheduleOptions;
pub(crate) use table::{changeable_on_resume, differs_by_process};
pub use table::{check, depends_on, keys, no_effect_reason};

impl TrainConfig {
    /// The validated configuration of these flags and of the file given by `--config`.
    ///
    /// # Errors
    /// A file that is not a valid configuration; a value that isn't allowed or has no effect, with the place where it
    /// was given.
    pub fn from_args(args: &TrainArgs) -> Result<Self, OptionsError> {
        Self::new(&args.with_fallback(GivenOptions::default())?)
    }

    /// The configuration in the `run.toml` that a run saved, with defaults for missing keys.
    ///
    /// # Errors
    /// As [`TrainConfig::from_args`], except that options without effect are allowed, because a run saves all options.
    pub fn load(path: &Path) -> Result<Self, OptionsError> {
        Self::new(&GivenOptions::from_file(path)?)
    }

    /// The validated configuration of the given options.
    pub(crate) fn new(given: &GivenOptions) -> Result<Self, OptionsError> {
        given.check()?;
        let config = Self::resolve(&given.table());
        config.schedule.check(config.max_steps).map_err(|error| given.locate(error))?;
        Ok(config)
    }

    /// The options that are saved, by key.
    pub(crate) fn to_table(&self) -> Table {
        let mut table = Table::new();
        self.write(&mut table);
        table.retain(|key, _| table::option(key).is_some_and(|option| option.rule.saved));
        table
    }

    /// The options that are saved as JSON, with `null` for options that are not set.
    pub(crate) fn to_json(&self) -> Result<Map<String, serde_json::Value>, serde_json::Error> {
        let table = self.to_table();
        let saved = table::options().iter().filter(|option| option.rule.saved);
        saved.map(|option| Ok((option.key.to_owned(), serde_json::to_value(table.get(option.key))?))).collect()
    }

    /// The configuration as TOML, which [`TrainConfig::load`] and `--config` read.
    pub fn to_toml(&self) -> String {
        let table = self.to_table();
        let line = |option: &spec::OptionSpec| Some(format!("{} = {}\n", option.key, table.get(option.key)?));
        table::options().iter().filter_map(line).collect()
    }
}

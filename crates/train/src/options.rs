//! The options of training: what was asked for, by flag and by file ([`TrainArgs`]), becomes one set of resolved, checked
//! values ([`TrainConfig`]), which is saved with the run and can be given to `--config` again.
//!
//! An option is said once, by an entry in the file of its group (`config`, `optimizer`, `schedule`, `regularization`,
//! `evaluation`, `checkpoint`): key, type, default, bounds, hint, help. From it follow the flag, the key of a file, the
//! field of [`TrainConfig`], the check with its message, what is saved and resumed, and the guide's table
//! (`VERDICT_UPDATE=1 cargo test -p train guide` updates that). `spec` says what an entry may say, `value` how values
//! are written, `given` which of flag (`args`), file (`file`) and saved configuration wins.
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
pub use given::Given;
pub use optimizer::OptimizerOptions;
pub use regularization::RegularizationOptions;
pub use schedule::ScheduleOptions;
pub(crate) use table::free_on_resume;
pub use table::{check, decided_by, keys, unread};

impl TrainConfig {
    /// The checked configuration that flags, and the file that `--config` names, ask for.
    ///
    /// # Errors
    /// A file that can't be read as configuration; a value that isn't allowed, or that nothing reads, and where it was
    /// given.
    pub fn from_args(args: &TrainArgs) -> Result<Self, OptionsError> {
        Self::new(&args.over(Given::default())?)
    }

    /// The configuration in a file that a run saved, its `run.toml`, with defaults where it says nothing.
    ///
    /// # Errors
    /// As [`TrainConfig::from_args`], without refusing options that nothing reads: here they were not asked for.
    pub fn load(path: &Path) -> Result<Self, OptionsError> {
        Self::new(&Given::from_file(path)?)
    }

    /// The checked configuration of what was given.
    pub(crate) fn new(given: &Given) -> Result<Self, OptionsError> {
        given.check()?;
        let config = Self::resolve(&given.table());
        config.schedule.check(config.max_steps).map_err(|error| given.locate(error))?;
        Ok(config)
    }

    /// What is saved of it, by the keys of a file.
    pub(crate) fn saved(&self) -> Table {
        let mut table = Table::new();
        self.write(&mut table);
        table.retain(|key, _| table::option(key).is_some_and(|option| option.rule.saved));
        table
    }

    /// The same as JSON, with `null` for what stays unset.
    pub(crate) fn to_json(&self) -> Result<Map<String, serde_json::Value>, serde_json::Error> {
        let table = self.saved();
        let saved = table::options().iter().filter(|option| option.rule.saved);
        saved.map(|option| Ok((option.key.to_owned(), serde_json::to_value(table.get(option.key))?))).collect()
    }

    /// The configuration as TOML that [`TrainConfig::load`] and `--config` accept.
    pub fn to_toml(&self) -> String {
        let table = self.saved();
        let line = |option: &spec::OptionSpec| Some(format!("{} = {}\n", option.key, table.get(option.key)?));
        table::options().iter().filter_map(line).collect()
    }
}

//! Hyper-parameter studies in Optuna's journal format, which any number of processes may stop and continue.
//!
//! A [`Study`] is a name and a direction in an append-only file, the [`journal`], which is Optuna's: its Python library
//! and its dashboard read what is written here, and a study that was started there can be continued here. A [`Trial`] is
//! one configuration with its result. Several processes may work on one study at once; each trial belongs to one of
//! them, and another takes over the trials of a dead one.
//!
//! ```
//! use std::collections::BTreeMap;
//! use tune::{Distribution, Duplicates, Param, StartOutcome, Study, StudyDirection, TrialOutcome};
//!
//! # fn main() -> Result<(), tune::TuneError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("study.jsonl");
//! let mut study = Study::open(&path, "sst5", StudyDirection::Maximize)?;
//! let distribution = Distribution::Float { low: 1e-6, high: 1e-3, log: true, step: None };
//! let params = BTreeMap::from([("learning_rate".to_owned(), Param { distribution, internal: 1e-4 })]);
//! let number = study.trials().len() as u64;
//! if let StartOutcome::Started(number) = study.start_trial(number, params, BTreeMap::new(), Duplicates::Refuse)? {
//!     study.report(number, 1, 0.44)?;
//!     study.finish(number, TrialOutcome::Complete(0.486))?;
//! }
//! assert_eq!(study.best().unwrap().value, Some(0.486));
//! # Ok(())
//! # }
//! ```

mod distribution;
mod error;
pub mod export;
pub mod importance;
pub mod journal;
mod json;
pub mod pruner;
pub mod sampler;
pub mod space;
mod study;
mod trial;

pub use distribution::{Distribution, ParamValue};
pub use error::{Result, TuneError};
pub use journal::Worker;
pub use study::{Duplicates, HEARTBEAT_INTERVAL, StartOutcome, Study, TrialOutcome, TrialOwner, WORKER_TIMEOUT};
pub use trial::{Param, Params, StudyDirection, Trial, TrialState};

//! Fine-tuning: from a checked configuration and prepared data to a run directory.
//!
//! The pieces in reading order: [`config`] (flags and file become one checked [`TrainConfig`]), `resume`
//! (which run goes on), [`run()`] (the parts put together), [`run_directory`] (where a run lives), `lock` (one process a
//! run), [`room`] (on the disk), [`device`] (what computes), [`memory`] (what a run will need of it), [`setup`] (data and
//! model, found and held against each other), `trainer` (the loop), [`checkpoint`] (what it goes on from), [`signals`]
//! (asked to stop), `out_of_memory` (of a GPU), [`loss`], [`optim`] (optimizers), [`schedule`] (learning rate as a pure
//! function of the step), [`evaluate`] (answers and scores), [`kept`] (the model that stays), [`observe`] (progress, logs,
//! TensorBoard), [`files`] (no file half written) and [`error`].

pub mod checkpoint;
pub mod config;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod files;
pub mod kept;
mod lock;
pub mod logging;
pub mod loss;
pub mod memory;
pub mod observe;
pub mod optim;
mod out_of_memory;
mod profile;
mod resume;
pub mod room;
mod run;
pub mod run_directory;
pub mod schedule;
pub mod setup;
pub mod signals;
#[cfg(test)]
mod test_process;
mod trainer;

pub use config::{TrainArgs, TrainConfig};
pub use error::{Result, TrainError};
pub use run::run;

//! Fine-tuning: from a checked configuration and prepared data to a run directory.
//!
//! The pieces in reading order: [`config`] (flags and file become one checked [`TrainConfig`]), [`run_directory`]
//! (where a run lives), [`files`] (no file half written), [`schedule`] (learning rate as a pure function of the step), [`optim`] (optimizers),
//! [`observe`] (progress, logs, TensorBoard) and [`error`].

pub mod config;
pub mod error;
pub mod files;
pub mod observe;
pub mod optim;
pub mod run_directory;
pub mod schedule;

pub use config::{TrainArgs, TrainConfig};
pub use error::{Result, TrainError};

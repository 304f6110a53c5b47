//! Fine-tuning: from a checked configuration and prepared data to the folder of a run.
//!
//! In reading order: [`options`] (flags and file become one checked [`TrainConfig`]), `resume` (which run and
//! checkpoint to continue from), [`train()`] (the entry point of one training), `group` (several trainings, each in a
//! `training_process`; [`TrainCommand`] chooses), `memory_estimate` (peak memory of a run), `ranks` (several
//! processes as one training: what rank 0 tells the others, and what they must agree on), `setup`
//! (finds data and model and checks that they are compatible), `trainer` (the training loop), `step` (one optimizer
//! step), `shares` (which part of a batch a process computes), `gradient_sum` (the sum over
//! all processes), `shared_gradients` (the same in the memory of one machine), [`loss`], [`optim`] (optimizers), [`schedule`] (learning rate as a pure function of the step), [`evaluate`]
//! (predictions and scores), [`checkpoint`] (what a run resumes from), [`signals`] (graceful stop), `observe`
//! (progress, logs, TensorBoard) and [`error`].

mod arguments;
pub mod checkpoint;
mod command;
pub mod error;
pub mod evaluate;
mod free_space;
mod freed_memory;
mod gradient_sum;
mod group;
pub mod logging;
pub mod loss;
mod memory_estimate;
#[cfg(test)]
mod memory_faults;
mod micro_batches;
mod observe;
pub mod optim;
pub mod options;
mod profile;
mod ranks;
mod resume;
pub mod schedule;
mod setup;
mod shared_gradients;
mod shares;
pub mod signals;
mod start;
mod step;
mod trainer;
mod training_process;

pub use arguments::arguments;
pub use command::TrainCommand;
pub use error::{Result, TrainError};
pub use freed_memory::return_freed_memory_by;
pub use group::GroupArgs;
pub use options::{TrainArgs, TrainConfig};
pub use ranks::{device_of, join_ranks, leave_ranks, share_precision, share_threads};
pub use setup::resolve_precision;
pub use start::train;
pub use training_process::{TrainingExit, TrainingFiles, TrainingProcess, visible_gpus};

//! The flags of a group.

use clap::Args;

/// The flags of `train` that ask for several runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Groups of runs")]
pub struct GroupArgs {
    /// Train N runs with the seeds from --seed on, into one folder, and report each, their mean and their deviation. The
    /// best on validation is what other commands open. The same command again continues what is unfinished
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seeds: Option<u32>,
    /// The same with N folds of the training split, for small files: each run holds out one fold as its validation, and
    /// trains on the others
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub folds: Option<u32>,
    /// Number of runs of the group in parallel, which share the GPUs or CPU threads [default: 1]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
}

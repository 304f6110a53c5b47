//! The options of checkpoints.

use super::spec::{integer, options};

options! {
    /// When to save a checkpoint, and how many of them to keep.
    CheckpointOptions, "Checkpoints", [] {
        /// Save a checkpoint every N steps, besides those at the end of every epoch
        save_every: Option<u64> = None, integer(1..), hint: "leave it out to save at the end of every epoch",
            changeable_on_resume: true;
        /// Keep the last N checkpoints, and the best that each of them knows of
        save_total: usize = 1, integer(1..), hint: "{default} is the default: the last one, and the best",
            changeable_on_resume: true;
    }
}

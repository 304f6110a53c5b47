//! The names under which things are kept with a trial, besides its parameters and values. They are columns of
//! `trials.csv`.

/// Why it failed, in words.
pub(super) const ERROR: &str = "error";
/// Optimizer steps that were trained.
pub(super) const STEPS: &str = "steps";
/// Epochs that were trained, with the fraction of the last one.
pub(super) const EPOCHS: &str = "epochs";
/// Seconds that a complete trial's training took, those before an interruption included.
pub(super) const SECONDS: &str = "training_seconds";
/// How many epochs lie between one evaluation and the next.
pub(super) const EPOCHS_PER_EVALUATION: &str = "epochs_per_evaluation";
/// The earlier trial with the same configuration, whose outcome this one was given without training.
pub(super) const SAME_AS: &str = "same_as_trial";

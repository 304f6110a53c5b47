//! The user attributes of a trial, which are columns of `trials.csv`.

/// Why the trial failed.
pub(super) const ERROR: &str = "error";
/// Optimizer steps that were trained.
pub(super) const STEPS: &str = "steps";
/// Epochs that were trained, with the fraction of the last one.
pub(super) const EPOCHS: &str = "epochs";
/// Seconds that a complete trial's training took, including those before an interruption.
pub(super) const SECONDS: &str = "training_seconds";
/// The number of epochs between two evaluations.
pub(super) const EPOCHS_PER_EVALUATION: &str = "epochs_per_evaluation";
/// The earlier trial with the same configuration, whose result was copied without training.
pub(super) const SAME_AS: &str = "same_as_trial";

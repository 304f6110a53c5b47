//! The names under which things are kept with a trial, besides its parameters and values. They are columns of
//! `trials.csv`.

/// Why it failed, in words.
pub const ERROR: &str = "error";
/// Optimizer steps that were trained.
pub const STEPS: &str = "steps";
/// Epochs that were trained, with the fraction of the last one.
pub const EPOCHS: &str = "epochs";
/// Seconds that a complete trial's training took, those before an interruption included.
pub const SECONDS: &str = "training_seconds";
/// How many epochs lie between one evaluation and the next.
pub const EPOCHS_PER_EVALUATION: &str = "epochs_per_evaluation";
/// The earlier trial with the same configuration, whose outcome this one was given without training.
pub const SAME_AS: &str = "same_as_trial";

//! The options of evaluation on the validation split, and of what is shown about it.

use metrics::Metric;

use super::spec::{Reader, any, options, such_that, whole};

options! {
    /// When to evaluate, by what figure to judge, and when to stop for want of a better one.
    EvaluationOptions, "Evaluation", [] {
        /// Evaluate every N steps
        eval_steps: Option<u64> = None, whole(1..), unset: "at the end of every epoch",
            hint: "leave it out to evaluate at the end of every epoch", reader: Reader::Evaluation;
        /// The validation figure that decides which model is kept
        best_metric: Metric = Metric::Accuracy,
            such_that("loss, accuracy, matthews, or precision, recall, f1, alone for the weighted average or as in macro-f1 \
                and micro-f1", |_| true),
            placeholder: "METRIC", reader: Reader::Evaluation;
        /// Stop after N evaluations without a better one
        early_stopping_patience: Option<u64> = None, whole(1..), hint: "leave it out for no early stopping",
            reader: Reader::Evaluation;
        /// Write TensorBoard event files into the run
        tensorboard: bool = false, any(), free_on_resume: true;
    }
}

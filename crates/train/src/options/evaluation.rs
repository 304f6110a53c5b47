//! The options of evaluation on the validation split.

use metrics::Metric;

use super::spec::{Reader, any_value, integer, matching, options};

options! {
    /// When to evaluate, which metric selects the best model, and when to stop early.
    EvaluationOptions, "Evaluation", [] {
        /// Evaluate every N steps
        eval_steps: Option<u64> = None, integer(1..), unset: "at the end of every epoch",
            hint: "leave it out to evaluate at the end of every epoch", reader: Reader::Evaluation;
        /// Validation metric that selects the best model
        best_metric: Metric = Metric::Accuracy,
            matching("loss, accuracy, matthews, or precision, recall, f1, alone for the weighted average or as in macro-f1 \
                and micro-f1", |_| true),
            placeholder: "METRIC", reader: Reader::Evaluation;
        /// Stop after N evaluations without a better one
        early_stopping_patience: Option<u64> = None, integer(1..), hint: "leave it out for no early stopping",
            reader: Reader::Evaluation;
        /// Write TensorBoard event files into the run
        tensorboard: bool = false, any_value(), changeable_on_resume: true, differs_by_process: true;
    }
}

//! Rows with their true labels and a model's probabilities: what everything else is computed from.

/// The rows of an evaluation, in one order.
#[derive(Debug, Clone, Copy)]
pub struct ScoredRows<'a> {
    /// The names of the classes, by class index.
    pub label_names: &'a [String],
    /// The true class of each row.
    pub truth: &'a [u32],
    /// The class with the highest probability of each row; of equal ones the first.
    pub predictions: &'a [u32],
    /// For each row the probability of each class, 0 to 1; they sum to 1.
    pub probabilities: &'a [Vec<f32>],
    /// What is known of each row's text.
    pub facts: &'a [RowFacts<'a>],
}

/// What is known of a row besides its label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowFacts<'a> {
    /// The text as it was prepared.
    pub text: &'a str,
    /// Token ids, special ones included.
    pub tokens: usize,
    /// Token ids that stand for words that the vocabulary doesn't know.
    pub unknown_tokens: usize,
    /// Whether the text reached the most tokens of the model, so that its end may be missing.
    pub truncated: bool,
    /// Values of columns of the user's file, in the order of [`crate::Slices::of`]'s column names.
    pub columns: Vec<String>,
}

impl ScoredRows<'_> {
    /// Checks that truth and probabilities are what the fields say, which everything that is computed from them takes for
    /// granted.
    ///
    /// # Errors
    /// The first row that isn't so, such as one whose probabilities are not numbers.
    pub fn check(&self) -> metrics::Result<()> {
        metrics::check_probabilities(self.truth, self.probabilities, self.label_names.len())
    }
}

//! Whether scores can be those of a model that has learned its task, in words for people.
//!
//! Scores that look acceptable alone may mean nothing: an accuracy of 0.9 where nine of ten examples have one label. These are
//! the comparisons with a model that has learned nothing.

use crate::confusion::ConfusionMatrix;

/// With fewer examples, scores like these come about by chance.
const FEWEST_EXAMPLES: u64 = 8;
/// A training loss below this share of the loss of guessing means that the training examples are known.
const KNOWN: f64 = 0.5;

/// Scores, and what they are the scores of.
#[derive(Debug, Clone, Copy)]
pub struct ScoredSplit<'a> {
    /// True against predicted classes.
    pub confusion: &'a ConfusionMatrix,
    /// Mean cross-entropy.
    pub loss: f64,
    /// The name of each class.
    pub label_names: &'a [String],
}

/// What happened in a training.
#[derive(Debug, Clone, Copy)]
pub struct TrainingCourse<'a> {
    /// Optimizer steps done.
    pub steps: u64,
    /// Steps over which the learning rate rises to its peak.
    pub warmup_steps: u64,
    /// The peak learning rate.
    pub peak: f64,
    /// Mean loss of the last epoch's steps.
    pub training_loss: Option<f64>,
    /// Scores of the best model on the validation split.
    pub validation: Option<ScoredSplit<'a>>,
}

/// Why the scores of an evaluation can't be those of a model that has learned its task; the most telling reason only.
pub fn implausible_scores(scored: &ScoredSplit<'_>) -> Option<String> {
    let reason = no_better_than_nothing(scored)?;
    Some(format!("{reason} (hint: look at how its training ended, and whether these labels mean what the model's do)"))
}

/// Why a training can't have worked, one line a reason.
pub fn implausible_training(course: &TrainingCourse<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let TrainingCourse { steps, warmup_steps, peak, training_loss, validation } = *course;
    if warmup_steps > 0 && (1..=warmup_steps).contains(&steps) {
        let reached = peak * (steps - 1) as f64 / warmup_steps as f64;
        reasons.push(format!(
            "the learning rate rose to {reached:.2e} and never reached its peak of {peak:.2e}: the warm-up takes {warmup_steps} \
             steps, and the training took {steps} (hint: a shorter warm-up, or more steps)"
        ));
    }
    let Some(scored) = validation else { return reasons };
    let Some(reason) = no_better_than_nothing(&scored) else { return reasons };
    match training_loss.filter(|loss| *loss < KNOWN * chance(&scored)) {
        Some(training_loss) => reasons.push(format!(
            "on the validation split {reason}, while the training loss fell to {training_loss:.4}: the model remembers its \
             training examples and has learned nothing for others (hint: fewer epochs, more data, or a lower learning rate)"
        )),
        None => reasons.push(format!(
            "on the validation split {reason} (hint: another learning rate, more epochs, or look at a few rows and their labels)"
        )),
    }
    reasons
}

/// What a model that has learned nothing does as well.
fn no_better_than_nothing(scored: &ScoredSplit<'_>) -> Option<String> {
    let ScoredSplit { confusion, loss, label_names } = *scored;
    let (total, support) = (confusion.total(), confusion.support());
    if total < FEWEST_EXAMPLES {
        return None;
    }
    let name = |class: usize| label_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    // Where all examples have one label, always predicting it is right.
    if support.iter().filter(|count| **count > 0).count() > 1 {
        if let Some(only) = confusion.predicted().iter().position(|count| *count == total) {
            let name = name(only);
            return Some(format!("every example is predicted {name:?}, as a model that has learned nothing does"));
        }
        // Of equal ones the first.
        let majority = (0..support.len()).rev().max_by_key(|class| support[*class]).unwrap_or(0);
        if confusion.correct() <= support[majority] {
            let share = |count: u64| count as f64 / total as f64;
            return Some(format!(
                "the accuracy {:.4} is not above {:.4}, the share of the most frequent label {:?}",
                share(confusion.correct()),
                share(support[majority]),
                name(majority)
            ));
        }
    }
    let chance = chance(scored);
    (loss > chance).then(|| {
        let classes = label_names.len();
        format!("the loss {loss:.4} is above {chance:.4}, the loss of a guess between {classes} classes")
    })
}

/// The loss of giving each class the same probability.
fn chance(scored: &ScoredSplit<'_>) -> f64 {
    (scored.label_names.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["negative", "positive"].map(str::to_owned).into()
    }

    fn warning(counts: [[u64; 2]; 2], loss: f64) -> Option<String> {
        let confusion = ConfusionMatrix::from_counts(&counts.map(Vec::from)).unwrap();
        implausible_scores(&ScoredSplit { confusion: &confusion, loss, label_names: &names() })
    }

    #[test]
    fn scores_of_a_model_that_has_learned_nothing_are_called_that() {
        let starts = |counts, loss, start: &str| {
            let found = warning(counts, loss).unwrap();
            assert!(found.starts_with(start) && found.contains("(hint: "), "{found}");
        };
        starts([[0, 40], [0, 60]], 0.6, "every example is predicted \"positive\", as a model that has learned nothing");
        let majority = "the accuracy 0.6000 is not above 0.6000, the share of the most frequent label \"positive\"";
        starts([[20, 20], [20, 40]], 0.6, majority);
        starts([[35, 5], [5, 55]], 0.7, "the loss 0.7000 is above 0.6931, the loss of a guess between 2 classes");
        assert_eq!(warning([[21, 19], [20, 40]], 0.69), None);
    }

    #[test]
    fn one_label_in_the_data_and_a_handful_of_examples_say_nothing() {
        assert_eq!(warning([[0, 0], [0, 60]], 0.1), None, "always predicting the only label is right");
        assert_eq!(warning([[0, 3], [0, 4]], 0.8), None);
        assert!(warning([[0, 0], [40, 20]], 0.8).unwrap().starts_with("the loss 0.8000"));
    }

    #[test]
    fn a_training_that_never_reached_its_learning_rate_is_said() {
        let course = |steps, warmup_steps| TrainingCourse {
            steps,
            warmup_steps,
            peak: 2e-5,
            training_loss: None,
            validation: None,
        };
        for (steps, warmup_steps, expected) in [(10, 10, 1), (3, 10, 1), (11, 10, 0), (10, 0, 0), (0, 10, 0)] {
            let found = implausible_training(&course(steps, warmup_steps));
            assert_eq!(found.len(), expected, "{steps} of {warmup_steps}: {found:?}");
        }
        let found = implausible_training(&course(10, 10)).remove(0);
        assert!(
            found.starts_with("the learning rate rose to 1.80e-5 and never reached its peak of 2.00e-5"),
            "{found}"
        );
    }

    #[test]
    fn a_training_that_only_remembers_is_told_from_one_that_did_not_learn() {
        let confusion = ConfusionMatrix::from_counts(&[vec![35, 5], vec![5, 55]]).unwrap();
        let label_names = names();
        let found = |training_loss, loss| {
            let validation = Some(ScoredSplit { confusion: &confusion, loss, label_names: &label_names });
            let course = TrainingCourse { steps: 9, warmup_steps: 0, peak: 1e-3, training_loss, validation };
            implausible_training(&course).concat()
        };
        assert_eq!(found(Some(0.01), 0.4), "");
        assert!(found(Some(0.01), 1.2).contains("while the training loss fell to 0.0100: the model remembers"));
        let not_learned = found(Some(0.68), 0.8);
        assert!(not_learned.starts_with("on the validation split the loss 0.8000 is above 0.6931"), "{not_learned}");
        assert!(!not_learned.contains("remembers") && !found(None, 0.8).contains("remembers"));
    }
}

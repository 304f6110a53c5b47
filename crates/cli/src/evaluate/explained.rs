//! Which words the surest mistakes come from.

use std::path::Path;

use ::explain::{ExplainError, ExplainOptions, Explainer};
use anyhow::Result;
use judge::{Mistake, Mistakes};
use tch::Device;

/// Mistakes from which on it is said that they are explained.
const MANY: usize = 5;

/// Fills in what each word adds to the model's label, for the first `most` confident mistakes and as many likely label errors.
/// Returns what the user should know: a model that can't be explained is no error.
///
/// # Errors
/// A failure of libtorch.
pub(super) fn explain_mistakes(
    run: &Path,
    device: Device,
    mistakes: &mut Mistakes,
    most: usize,
) -> Result<Option<String>> {
    let Mistakes { confident, label_issues, .. } = mistakes;
    let count = confident.len().min(most) + label_issues.len().min(most);
    if count == 0 {
        return Ok(None);
    }
    let explainer = match Explainer::open(run, device) {
        Ok(explainer) => explainer,
        Err(error) => return Ok(Some(format!("the mistakes are not explained: {error}"))),
    };
    if count >= MANY {
        disk::print_message(format!("explaining {count} mistakes, word by word"));
    }
    for mistake in confident.iter_mut().take(most).chain(label_issues.iter_mut().take(most)) {
        explain(&explainer, mistake)?;
    }
    Ok(None)
}

fn explain(explainer: &Explainer, mistake: &mut Mistake) -> Result<()> {
    let class = explainer.label_names().iter().position(|name| *name == mistake.predicted);
    let options = ExplainOptions { leave_one_out: false, ..ExplainOptions::default() };
    match explainer.explain(&mistake.text, class, &options) {
        Ok(explanation) => mistake.words = explanation.words,
        // A text of which the tokenizer leaves nothing has no words.
        Err(ExplainError::Empty) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

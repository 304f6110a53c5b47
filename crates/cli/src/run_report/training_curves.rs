//! Loss, scores and learning rate over the steps of the training, also written as `curves.svg` and `.png`.

use anyhow::Result;
use report::{Curves, EvaluationPoint, Section, StepPoint, html};
use run::{EvaluationRecord, Event, StepRecord, read_log};

use super::ReportInput;

/// The scores of each evaluation that are drawn.
const SCORES: [&str; 3] = ["accuracy", "f1", "macro_f1"];

/// Empty for a run whose log holds no step.
pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let (mut steps, mut evaluations, mut best_step) = (Vec::new(), Vec::new(), None);
    for event in read_log(input.run)? {
        match event {
            Event::Step(StepRecord { step, loss, learning_rate, .. }) => {
                steps.push(StepPoint { step, loss, learning_rate });
            }
            Event::Evaluation(EvaluationRecord { step, loss, scores, best, .. }) => {
                best_step = if best { Some(step) } else { best_step };
                let score = |name: &str| (name.to_owned(), scores.get(name).unwrap_or(f64::NAN));
                evaluations.push(EvaluationPoint { step, loss, scores: SCORES.map(score).to_vec() });
            }
            Event::Start(_) | Event::End(_) => {}
        }
    }
    if steps.is_empty() {
        return Ok(Section::default());
    }
    let curves = Curves { title: "Training", steps: &steps, evaluations: &evaluations, best_step };
    let picture = curves.draw()?;
    Ok(Section::new("Training", html::figure(&picture)).with_picture("curves", picture))
}

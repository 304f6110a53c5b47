//! What an evaluation prints.

use std::fmt::Write as _;

use anyhow::Result;
use judge::{Estimate, Judgement};
use run::EvaluationResult;
use train::evaluate::Evaluation;

use super::scored_data::ScoredData;
use crate::run_report::remarks::remarks;

/// The scores with their intervals, the tables, and what follows from them in sentences; then the notes.
pub(super) fn scores_text(
    result: &EvaluationResult,
    evaluation: &Evaluation,
    scored: &ScoredData,
    computed: &str,
) -> Result<String> {
    let mut out = String::new();
    let judgement = result.judgement.as_ref();
    writeln!(out, "data       {} ({})", scored.about.variant, scored.about.source)?;
    writeln!(out, "examples   {}", evaluation.report.examples)?;
    writeln!(out, "computed   in {computed}")?;
    let loss = judgement.map(|judgement| &judgement.calibration.log_loss);
    writeln!(out, "loss       {:.4}{}", evaluation.loss, ends(loss))?;
    for (name, value) in evaluation.scores().iter().take(4) {
        let average = if name == "accuracy" { "" } else { "  weighted" };
        let interval = judgement.and_then(|judgement| judgement.scores.get(name));
        writeln!(out, "{name:<10} {value:.4}{}{average}", ends(interval))?;
    }
    writeln!(out, "\n{}\n{}", evaluation.report, evaluation.confusion.render(&result.label_names)?)?;
    if let Some(judgement) = judgement {
        findings(&mut out, result, judgement)?;
    }
    if let Some(group) = &result.group {
        writeln!(out, "all runs of the group:\n{group}\n")?;
    }
    for note in &result.notes {
        let kind = if note.starts_with("warning: ") { "" } else { "note: " };
        writeln!(out, "{kind}{note}")?;
    }
    Ok(out)
}

fn findings(out: &mut String, result: &EvaluationResult, judgement: &Judgement) -> Result<()> {
    for remark in remarks(result, judgement) {
        writeln!(out, "{}", remark.text)?;
    }
    if let Some(treebank) = &judgement.treebank {
        writeln!(out, "\n{treebank}")?;
    }
    writeln!(out)?;
    Ok(())
}

/// `  (0.8652 to 0.8920)`
fn ends(interval: Option<&Estimate>) -> String {
    interval.map_or_else(String::new, |Estimate { low, high, .. }| format!("  ({low:.4} to {high:.4})"))
}

//! What the figures say, in sentences.

use anyhow::Result;
use report::{Section, html};

use super::ReportInput;
use super::remarks::remarks;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(judgement) = input.judgement() else { return Ok(Section::default()) };
    let caption = format!(
        "Of a hundred such intervals, each from other rows of the same kind, about {:.0} hold the true figure. Those of shares \
         are Wilson's, the others come from {} resamples of the rows (seed {}). They say nothing of texts of another kind, or of \
         another training.",
        100.0 * judgement.level,
        judgement.resamples,
        judgement.seed
    );
    Ok(Section::new("Verdict", html::remarks(&remarks(input.result, judgement)) + html::caption(&caption)))
}

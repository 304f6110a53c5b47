//! The winner's scores and confusion matrix on the test split.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    let mut content = html::scores("Average", view.page.test_scores);
    if !content.is_empty() && !view.page.optimism.is_empty() {
        content = html::caption(view.page.optimism) + content;
    }
    if let Some(plot) = &view.page.confusion {
        content = content + html::figure(&plot.draw()?);
    }
    Ok(Section::new("The test split", content))
}

//! The winner's scores and confusion matrix on the test split.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    let mut content = html::scores("Average", view.page.test_scores);
    if let Some(plot) = &view.page.confusion {
        content = content + html::figure(&plot.draw()?);
    }
    Ok(Section::new("The test split", content))
}

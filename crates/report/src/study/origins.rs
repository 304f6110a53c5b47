//! Sources of the data and weights.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("Sources of the data and weights", html::pairs(view.page.origins)))
}

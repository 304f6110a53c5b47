//! Where data and weights came from.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("Where data and weights came from", html::pairs(view.page.origins)))
}

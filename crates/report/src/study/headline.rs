//! The numbers at the top of the page.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("", html::headline(view.page.headline)))
}

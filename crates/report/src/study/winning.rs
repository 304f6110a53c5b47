//! The winner's configuration, below its number and value.

use super::view::PageView;
use crate::error::Result;
use crate::html;
use crate::page::Section;

pub(super) fn section(view: &PageView) -> Result<Section> {
    let mut content = html::pairs(view.page.winning);
    if let Some(winner) = view.winner().filter(|_| !content.is_empty()) {
        content = html::caption(&view.words(winner)) + content;
    }
    Ok(Section::new("Winning configuration", content))
}

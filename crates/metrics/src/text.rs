//! Text aligned by display width, so that names in any script line up.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longer names are cut with an ellipsis.
const NAME_WIDTH: usize = 24;

/// A class's name as tables show it: on one line, not too wide.
pub(crate) fn name(label: &str) -> String {
    shorten(&one_line(label), NAME_WIDTH)
}

/// How many digits a count has.
pub(crate) fn digits(count: u64) -> usize {
    count.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Aligns `text` right in a column.
pub(crate) fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// Aligns `text` left in a column.
pub(crate) fn pad_right(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A name in which control characters, which break a table or control the terminal, are spaces.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `name` cut to a display width, with an ellipsis where something was cut.
fn shorten(name: &str, width: usize) -> String {
    if name.width() <= width {
        return name.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1; // the ellipsis
    for c in name.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

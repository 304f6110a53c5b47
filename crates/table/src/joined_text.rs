//! The text of a row, from one column or several.

use crate::row::Cell;

/// What stands between the texts of several columns, unless the user says otherwise.
pub const TEXT_SEPARATOR: &str = " ";

/// The text of a row whose text columns hold `cells`: their texts with `separator` between them, those that are blank left
/// out. `None` where no cell holds a text.
///
/// # Errors
/// The position of a cell that is something other than a text.
pub fn joined_text(cells: &[Cell], separator: &str, is_blank: impl Fn(&str) -> bool) -> Result<Option<String>, usize> {
    let mut texts = Vec::with_capacity(cells.len());
    for (position, cell) in cells.iter().enumerate() {
        match cell {
            Cell::Missing => {}
            Cell::Text(text) => texts.push(text.as_str()),
            _ => return Err(position),
        }
    }
    if texts.len() > 1 {
        texts.retain(|text| !is_blank(text));
    }
    Ok(if texts.is_empty() && cells.iter().all(|cell| *cell == Cell::Missing) {
        None
    } else {
        Some(texts.join(separator))
    })
}

/// Reads a separator from the command line, where `\n`, `\t` and `\\` stand for a line end, a tab and a backslash.
///
/// # Errors
/// A backslash before anything else.
pub fn parse_text_separator(text: &str) -> Result<String, String> {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match (c, escaped) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('\\')) => out.push('\\'),
            ('\\', _) => return Err("expected \\n, \\t or \\\\ where there is a backslash".into()),
            _ => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_blank_ones_leave_no_separator() {
        let cells = |texts: &[&str]| texts.iter().map(|text| Cell::Text((*text).to_owned())).collect::<Vec<_>>();
        let joined = |cells: &[Cell]| joined_text(cells, " | ", |text| text.trim().is_empty());
        assert_eq!(joined(&cells(&["a", " ", "b"])), Ok(Some("a | b".to_owned())));
        assert_eq!(joined(&cells(&[" a "])), Ok(Some(" a ".to_owned())));
        assert_eq!(joined(&cells(&["", ""])), Ok(Some(String::new())));
        assert_eq!(joined(&[Cell::Missing, Cell::Missing]), Ok(None));
        assert_eq!(joined(&[Cell::Missing, Cell::Text("b".into())]), Ok(Some("b".to_owned())));
        assert_eq!(joined(&[Cell::Text("a".into()), Cell::Integer(1)]), Err(1));
    }

    #[test]
    fn a_separator_may_be_escaped() {
        assert_eq!(parse_text_separator(r"\n\\\t|"), Ok("\n\\\t|".to_owned()));
        assert!(parse_text_separator(r"\x").is_err() && parse_text_separator("\\").is_err());
    }
}

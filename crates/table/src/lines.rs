//! Plain text: one text a line.
//!
//! A blank line is a row with an empty text, so that there are as many rows as lines.

use crate::column::Column;
use crate::error::TableError;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::read_options::ReadOptions;
use crate::row::{Cell, Row};
use crate::text::{Lines, MAX_RECORD};

pub(crate) const PLAIN_TEXT: FileFormat = FileFormat {
    name: "plain text",
    endings: &["txt"],
    about: "one text a line, without a header; its only column is `text`",
    matches_folder: None,
    open,
    create: None,
};

struct PlainTextFile {
    /// What is read of the lines to tell how they end.
    first: Vec<(u64, String)>,
    lines: Lines,
}

fn open(input: Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path().to_owned();
    let mut lines = Lines::of(input, MAX_RECORD, options.encoding.as_deref())?;
    let notes = lines.take_notes();
    let mut first = lines.by_ref().take(1).collect::<Result<Vec<_>, _>>()?;
    if let [(_, text)] = &first[..]
        && text.contains('\r')
    {
        // Without a second line the file's line ends are those of old Macs, or it has one line.
        match lines.next().transpose()? {
            None => {
                let reason = "one line, with carriage returns in it (hint: end lines with `tr '\\r' '\\n' < FILE`)";
                return Err(TableError::Line { path, line: 1, reason: reason.into() });
            }
            Some(second) => first.push(second),
        }
    }
    let columns = vec![Column { name: "text".into(), declared: None }];
    Ok(Opened { columns, file: Box::new(PlainTextFile { first, lines }), notes })
}

impl OpenFile for PlainTextFile {
    fn rows(self: Box<Self>, _: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let width = selected.len();
        let row = move |line: Result<(u64, String), TableError>| {
            line.map(|(line, text)| {
                let cells = std::iter::once(Cell::Text(text)).take(width).collect();
                Row { number: line, line: Some(line), cells }
            })
        };
        let Self { first, lines } = *self;
        Ok(Box::new(first.into_iter().map(Ok).chain(lines).map(row)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::tests::rows_of;
    use crate::{Cell, Row};

    #[test]
    fn each_line_is_a_row_also_a_blank_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reviews.TXT");
        fs::write(&path, "\u{FEFF}A \"good\", film\ttoo\r\n\r\n  dull  \nlast\u{2028}one").unwrap();
        let row = |number, text: &str| Row { number, line: Some(number), cells: vec![Cell::Text(text.into())] };
        let expected = [row(1, "A \"good\", film\ttoo"), row(2, ""), row(3, "  dull  "), row(4, "last\u{2028}one")];
        assert_eq!(rows_of(&path).unwrap(), expected);
        fs::write(&path, "\n\n").unwrap();
        assert_eq!(rows_of(&path).unwrap(), [row(1, ""), row(2, "")]);
        fs::write(&path, "a\rb\nc\n").unwrap();
        assert_eq!(rows_of(&path).unwrap(), [row(1, "a\rb"), row(2, "c")]);
        fs::write(&path, "a\rb\rc\r").unwrap();
        let message = rows_of(&path).unwrap_err().to_string();
        assert!(
            message.ends_with(
                "line 1: one line, with carriage returns in it (hint: end lines with `tr '\\r' '\\n' < FILE`)"
            )
        );
        fs::write(&path, b"a\nb\xE9\n").unwrap();
        assert!(rows_of(&path).unwrap_err().to_string().contains("byte 3 (line 2)"));
    }
}

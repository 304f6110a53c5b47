//! Quoted texts that hold whole rows: a lone quote opened them, and another one, lines later, closed them.

use std::collections::HashSet;

use table::{Cell, Dialect, Quoting, ReadOptions, TableError, quoted};

use super::{LabeledRow, SourceFile};
use crate::error::DataError;

/// Refuses a text whose lines, but for the first or the last, each hold the separator and a label of the label column.
/// A file whose quoting is given is what the user says it is.
pub(super) fn check(
    file: &SourceFile,
    rows: &[LabeledRow],
    dialect: Option<Dialect>,
    options: &ReadOptions,
) -> Result<(), DataError> {
    let (None, Some(Dialect { separator, quoting: Quoting::Double, .. })) = (options.quoting, dialect) else {
        return Ok(());
    };
    let separator = char::from(separator);
    let labels: HashSet<&str> = rows.iter().filter_map(|row| label(&row.label)).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let holds_label = |line: &str| {
        let mut fields = line.split(separator).map(|field| field.trim().trim_matches('"').trim());
        line.contains(separator) && fields.any(|field| labels.contains(field))
    };
    for row in rows {
        let Some(text) = row.text.as_deref().filter(|text| text.contains(['\n', '\r'])) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        let [first @ .., last] = &lines[..] else { continue };
        let between = first.get(1..).unwrap_or_default();
        let are_rows = !first.is_empty()
            && between.iter().all(|line| holds_label(line))
            && (holds_label(first[0]) || holds_label(last));
        if are_rows {
            let inside = if holds_label(first[0]) { first[0] } else { last };
            return Err(TableError::Value {
                place: file.place(row),
                column: file.text_column.clone(),
                reason: format!(
                    "a text of {} lines that look like rows, such as {} (hint: --quoting none if quotes are characters \
                     here, --quoting double if this is one text)",
                    lines.len(),
                    quoted(inside)
                ),
            }
            .into());
        }
    }
    Ok(())
}

fn label(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text.trim()).filter(|text| !text.contains(['\n', '\r'])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::TempDataset;

    #[test]
    fn a_text_that_swallowed_rows_is_refused_with_its_line() {
        let temp = TempDataset::new();
        let content = "text,label\ngood film,pos\n\"so it begins,neg\nanother one,pos\nthe end\",neg\nbad film,neg\n";
        let swallowed = temp.refusal("swallowed.csv", content);
        assert!(swallowed.contains("line 3") && swallowed.contains("--quoting none"), "{swallowed}");
        let tsv = "label\ttext\npos\t\"so\nneg\tbegins\"\nneg\tbad film\npos\tgood film\n";
        assert_eq!(temp.accepted("quotes.tsv", tsv).train.len(), 4, "quotes are characters here");

        let lines = "text,label\n\"a film, really\nbut not, pos or so\",pos\n\"bad\n\nfilm\",neg\n";
        assert_eq!(temp.accepted("lines.csv", lines).train.len(), 2, "lines of a text are no rows");
    }

    #[test]
    fn the_label_may_come_before_the_text() {
        let file = SourceFile {
            path: "a.tsv".into(),
            text_column: "text".into(),
            several_text_columns: false,
            label_column: Some("label".into()),
            class_names: None,
        };
        let row = |row: u64, text: &str, label: &str| LabeledRow {
            file: 0,
            row,
            line: Some(row + 1),
            text: Some(text.into()),
            label: Cell::Text(label.into()),
        };
        let rows = [row(1, "so\nneg\tbegins", "pos"), row(2, "bad film", "neg")];
        let dialect = |quoting| Some(Dialect { separator: b'\t', quoting, header: true });
        let options = ReadOptions::default();
        let refused = check(&file, &rows, dialect(Quoting::Double), &options).expect_err("a row inside").to_string();
        assert!(
            refused.starts_with("a.tsv: row 1 (line 2), column \"text\": a text of 2 lines that look like"),
            "{refused}"
        );
        assert!(refused.contains("such as \"neg\\tbegins\" (hint: --quoting none"), "{refused}");
        check(&file, &rows, dialect(Quoting::None), &options).expect("no quote encloses anything");
        check(&file, &rows, None, &options).expect("a format without separators");
        let given = ReadOptions { quoting: Some(Quoting::Double), ..ReadOptions::default() };
        check(&file, &rows, dialect(Quoting::Double), &given).expect("as the user says");
    }
}

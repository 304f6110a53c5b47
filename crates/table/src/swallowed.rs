//! Rows that one quoted field has swallowed: a lone quote opened it, and another one, lines later, closed it.

use std::collections::HashSet;

use crate::records::Syntax;

/// Columns, values of each, and bytes of a value that are remembered.
const COLUMNS: usize = 64;
const VALUES: usize = 1000;
const LENGTH: usize = 40;

/// Short values of each column, as labels are.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenValues(Vec<SeenColumn>);

#[derive(Debug, Clone, Default)]
struct SeenColumn {
    values: HashSet<Vec<u8>>,
    /// A value that is no number was seen.
    words: bool,
}

impl SeenColumn {
    /// Whether a value is one of those seen, or a number as all of them are.
    fn knows(&self, value: &[u8]) -> bool {
        self.values.contains(value) || (!self.words && is_number(value))
    }
}

fn is_number(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|value| value.parse::<f64>().is_ok())
}

impl SeenValues {
    pub(crate) fn learn(&mut self, column: usize, value: &[u8]) {
        if value.is_empty() || column >= COLUMNS {
            return;
        }
        if self.0.len() <= column {
            self.0.resize_with(column + 1, SeenColumn::default);
        }
        let seen = &mut self.0[column];
        seen.words |= value.len() > LENGTH || !is_number(value);
        if value.len() <= LENGTH && seen.values.len() < VALUES && !seen.values.contains(value) {
            seen.values.insert(value.to_vec());
        }
    }

    /// Whether the lines of a quoted field of this column are, as they stand, rows with `fields` fields of which one is
    /// known in its column.
    pub(crate) fn in_lines(&self, text: &[u8], column: usize, fields: usize, syntax: Syntax) -> bool {
        let line_end = if syntax.carriage_returns { b'\r' } else { b'\n' };
        let lines: Vec<&[u8]> = text.split(|byte| *byte == line_end).collect();
        let last = lines.len() - 1;
        last > 0
            && !lines[last].is_empty()
            && lines.iter().enumerate().all(|(at, line)| {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let first = if at == 0 { column } else { 0 };
                let values: Vec<&[u8]> = line.split(|byte| *byte == syntax.separator).collect();
                let expected = if at == last { column + 1 } else { fields };
                let known = |(value, of): (&&[u8], usize)| self.0.get(of).is_some_and(|seen| seen.knows(value));
                // A line that is of the field's own column alone has nothing that could be known.
                let can_be_known = values.len() > 1;
                first + values.len() == expected
                    && (!can_be_known || values.iter().zip(first..).filter(|(_, of)| *of != column).any(known))
            })
            && fields > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swallowed_rows_are_told_from_lines_of_a_text() {
        let mut seen = SeenValues::default();
        for label in ["pos", "neg"] {
            seen.learn(1, label.as_bytes());
        }
        let syntax = Syntax { separator: b',', carriage_returns: false };
        let in_lines = |text: &str| seen.in_lines(text.as_bytes(), 0, 2, syntax);
        assert!(in_lines("so it begins,pos\nanother,neg\nends"));
        assert!(in_lines("so it begins,pos\r\nends"));
        assert!(!in_lines("Well, good\nfilm"));
        assert!(!in_lines("so it begins,pos\nanother\nends"));
        assert!(!in_lines("one,pos"));
        assert!(!in_lines("so it begins,0.5\nends"));
        let mut scores = SeenValues::default();
        scores.learn(1, b"0.25");
        assert!(scores.in_lines(b"so it begins,0.5\nends", 0, 2, syntax));
        assert!(!scores.in_lines(b"Well, 5\nends", 0, 2, syntax));
        let mut seen = SeenValues::default();
        seen.learn(0, b"1");
        assert!(seen.in_lines(b"so\n1\tit\n1\tends", 1, 2, Syntax { separator: b'\t', carriage_returns: false }));
        assert!(!seen.in_lines(b"so\nit ends", 1, 2, Syntax { separator: b'\t', carriage_returns: false }));
    }
}

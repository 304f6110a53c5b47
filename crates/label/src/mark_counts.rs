//! What is said at the end about rows whose labels mean less than others, or that have none.

use indicatif::HumanCount;

use crate::added_columns::RowLabel;

/// Row numbers that a note lists before it says how many more there are.
const LISTED: usize = 10;

/// How many rows were labeled, and how many of them need a look.
#[derive(Default)]
pub struct MarkCounts {
    rows: u64,
    without_text: NumberedRows,
    truncated: u64,
    with_unknown: u64,
    nothing_known: NumberedRows,
}

/// How many rows, and the numbers of the first of them.
#[derive(Default)]
struct NumberedRows {
    count: u64,
    first: Vec<u64>,
}

impl NumberedRows {
    fn add(&mut self, row: u64) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(row);
        }
    }

    /// `rows 3, 4 and 31 more`.
    fn listed(&self) -> String {
        let numbers: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let word = if self.count == 1 { "row" } else { "rows" };
        match self.count - self.first.len() as u64 {
            0 => format!("{word} {}", numbers.join(", ")),
            more => format!("{word} {} and {} more", numbers.join(", "), HumanCount(more)),
        }
    }
}

impl MarkCounts {
    /// Adds a row by its number, from 1.
    pub fn add(&mut self, row: u64, label: Option<&RowLabel>) {
        self.rows += 1;
        let Some(label) = label else { return self.without_text.add(row) };
        self.truncated += u64::from(label.truncated);
        self.with_unknown += u64::from(label.unknown_words > 0);
        if label.nothing_known {
            self.nothing_known.add(row);
        }
    }

    /// `1 row`, `1,000 rows`.
    pub fn rows(&self) -> String {
        count(self.rows)
    }

    /// One note for each kind of mark; `max_length` is the most tokens that the model reads.
    pub fn notes(&self, max_length: usize) -> Vec<String> {
        let all = self.rows();
        let mut notes = Vec::new();
        if self.without_text.count > 0 {
            let (found, listed) = (HumanCount(self.without_text.count), self.without_text.listed());
            notes.push(format!("{found} of {all} without a text, and so without a label: {listed}"));
        }
        if self.truncated > 0 {
            let found = HumanCount(self.truncated);
            notes.push(format!("{found} of {all} cut off after {max_length} tokens, the most that the model reads"));
        }
        if self.with_unknown > self.nothing_known.count {
            notes.push(format!(
                "{} of {all} with words that the vocabulary doesn't know",
                HumanCount(self.with_unknown)
            ));
        }
        if self.nothing_known.count > 0 {
            let (found, listed) = (HumanCount(self.nothing_known.count), self.nothing_known.listed());
            notes.push(format!(
                "{found} of {all} with no word that the vocabulary knows; their labels mean nothing: {listed}"
            ));
        }
        notes
    }
}

fn count(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{} rows", HumanCount(rows)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(tokens: usize, unknown_words: usize, truncated: bool) -> RowLabel {
        let nothing_known = unknown_words == tokens;
        RowLabel { label: "a".to_owned(), probabilities: Vec::new(), truncated, unknown_words, nothing_known }
    }

    #[test]
    fn rows_that_hold_nothing_but_unknown_words_are_said_once() {
        let mut counts = MarkCounts::default();
        (1..=2).for_each(|row| counts.add(row, Some(&label(3, 3, false))));
        let notes = counts.notes(128);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with("2 of 2 rows with no word that the vocabulary knows"), "{notes:?}");
    }

    #[test]
    fn each_mark_is_counted_and_rows_that_need_a_look_are_named() {
        let mut counts = MarkCounts::default();
        assert!(counts.notes(128).is_empty());
        counts.add(1, Some(&label(4, 0, false)));
        assert!(counts.notes(128).is_empty());
        counts.add(2, None);
        counts.add(3, Some(&label(126, 2, true)));
        (4..=1500).for_each(|row| counts.add(row, Some(&label(3, 3, false))));
        assert_eq!(
            counts.notes(128),
            [
                "1 of 1,500 rows without a text, and so without a label: row 2",
                "1 of 1,500 rows cut off after 128 tokens, the most that the model reads",
                "1,498 of 1,500 rows with words that the vocabulary doesn't know",
                "1,497 of 1,500 rows with no word that the vocabulary knows; their labels mean nothing: \
                 rows 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 1,487 more",
            ]
        );
    }
}

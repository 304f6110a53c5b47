//! The confusion matrix as text.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::confusion::ConfusionMatrix;
use crate::error::{MetricsError, Result};
use crate::text::{digits, name, pad_left, pad_right};

/// The width of the widest percentage, `100.0%`.
const SHARE_WIDTH: usize = 6;
const GAP: &str = "  ";

/// One column of the matrix.
struct MatrixColumn {
    heading: String,
    width: usize,
}

impl ConfusionMatrix {
    /// The matrix for a terminal of 100 columns; see [`ConfusionMatrix::render_within`].
    ///
    /// # Errors
    /// A number of names that differs from the number of classes.
    pub fn render<S: AsRef<str>>(&self, label_names: &[S]) -> Result<String> {
        self.render_within(label_names, 100)
    }

    /// The matrix as aligned text of at most `columns` columns: counts, under each its share of the row, and totals.
    /// Where the names don't fit over the columns these are numbered, and where even that is too wide the columns are
    /// continued in further blocks. A block has at least one column, so its lines can be longer than a very narrow terminal.
    ///
    /// # Errors
    /// A number of names that differs from the number of classes.
    pub fn render_within<S: AsRef<str>>(&self, label_names: &[S], columns: usize) -> Result<String> {
        if label_names.len() != self.classes() {
            return Err(MetricsError::Names { found: label_names.len(), classes: self.classes() });
        }
        let names: Vec<&str> = label_names.iter().map(AsRef::as_ref).collect();
        Ok(matrix(self, &names, columns))
    }
}

/// The matrix as text; `names` are as many as classes.
fn matrix(matrix: &ConfusionMatrix, names: &[&str], width: usize) -> String {
    let names: Vec<String> = names.iter().map(|label| name(label)).collect();
    let named = columns(matrix, names.clone());
    let totals = MatrixColumn { heading: "total".to_owned(), width: digits(matrix.total()).max("total".len()) };
    let side = |rows: &[String]| rows.iter().map(|name| name.width()).max().unwrap_or(0).max("total".len());
    let fits = |side: usize, columns: &[MatrixColumn]| side + 3 + total_width(columns) + 4 + totals.width <= width;

    let (rows, columns) = if fits(side(&names), &named) {
        (names, named)
    } else {
        let numbered = (1..=names.len()).map(|number| number.to_string()).collect();
        let number_width = digits(names.len() as u64);
        let rows = names.iter().enumerate().map(|(i, name)| format!("{:>number_width$} {name}", i + 1)).collect();
        (rows, columns(matrix, numbered))
    };
    let side = side(&rows);

    let mut text = String::from("rows: true class, columns: predicted class, below each count its share of the row\n");
    let mut first = 0;
    while first < columns.len() {
        // As many columns as fit, the totals with the last of them, and never none.
        let mut last = columns.len();
        while last > first + 1 && !fits(side, &columns[first..last]) {
            last -= 1;
        }
        text.push('\n');
        block(&mut text, matrix, &rows, side, &columns, first..last, &totals);
        first = last;
    }
    text
}

fn columns(matrix: &ConfusionMatrix, headings: Vec<String>) -> Vec<MatrixColumn> {
    let widest = |class: usize| matrix.rows().map(|row| digits(row[class])).max().unwrap_or(1);
    headings
        .into_iter()
        .enumerate()
        .map(|(class, heading)| MatrixColumn {
            width: heading.width().max(SHARE_WIDTH).max(widest(class)).max(digits(matrix.predicted()[class])),
            heading,
        })
        .collect()
}

fn total_width(columns: &[MatrixColumn]) -> usize {
    columns.iter().map(|column| column.width).sum::<usize>() + GAP.len() * columns.len().saturating_sub(1)
}

/// Some neighboring columns of the matrix; the totals of the rows follow the last class.
fn block(
    text: &mut String,
    matrix: &ConfusionMatrix,
    rows: &[String],
    side: usize,
    all: &[MatrixColumn],
    range: std::ops::Range<usize>,
    totals: &MatrixColumn,
) {
    let columns = &all[range.clone()];
    let closes = range.end == all.len();
    let mut line = |name: &str, cells: &[String], total: &str| {
        let mut line = format!("{} │ ", pad_right(name, side));
        let cells: Vec<String> = cells.iter().zip(columns).map(|(cell, column)| pad_left(cell, column.width)).collect();
        line += &cells.join(GAP);
        if closes {
            let _ = write!(line, " │ {}", pad_left(total, totals.width));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    let rule = |line: &mut dyn FnMut(&str, &[String], &str)| {
        let dashes: Vec<String> = columns.iter().map(|column| "─".repeat(column.width)).collect();
        line(&"─".repeat(side), &dashes, &"─".repeat(totals.width));
    };

    let headings: Vec<String> = columns.iter().map(|column| column.heading.clone()).collect();
    line("", &headings, &totals.heading);
    rule(&mut line);
    for (name, counts) in rows.iter().zip(matrix.rows()) {
        let support: u64 = counts.iter().sum();
        let cells: Vec<String> = counts[range.clone()].iter().map(u64::to_string).collect();
        let shares: Vec<String> = counts[range.clone()].iter().map(|&count| share(count, support)).collect();
        line(name, &cells, &support.to_string());
        line("", &shares, "");
    }
    rule(&mut line);
    let predicted: Vec<String> = matrix.predicted()[range].iter().map(u64::to_string).collect();
    line("total", &predicted, &matrix.total().to_string());
}

/// A count's share of its row; empty for a count of 0, which is easier to read.
fn share(count: u64, support: u64) -> String {
    if count == 0 { String::new() } else { format!("{:.1}%", 100.0 * count as f64 / support as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentiment() -> Result<ConfusionMatrix> {
        ConfusionMatrix::from_counts(&[vec![411, 37], vec![0, 1200]])
    }

    #[test]
    fn two_classes_render_as_expected() -> Result<()> {
        let expected = "\
rows: true class, columns: predicted class, below each count its share of the row

         │ negative  positive │ total
──────── │ ────────  ──────── │ ─────
negative │      411        37 │   448
         │    91.7%      8.3% │
positive │        0      1200 │  1200
         │             100.0% │
──────── │ ────────  ──────── │ ─────
total    │      411      1237 │  1648
";
        assert_eq!(sentiment()?.render(&["negative", "positive"])?, expected);
        Ok(())
    }

    /// The positions of the bars, in display columns, in every line of the table.
    fn bars(text: &str) -> Vec<Vec<usize>> {
        let line_bars = |line: &str| line.match_indices('│').map(|(at, _)| line[..at].width()).collect();
        text.lines().filter(|line| line.contains('│')).map(line_bars).collect()
    }

    #[test]
    fn wide_and_combining_names_line_up() -> Result<()> {
        let text = sentiment()?.render(&["よくない", "e\u{301}tonnant 😀"])?;
        assert!(text.contains("よくない") && text.contains("e\u{301}tonnant 😀"));
        let bars = bars(&text);
        assert_eq!(bars.len(), 8);
        assert!(bars.iter().all(|line| line == &bars[0]), "{text}");
        Ok(())
    }

    #[test]
    fn long_names_are_shortened_and_control_characters_replaced() -> Result<()> {
        let long = "an extraordinarily long name of a class";
        let text = sentiment()?.render(&[long, "a\u{1b}[31m\nb"])?;
        assert!(text.contains("an extraordinarily long…") && !text.contains(long), "{text}");
        assert!(text.contains("a [31m b") && !text.contains('\u{1b}'), "{text}");
        Ok(())
    }

    #[test]
    fn twenty_classes_are_numbered_and_continued_within_the_width() -> Result<()> {
        let counts: Vec<Vec<u64>> = (0..20).map(|t| (0..20).map(|p| 1000 * t + p).collect()).collect();
        let matrix = ConfusionMatrix::from_counts(&counts)?;
        let names: Vec<String> = (0..20).map(|class| format!("class named {class}")).collect();
        let text = matrix.render_within(&names, 80)?;
        assert!(text.lines().skip(1).all(|line| line.width() <= 80), "{text}");
        for name in &names {
            assert!(text.contains(name.as_str()));
        }
        for count in counts.iter().flatten() {
            assert!(text.split_whitespace().any(|word| word == count.to_string()), "{count}");
        }
        assert_eq!(text.matches("20 class named 19").count(), 4, "a row in each of four blocks\n{text}");
        Ok(())
    }
}

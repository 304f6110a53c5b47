//! The results as a table: one line per comparison, in aligned columns.

use crate::results::{BenchComparison, Target};
use crate::statistics::Series;

/// All comparisons, suite by suite.
pub(crate) fn render(rows: &[BenchComparison]) -> String {
    let header = ["", "", "ours", "theirs", "", "ratio", "target", ""];
    let mut cells: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
    let mut suite = "";
    for row in rows {
        if row.suite != suite {
            suite = row.suite;
            cells.push(vec![suite.to_owned()]);
        }
        cells.push(line(row));
    }
    grid(&cells)
}

fn line(row: &BenchComparison) -> Vec<String> {
    let (theirs, peer) = match &row.theirs {
        Some(peer) => (spread(&peer.series), peer.name.clone()),
        None => (String::new(), String::new()),
    };
    let ratio = row.ratio().map_or(String::new(), |ratio| format!("{}x", number(ratio)));
    let target = row.target.map_or(String::new(), |target| match target {
        Target::RatioAtLeast(least) => format!(">= {least}x"),
        Target::RatioAtMost(most) => format!("<= {most}x"),
        Target::OursAtLeast(least) => format!(">= {least} {}", row.unit),
        Target::OursAtMost(most) => format!("<= {most} {}", row.unit),
    });
    let met = match row.met() {
        None => "",
        Some(true) => "met",
        Some(false) => "NOT MET",
    };
    let what = format!("{}, {}", row.what, row.unit);
    [format!("  {}", row.model), what, spread(&row.ours), theirs, peer, ratio, target, met.to_owned()].to_vec()
}

/// `142 (138..145)`, or `142` for a single value.
fn spread(series: &Series) -> String {
    let (Some(median), Some(min), Some(max)) = (series.median(), series.min(), series.max()) else {
        return "-".to_owned();
    };
    if series.0.len() == 1 {
        return number(median);
    }
    format!("{} ({}..{})", number(median), number(min), number(max))
}

/// Three significant digits, or all before the decimal point: `0.0123`, `1.23`, `12.3`, `123`, `12,345`.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.09995 => 3,
        _ => 4,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, whole) = whole.split_at(usize::from(whole.starts_with('-')));
    let groups: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

/// Cells in aligned columns; a line of one cell is a heading and does not widen a column.
pub(crate) fn grid(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter(|line| line.len() > 1).filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = if line.len() > 1 { cells.collect::<Vec<_>>().join("  ") } else { line.concat() };
        text += line.trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Peer;

    fn row(suite: &'static str, ours: &[f64], theirs: Option<&[f64]>, target: Option<Target>) -> BenchComparison {
        let theirs = theirs.map(|values| Peer { name: "Trainer".to_owned(), series: Series(values.to_vec()) });
        let (model, what, unit) = ("MiniLM-L6".to_owned(), "bf16".to_owned(), "samples/s");
        BenchComparison { suite, model, what, unit, ours: Series(ours.to_vec()), theirs, target }
    }

    #[test]
    fn table_columns_are_aligned() {
        let rows = [
            row("train", &[120.0, 150.0, 143.25], Some(&[80.0, 90.0, 86.0]), Some(Target::RatioAtLeast(2.5))),
            row("train", &[9.0], Some(&[]), Some(Target::RatioAtLeast(2.0))),
            row("start-up", &[1.25, 1.5], Some(&[9.0, 11.0]), Some(Target::OursAtMost(1.5))),
            row("memory", &[1251.0], None, None),
        ];
        let text = render(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "                              ours               theirs                      ratio   target",
                "train",
                "  MiniLM-L6  bf16, samples/s  143 (120..150)     86.0 (80.0..90.0)  Trainer  1.67x   >= 2.5x           NOT MET",
                "  MiniLM-L6  bf16, samples/s  9.00               -                  Trainer          >= 2x",
                "start-up",
                "  MiniLM-L6  bf16, samples/s  1.38 (1.25..1.50)  10.0 (9.00..11.0)  Trainer  0.138x  <= 1.5 samples/s  met",
                "memory",
                "  MiniLM-L6  bf16, samples/s  1,251",
            ]
        );
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let cases = [
            (0.0123, "0.0123"),
            (0.1384, "0.138"),
            (1.234, "1.23"),
            (9.996, "10.0"),
            (99.96, "100"),
            (1234.6, "1,235"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
            (0.0, "0"),
        ];
        for (value, shown) in cases {
            assert_eq!(number(value), shown);
        }
    }
}

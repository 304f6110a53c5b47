//! An audit as a page of text: which data it is, a table of counts, lengths, examples, and a verdict at the end.

use std::fmt::Write;

use table::{excerpt, quoted};

use crate::audit::{
    Audit, Bin, LabeledPlace, Leak, MIN_WORDS, SplitAudit, UNKNOWN, UNKNOWN_ROWS, VocabularyAudit, percent,
};
use crate::record::Split;
use crate::thousands::grouped;

/// Columns that the page keeps to.
const WIDTH: usize = 110;
/// Classes that get a row of their own.
const CLASSES: usize = 12;
/// The longest bar of the histogram.
const BAR: usize = 50;
/// Examples of a kind that are shown of a split; audit.json has more.
const EXAMPLES: usize = 3;

/// Everything that was found; ends with the exceeded limits, or says that there are none.
pub(super) fn render(audit: &Audit) -> String {
    let mut text = String::new();
    paragraph(&mut text, "data", &audit.variant);
    if let Some(disambiguation) = &audit.disambiguation {
        paragraph(&mut text, "", disambiguation);
    }
    text.push('\n');
    text.push_str(&table(&counts(audit)));
    text.push('\n');
    text.push_str(&table(&lengths(audit)));
    histogram(&mut text, audit);
    examples(&mut text, audit);
    verdict(&mut text, audit);
    text
}

/// `label`, and `value` broken into lines beside it.
fn paragraph(text: &mut String, label: &str, value: &str) {
    let mut label = label;
    let mut line = String::new();
    let mut put = |line: &mut String| {
        let _ = writeln!(text, "{:<9}{line}", std::mem::take(&mut label));
        line.clear();
    };
    for word in value.split(' ') {
        if !line.is_empty() && 9 + line.chars().count() + 1 + word.chars().count() > WIDTH {
            put(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    put(&mut line);
}

/// Rows of cells, the first column to the left, all others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "   {cell:>width$}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// `17 (0.2 %)`, `-` for nothing, and a mark where it is above the limit.
fn cell(rows: usize, of: usize, above: bool) -> String {
    let mark = if above { " !" } else { "" };
    if rows == 0 {
        "-".into()
    } else {
        format!("{} ({}){mark}", grouped(rows), percent(rows as f64 / of.max(1) as f64))
    }
}

/// The table of what is counted: a row a thing, a column a split, and its limit.
struct Counts<'a> {
    audit: &'a Audit,
    rows: Vec<Vec<String>>,
}

fn counts(audit: &Audit) -> Vec<Vec<String>> {
    let limits = &audit.limits;
    let mut counts = Counts { audit, rows: Vec::new() };
    counts.row("", "limit", |split, _| split.name().into());
    counts.row("rows", "", |_, found| grouped(found.rows));
    counts.classes();
    if limits.max_imbalance < 1.0 {
        counts.limited("in the largest class", "--max-imbalance", limits.max_imbalance, |found| {
            found.labels.iter().map(|label| label.rows).max().unwrap_or(0)
        });
    }
    counts.limited("repeat an earlier text", "--max-duplicates", limits.max_duplicates, |found| found.duplicates);
    counts
        .limited("same text, different label", "--max-conflicting", limits.max_conflicting, |found| found.conflicting);
    counts.leaks(Split::Train);
    counts.leaks(Split::Validation);
    if audit.splits.keys().any(|split| *split != Split::Train) {
        let name = format!("contain a training text ({MIN_WORDS}+ words)");
        counts.row(&name, &limit(limits.max_containing), |split, found| match split {
            Split::Train => String::new(),
            _ => cell(found.containing, found.rows, above(audit, split, "--max-containing", None)),
        });
    }
    let name = format!("truncated to {} tokens", audit.max_length);
    counts.limited(&name, "--max-truncated", limits.max_truncated, |found| found.truncated);
    counts.vocabulary();
    counts.rows
}

impl Counts<'_> {
    fn row(&mut self, name: &str, limit: &str, value: impl Fn(Split, &SplitAudit) -> String) {
        let cells = self.audit.splits.iter().map(|(split, found)| value(*split, found));
        let row = std::iter::once(name.to_owned()).chain(cells).chain([limit.to_owned()]).collect();
        self.rows.push(row);
    }

    fn limited(&mut self, name: &str, flag: &str, most: f64, count: impl Fn(&SplitAudit) -> usize) {
        let audit = self.audit;
        self.row(name, &limit(most), |split, found| cell(count(found), found.rows, above(audit, split, flag, None)));
    }

    /// A row a class, those without a label, and how unlike the classes' sizes are.
    fn classes(&mut self) {
        let labels = self.audit.splits.values().map(|found| &found.labels).max_by_key(|labels| labels.len());
        let names: Vec<&str> = labels.into_iter().flatten().map(|label| label.label.as_str()).collect();
        for (class, name) in names.iter().enumerate().take(CLASSES) {
            self.row(&format!("  {}", excerpt(name)), "", |_, found| {
                found.labels.get(class).map_or(String::new(), |label| cell(label.rows, found.rows, false))
            });
        }
        if names.len() > CLASSES {
            self.row(&format!("  and {} more", names.len() - CLASSES), "", |_, found| {
                cell(found.labels.iter().skip(CLASSES).map(|label| label.rows).sum(), found.rows, false)
            });
        }
        if self.audit.splits.values().any(|found| found.unlabeled > 0) {
            self.row("  without a label", "", |_, found| cell(found.unlabeled, found.rows, false));
        }
        self.row("  largest to smallest class", "", |_, found| {
            found.largest_to_smallest.map_or("-".into(), |ratio| format!("{ratio:.2}"))
        });
    }

    /// How well the model's vocabulary fits the texts.
    fn vocabulary(&mut self) {
        let (audit, limits) = (self.audit, &self.audit.limits);
        self.row("unknown tokens", &limit(limits.max_unknown), |split, found| {
            let of = &found.vocabulary;
            cell(of.unknown, of.tokens, above(audit, split, UNKNOWN, None))
        });
        let any =
            |count: fn(&VocabularyAudit) -> usize| audit.splits.values().any(|found| count(&found.vocabulary) > 0);
        if any(|of| of.only_unknown) {
            let of = |found: &SplitAudit| found.vocabulary.only_unknown;
            self.limited("  no other token in the text", UNKNOWN_ROWS, limits.max_unknown_rows, of);
        }
        if any(|of| of.long_words) {
            let most = audit.splits.values().map(|found| found.vocabulary.max_word_chars).max().unwrap_or(0);
            let name = format!("  a word of over {} characters", grouped(most));
            self.row(&name, "", |_, found| cell(found.vocabulary.long_words, found.rows, false));
        }
        if any(|of| of.collapsed) {
            let name = "tokens of another text";
            self.row(name, "", |_, found| cell(found.vocabulary.collapsed, found.rows, false));
        }
    }

    fn leaks(&mut self, other: Split) {
        let audit = self.audit;
        let all = || audit.splits.values().filter_map(|found| found.leaked.get(&other));
        if all().next().is_none() {
            return;
        }
        let leak = |found: &SplitAudit, count: fn(&Leak) -> usize, above: bool| {
            found.leaked.get(&other).map_or(String::new(), |leak| cell(count(leak), found.rows, above))
        };
        self.row(&format!("also in {}", other.name()), &limit(audit.limits.max_leaked), |split, found| {
            leak(found, |leak| leak.same_tokens, above(audit, split, "--max-leaked", Some(other)))
        });
        if all().any(|leak| leak.same_tokens > 0) {
            self.row("  exactly the same text", "", |_, found| leak(found, |leak| leak.exact, false));
            self.row("  with a different label", "", |_, found| leak(found, |leak| leak.other_label, false));
        }
    }
}

fn above(audit: &Audit, split: Split, flag: &str, also_in: Option<Split>) -> bool {
    audit.exceeded.iter().any(|one| (one.split, one.flag.as_str(), one.also_in) == (split, flag, also_in))
}

fn limit(share: f64) -> String {
    if share >= 1.0 { "none".into() } else { percent(share) }
}

fn lengths(audit: &Audit) -> Vec<Vec<String>> {
    let heads = ["tokens a text", "shortest", "25 %", "median", "75 %", "90 %", "95 %", "99 %", "longest", "mean"];
    let mut rows = vec![heads.map(String::from).to_vec()];
    for (split, found) in &audit.splits {
        let of = &found.tokens;
        let values = [of.min, of.p25, of.median, of.p75, of.p90, of.p95, of.p99, of.max];
        let values = values.into_iter().map(grouped).chain([format!("{:.1}", of.mean)]);
        rows.push(std::iter::once(format!("  {}", split.name())).chain(values).collect());
    }
    rows
}

fn histogram(text: &mut String, audit: &Audit) {
    let Some(found) = audit.splits.get(&Split::Train) else { return };
    let of = &found.tokens;
    let most = of.histogram.iter().map(|bin| bin.rows).max().unwrap_or(0).max(1);
    let label = |bin: &Bin| match bin.to {
        Some(to) if to == bin.from => grouped(to),
        Some(to) => format!("{}-{}", grouped(bin.from), grouped(to)),
        None => format!("{} and more", grouped(bin.from)),
    };
    let width = of.histogram.iter().map(|bin| label(bin).len()).max().unwrap_or(0);
    let digits = grouped(most).len();
    let _ = writeln!(text, "\ntraining texts by tokens");
    for bin in &of.histogram {
        // A bin with one row in it shows.
        let bar = "#".repeat((bin.rows * BAR).div_ceil(most));
        let line = format!("  {:>width$}   {:>digits$}   {bar}", label(bin), grouped(bin.rows));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// The first texts of each kind, with the rows where they stand.
fn examples(text: &mut String, audit: &Audit) {
    let mut lines = Vec::new();
    for (split, found) in &audit.splits {
        for conflict in found.conflicts.iter().take(EXAMPLES) {
            let row = |row: &LabeledPlace| {
                format!("{} is {}", row.place, row.label.as_deref().map_or("unlabeled".into(), excerpt))
            };
            let rows: Vec<String> = conflict.rows.iter().map(row).collect();
            lines.push(format!("{}: {}: {}", split.name(), quoted(&conflict.text), rows.join(", ")));
        }
        for shared_text in found.leaked.values().flat_map(|leak| leak.examples.iter().take(EXAMPLES)) {
            lines.push(format!(
                "{}: {}: {}, also {}",
                split.name(),
                quoted(&shared_text.text),
                shared_text.here,
                shared_text.there
            ));
        }
        let vocabulary = &found.vocabulary;
        for example in vocabulary.only_unknown_examples.iter().take(EXAMPLES) {
            lines.push(format!("{}: {}: {}, unknown tokens only", split.name(), quoted(&example.text), example.place));
        }
        if let [here, there] = vocabulary.collapsed_example.as_slice() {
            let (text, other) = (quoted(&here.text), quoted(&there.text));
            let places = format!("{} and {}", here.place, there.place);
            lines.push(format!("{}: {text} has the tokens of {other}: {places}", split.name()));
        }
        if let Some(example) = &vocabulary.long_words_example {
            let most = vocabulary.max_word_chars;
            let text = quoted(&example.text);
            lines.push(format!("{}: {text}: {}, a word of over {most} characters", split.name(), example.place));
        }
        if let Some(example) = &found.containing_example {
            let (place, inside) = (&example.place, quoted(&example.training_text));
            lines.push(format!("{}: {place} contains the training text {inside}", split.name()));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\nexamples");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn verdict(text: &mut String, audit: &Audit) {
    text.push('\n');
    if audit.empty_dropped > 0 {
        let rows = if audit.empty_dropped == 1 { "row" } else { "rows" };
        paragraph(text, "dropped", &format!("{} {rows} without text", grouped(audit.empty_dropped)));
    }
    let what = match audit.exceeded.len() {
        0 => return paragraph(text, "audit", "no limit is exceeded"),
        1 => "1 limit is exceeded (!)".to_owned(),
        many => format!("{many} limits are exceeded (!)"),
    };
    if !audit.allowed {
        return paragraph(text, "audit", &format!("REFUSED: {what}"));
    }
    paragraph(text, "audit", &format!("{what}, ALLOWED by --allow-leakage:"));
    audit.exceeded.iter().for_each(|one| paragraph(text, "", &one.to_string()));
}

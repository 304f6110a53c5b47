//! What came out, for a person to read.

use std::fmt::Write;

use super::Outcome;
use crate::manifest::{SPLITS, SplitManifest};

/// Provenance, a row a split, and what to run next.
pub(super) fn render(outcome: &Outcome) -> String {
    let (manifest, dir) = (&outcome.prepared.manifest, outcome.prepared.dir.display());
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<9}{value}");
    };
    let when = if outcome.already { ": already prepared from the same inputs" } else { "" };
    line("prepared", &format!("{dir} ({}){when}", manifest.dataset));
    line("data", &manifest.variant);
    line("source", &manifest.source);
    line("licence", &manifest.licence);
    let model = &manifest.model;
    line(
        "model",
        &format!("{}; {} words, at most {} tokens a text", model.name, manifest.vocab_size, manifest.max_length),
    );

    let mut table = vec![["split", "rows", "tokens mean", "max", "truncated", "classes"].map(String::from)];
    for name in SPLITS {
        if let Some(split) = manifest.splits.get(name) {
            table.push([
                name.to_owned(),
                split.rows.to_string(),
                format!("{:.1}", split.tokens as f64 / split.rows.max(1) as f64),
                split.longest.to_string(),
                format!("{} ({:.1} %)", split.truncated, split.truncated_share * 100.0),
                classes(split, &manifest.label_names),
            ]);
        }
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    text.push('\n');
    for [split, rows, mean, max, truncated, classes] in &table {
        let [w0, w1, w2, w3, w4, _] = widths;
        let _ = writeln!(text, "{split:<w0$}  {rows:>w1$}  {mean:>w2$}  {max:>w3$}  {truncated:>w4$}  {classes}");
    }
    let _ = writeln!(text, "\nnext: cargo run -p train -- --data {dir} --epochs 3");
    text
}

fn classes(split: &SplitManifest, names: &[String]) -> String {
    let unlabelled = split.rows - split.labelled.min(split.rows);
    let share = |count: usize| count as f64 / split.rows.max(1) as f64 * 100.0;
    let counted = names.iter().zip(&split.label_counts).filter(|(_, count)| **count > 0 || unlabelled == 0);
    let mut parts: Vec<String> =
        counted.map(|(name, &count)| format!("{name} {count} ({:.1} %)", share(count))).collect();
    if unlabelled > 0 {
        parts.push(format!("unlabelled {unlabelled} ({:.1} %)", share(unlabelled)));
    }
    parts.join(", ")
}

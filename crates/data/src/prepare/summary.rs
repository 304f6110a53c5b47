//! The summary of a prepared data set on stdout.

use std::fmt::Write;

use super::{PreparedSummary, findings};

/// Provenance, what was found in the data, and what to run next.
pub(super) fn render(outcome: &PreparedSummary) -> String {
    let (manifest, dir) = (&outcome.prepared.manifest, outcome.prepared.dir.display());
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<9}{value}");
    };
    let when = if outcome.already_prepared { ": already prepared from the same inputs" } else { "" };
    line("prepared", &format!("{dir} ({}){when}", manifest.dataset));
    line("source", &manifest.source);
    line("licence", &manifest.license);
    let model = &manifest.model;
    line(
        "model",
        &format!("{}; {} words, at most {} tokens a text", model.name, manifest.vocab_size, manifest.max_length),
    );
    text + &findings::render(&outcome.audit) + &format!("\nnext: cargo run -p train -- --data {dir} --epochs 3\n")
}

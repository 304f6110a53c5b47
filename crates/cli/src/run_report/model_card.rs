//! The model card: a run's `README.md` in the form of the Hugging Face Hub. What the model was trained on, how it was judged,
//! what it can't do, and how it is used; the head is YAML with every score in it (`front_matter.rs`).
//!
//! The last line holds the digest of what stands above. A card that a person wrote or changed doesn't fit it, and is kept.

mod front_matter;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data::manifest::Manifest;
use data::{ModelOrigin, PACKAGED_MODEL};
use disk::{sha256_hex, write_atomic};
use report::Tone;
use run::{EvaluationResult, RUN_TOML, RunMetrics};

use super::configuration::options;
use super::kept::{self, is_of, manifest};
use super::remarks::remarks;
use super::wording::{count, number_with_range, percent, percent_with_range, rows, score_name, shell_word};

const FILE: &str = "README.md";
const MARKER: &str = "<!-- Written by verdict. Change the card, and it stays as you leave it. sha256 of all above: ";
const MARKER_END: &str = " -->\n";
/// Labels that the card names.
const LABELS: usize = 30;

/// What became of a model card.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ModelCard {
    Written(PathBuf),
    /// Somebody wrote or changed the card that is there: what to tell the user.
    Kept(String),
    /// The folder isn't a run that was trained here and scored.
    NotARun,
}

/// Writes the card of a run, from the evaluations that are kept with it.
///
/// # Errors
/// Evaluations that can't be read; a folder that can't be written to.
pub(crate) fn write(run: &Path) -> Result<ModelCard> {
    let path = run.join(FILE);
    let Some(facts) = Facts::of(run)? else { return Ok(ModelCard::NotARun) };
    if path.exists() {
        let present = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        if !is_unchanged(&present) {
            let path = path.display();
            return Ok(ModelCard::Kept(format!(
                "{path} was not written by this program, or was changed since, so it stays as it is (hint: remove it, and \
                 evaluate again)"
            )));
        }
    }
    write_atomic(&path, marked(facts.card()))?;
    Ok(ModelCard::Written(path))
}

/// The card with its digest.
fn marked(card: String) -> String {
    let digest = sha256_hex(&card);
    card + MARKER + &digest + MARKER_END
}

/// Whether a card is, byte for byte, one that this program wrote.
fn is_unchanged(present: &[u8]) -> bool {
    let text = std::str::from_utf8(present).ok();
    let parts = text.and_then(|text| text.strip_suffix(MARKER_END)?.rsplit_once(MARKER));
    parts.is_some_and(|(card, digest)| sha256_hex(card) == digest)
}

/// What a card tells.
struct Facts {
    /// The run's folder, by its name.
    name: String,
    evaluations: Vec<EvaluationResult>,
    manifest: Manifest,
    /// The pretrained model, by its name.
    pretrained: String,
    /// Its repository on the Hub, where it has one.
    base_model: Option<String>,
    options: Vec<(String, String)>,
}

impl Facts {
    fn of(run: &Path) -> Result<Option<Self>> {
        let (Some(manifest), Ok(toml)) = (manifest(run), std::fs::read_to_string(run.join(RUN_TOML))) else {
            return Ok(None);
        };
        // Scores of weights that have been replaced since are of another model.
        let mut evaluations = kept::all(run)?;
        evaluations.retain(|result| kept::is_of_other_weights(result, run) != Some(true));
        if evaluations.is_empty() {
            return Ok(None);
        }
        let folder = run.canonicalize().unwrap_or_else(|_| run.to_owned());
        let name = folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
        // An unfinished run has no metrics yet: then the model is the one that the data was prepared for.
        let pretrained = RunMetrics::read(run).map_or_else(|_| manifest.model.name.clone(), |metrics| metrics.model);
        let base_model = base_model(&manifest, &pretrained);
        Ok(Some(Self { name, evaluations, manifest, pretrained, base_model, options: options(&toml) }))
    }

    fn card(&self) -> String {
        let mut card = front_matter::write(self);
        card += &format!("\n# {}\n\n{}\n", markdown(&self.name), self.introduction());
        card += &format!("\n## What it was trained on\n\n{}", self.training());
        card += &format!("\n## How it was judged\n\n{}", self.scores());
        let limits = self.limits();
        card += &format!("\n## Limits\n\n{limits}");
        card += &format!("\n## How to use it\n\n{}\n", self.usage());
        card
    }

    fn introduction(&self) -> String {
        let labels = &self.manifest.label_names;
        let named: Vec<String> = labels.iter().take(LABELS).map(|label| markdown(label)).collect();
        let more = if labels.len() > LABELS { format!(" and {} more", labels.len() - LABELS) } else { String::new() };
        let base = match &self.base_model {
            Some(id) => format!("[{id}](https://huggingface.co/{id})"),
            None => markdown(&base_name(&self.pretrained)),
        };
        format!("A text classifier, fine-tuned from {base}. Its labels: {}{more}.", named.join(", "))
    }

    fn training(&self) -> String {
        let manifest = &self.manifest;
        let of = |split: &str| manifest.splits.get(split).map_or(0, |split| split.rows as u64);
        let mut text = format!(
            "- Data: {}. License: {}.\n- {} to train on, {} to choose the best model by.\n",
            markdown(&without_folders(&manifest.variant)),
            markdown(&manifest.license),
            rows(of("train")),
            rows(of("validation"))
        );
        let shown =
            ["epochs", "max_steps", "batch_size", "optimizer", "learning_rate", "schedule", "seed", "precision"];
        let option = |name: &&str| {
            let (name, value) = self.options.iter().find(|(key, _)| key == name)?;
            Some(format!("`{name}` {}", markdown(value)))
        };
        let listed: Vec<String> = shown.iter().filter_map(option).collect();
        let _ = writeln!(text, "- Options: {}. `run.toml` has all.", listed.join(", "));
        let _ = writeln!(text, "- Fingerprint of the prepared data: `{}`.", manifest.fingerprint);
        text
    }

    fn scores(&self) -> String {
        let mut text = String::new();
        for result in &self.evaluations {
            let judgement = result.judgement.as_ref();
            let examples = result.report.examples;
            let whose = if is_of(&self.manifest, result) { "of the same data" } else { "of other data" };
            let _ = writeln!(
                text,
                "On `{}` ({}, {} {whose}), in {}:\n",
                result.split,
                markdown(&result.dataset),
                rows(examples),
                result.precision
            );
            text += "| score | value | 95 % interval |\n| --- | --- | --- |\n";
            for (name, value) in result.report.headline() {
                let estimate = judgement.and_then(|judgement| judgement.scores.get(name));
                let shown = match estimate {
                    Some(estimate) if name == "matthews" => number_with_range(estimate),
                    Some(estimate) => percent_with_range(estimate),
                    None if name == "matthews" => format!("{value:.4} (not known)"),
                    None => format!("{} (not known)", percent(value)),
                };
                let (value, interval) = shown.split_once(" (").unwrap_or((&shown, ""));
                let _ = writeln!(text, "| {} | {value} | {} |", score_name(name), interval.trim_end_matches(')'));
            }
            text.push('\n');
        }
        text + "Intervals are Wilson's of shares, and bootstraps of the rows for the others.\n"
    }

    /// What is known against the model, in plain words, from the figures of the first evaluation.
    fn limits(&self) -> String {
        let mut lines = Vec::new();
        for result in self.evaluations.iter().take(1) {
            let judgement = result.judgement.as_ref();
            let found = judgement.map(|judgement| remarks(result, judgement)).unwrap_or_default();
            let told = found.into_iter().filter(|remark| remark.tone == Tone::Bad).map(|remark| remark.text);
            lines.extend(told.map(|text| markdown(&text)));
            lines.extend(result.notes.iter().map(|note| markdown(&without_folders(note))));
            if judgement.is_none() {
                lines.push("How far these scores are luck is not known: they have no intervals.".to_owned());
            }
        }
        let kinds = "It was judged on texts like those that it was trained on. On texts of another kind, language or time it \
                     may be worse, and the figures above say nothing of that.";
        lines.push(kinds.to_owned());
        let most = self.manifest.max_length;
        lines.push(format!("It reads at most {} tokens of a text; what comes after is cut off.", count(most as u64)));
        lines.iter().map(|line| format!("- {line}\n")).collect()
    }

    fn usage(&self) -> String {
        let name = shell_word(&self.name);
        format!(
            "With transformers, from this folder or from the Hub:\n\n```python\nfrom transformers import pipeline\n\n\
             classify = pipeline(\"text-classification\", model=\"{}\")\nprint(classify(\"Write a text here.\"))\n```\n\n\
             With verdict, in the folder above this one:\n\n```sh\nverdict predict --run {name} \"Write a text here.\"\n```",
            self.name.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

/// The repository of the pretrained model on the Hub, if it is known to come from there.
fn base_model(manifest: &Manifest, pretrained: &str) -> Option<String> {
    let id = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
    if pretrained == PACKAGED_MODEL {
        return Some(PACKAGED_MODEL.to_owned());
    }
    match manifest.model.origin {
        _ if pretrained != manifest.model.name => None,
        ModelOrigin::Hub { .. } => Some(id(pretrained)),
        ModelOrigin::Packaged => Some(PACKAGED_MODEL.to_owned()),
        ModelOrigin::Local => None,
    }
}

/// A card is given to others, whom the folders of a machine don't concern.
fn base_name(path: &str) -> String {
    path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path).to_owned()
}

/// A text in which each path is only its last part.
fn without_folders(text: &str) -> String {
    let word = |word: &str| if word.starts_with(['/', '~', '.']) { base_name(word) } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A text as Markdown shows it, on one line.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_somebody_changed_is_told_from_ours() {
        let card = marked("---\nlicense: mit\n---\n# A model\n".to_owned());
        assert!(is_unchanged(card.as_bytes()));
        assert!(!is_unchanged(card.replace("A model", "My model").as_bytes()), "another text");
        assert!(!is_unchanged(format!("{card}\nMore.\n").as_bytes()), "a line below");
        assert!(!is_unchanged(b"# Written by hand\n") && !is_unchanged(b"") && !is_unchanged(&[0xff]));
    }

    #[test]
    fn texts_of_users_are_no_markup() {
        assert_eq!(markdown("a|b *c* <d>\n# e"), "a\\|b \\*c\\* \\<d\\> \\# e");
        assert_eq!(without_folders("/home/me/reviews.csv: 80 rows"), "reviews.csv: 80 rows");
        assert_eq!(without_folders("1/2 of it"), "1/2 of it");
    }
}

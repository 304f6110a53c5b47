//! The commands that make it all again, as exactly as what is kept tells.

use anyhow::Result;
use report::{Section, html};
use run::RUN_TOML;

use super::ReportInput;
use super::kept::{is_of, manifest};
use super::wording::shell_word;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let (lines, caption) = commands(input);
    Ok(Section::new("To make it again", html::commands(&lines) + html::caption(&caption)))
}

/// The commands, and what must be known of them.
fn commands(input: &ReportInput) -> (Vec<String>, String) {
    let result = input.result;
    let run = shell_word(&input.run.display().to_string());
    let (mut lines, mut sentences) = (Vec::new(), Vec::new());
    if input.run.join(RUN_TOML).is_file() {
        lines.push(format!("verdict train --config {run}/{RUN_TOML} --output {run}-again"));
        sentences.push(
            "On the same machine, with the same number of threads and in the same number format, the training gives the same bits."
                .to_owned(),
        );
        if let Some(manifest) = manifest(input.run) {
            sentences.push(format!(
                "It needs the prepared data with the fingerprint {} ({}, from {}), which the file names.",
                manifest.fingerprint, manifest.dataset, manifest.source
            ));
        }
    }
    lines.push(match input.environment().map(|environment| environment.command.as_slice()) {
        Some([program, arguments @ ..]) => {
            let name = std::path::Path::new(program)
                .file_name()
                .map_or_else(|| "verdict".into(), |name| name.to_string_lossy());
            let words: Vec<String> = std::iter::once(name.into_owned()).chain(arguments.iter().cloned()).collect();
            words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
        }
        _ => {
            let own = manifest(input.run).is_some_and(|manifest| is_of(&manifest, result));
            let data = shell_word(&result.data);
            let rows = if own {
                format!("--split {}", result.split)
            } else {
                format!("--data {data} --split {}", result.split)
            };
            let is_split = ["train", "validation", "test"].contains(&result.split.as_str());
            let rows = if is_split { rows } else { format!("--file {data}") };
            if !is_split {
                sentences.push("How the file was read is not kept: add the flags that it needed.".to_owned());
            }
            let against = input.judgement().and_then(|judgement| judgement.comparison.as_ref());
            let against =
                against.map_or_else(String::new, |other| format!(" --against {}", shell_word(&other.against)));
            let (precision, device) = (&result.precision, device(&result.device));
            format!("verdict evaluate --run {run} {rows}{against} --precision {precision} --device {device}")
        }
    });
    lines.push(format!("verdict report {run}"));
    (lines, sentences.join(" "))
}

/// The word of `--device`.
fn device(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

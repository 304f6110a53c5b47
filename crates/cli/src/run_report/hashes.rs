//! What tells this model and this data from others: sha256 of weights, configuration, tokenizer, data.

use std::path::Path;

use anyhow::Result;
use disk::sha256_file;
use report::{Section, html};
use run::{CONFIG, MODEL};

use super::ReportInput;
use super::kept::{is_of, manifest};

/// More source files are left to `data.json`.
const SOURCES: usize = 10;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let mut pairs = Vec::new();
    let recorded = input.environment().and_then(|environment| environment.weights_sha256.clone());
    let weights = recorded.or_else(|| digest(input.run, MODEL));
    for (name, file, digest) in [("weights", MODEL, weights), ("configuration", CONFIG, digest(input.run, CONFIG))] {
        pairs.extend(digest.map(|digest| (format!("{name} ({file})"), digest)));
    }
    if let Some(manifest) = manifest(input.run) {
        let mut put = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        put("tokenizer", &manifest.tokenizer_sha256);
        put("fingerprint of the training data", &manifest.fingerprint);
        if is_of(&manifest, input.result)
            && let Some(split) = manifest.splits.get(&input.result.split)
        {
            put(&format!("rows of {}", input.result.split), &split.sha256);
        }
        for (file, digest) in manifest.source_sha256.iter().take(SOURCES) {
            put(&format!("source file {file}"), digest);
        }
        let more = manifest.source_sha256.len().saturating_sub(SOURCES);
        if more > 0 {
            put("source files", &format!("and {more} more in data.json"));
        }
    }
    Ok(Section::new("Hashes", html::pairs(&pairs)))
}

/// `None` for a file that isn't there or can't be read.
fn digest(folder: &Path, file: &str) -> Option<String> {
    sha256_file(&folder.join(file)).ok()
}

//! The `prepare` command: from a data set's name to a prepared directory.
//!
//! [`run`] resolves the data set and the model, tokenizes into a folder that isn't published yet, audits, and publishes. The inputs determine a fingerprint;
//! if a directory with the same one exists already, nothing is written.

mod args;
mod directory;
mod findings;
mod fingerprint;
mod summary;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tokenize::Tokenizer;

use crate::audit::{Audit, TokenizedRows, TokenizedTexts, audit};
use crate::error::DataError;
use crate::loaded::Loaded;
use crate::manifest::{self, MANIFEST, Manifest, ModelSource, PREPARED, Prepared, SplitManifest};
use crate::record::Record;
use crate::source::load;
use crate::store::Writer;
pub use args::PrepareArgs;
use disk::StagedFolder;
use fingerprint::fingerprint;

/// Texts that are tokenized together and then written: enough to keep all cores busy, few enough to need little memory.
const TEXTS_PER_CHUNK: usize = 4096;

/// What [`run`] left behind.
#[derive(Debug, Clone)]
pub struct PreparedSummary {
    pub prepared: Prepared,
    pub audit: Audit,
    /// Whether it existed already, made from the same inputs.
    pub already_prepared: bool,
}

/// A model's limits, or why it can't be trained.
pub type ModelResult = Result<ModelLimits, Box<dyn std::error::Error + Send + Sync>>;

/// What a model can process, from its `config.json`, which this crate doesn't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// How many token ids it has embeddings for.
    pub vocab_size: usize,
    /// How many tokens of a text it can read.
    pub positions: usize,
}

/// Prepares a data set; progress goes to stderr and the summary to stdout. `limits_of` reads a model's folder and
/// refuses a model that can't be trained, before any work is done.
///
/// # Errors
/// Any input that can't be used as requested. Existing files are not changed then.
pub fn run(args: &PrepareArgs, limits_of: impl FnOnce(&Path) -> ModelResult) -> Result<PreparedSummary, DataError> {
    let outcome = prepare(args, limits_of)?;
    let text = summary::render(&outcome);
    disk::print(&text)?;
    Ok(outcome)
}

fn prepare(args: &PrepareArgs, limits_of: impl FnOnce(&Path) -> ModelResult) -> Result<PreparedSummary, DataError> {
    let mut loaded = load(&args.dataset, &args.source, &args.load_options)?;
    loaded.notes.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    let output = args.output.clone().unwrap_or_else(|| Path::new(PREPARED).join(directory::name(&loaded.dataset)));
    directory::check(&output)?;
    if !args.replace {
        directory::check_replaces(&output, &loaded)?;
    }

    let model = fetch::pretrained_model(args.model.as_deref())
        .map_err(|source| DataError::Fetch { source_name: "model", source })?;
    model.note.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    let tokenizer = Tokenizer::with_casing(&model.folder, args.max_length, args.casing())?;
    let tokenizer_notes = notes_of(&tokenizer);
    tokenizer_notes.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    loaded.notes.extend(tokenizer_notes);
    check_model(&model.folder, limits_of(&model.folder).map_err(DataError::Model)?, &tokenizer)?;
    let model = ModelSource { name: model.name, origin: model.origin, note: model.note };

    let fingerprint = fingerprint(&loaded, &model, &tokenizer);
    if let Ok(prepared) = Prepared::open(&output)
        && prepared.manifest.fingerprint == fingerprint
        && prepared.manifest.label_values == loaded.label_values
        && let Ok(before) = prepared.audit()
        && (before.limits, before.allowed) == (args.limits, args.allow_leakage)
    {
        prepared.touch()?;
        return Ok(PreparedSummary { prepared, audit: before, already_prepared: true });
    }
    write(&output, &loaded, args, model, &tokenizer, fingerprint)
}

/// What users should know of a model's tokenizer.
fn notes_of(tokenizer: &Tokenizer) -> Vec<String> {
    let shorter = tokenizer.model_max_length().filter(|length| *length < tokenizer.max_length());
    let shorter = shorter.map(|length| {
        format!(
            "tokenizer_config.json has model_max_length {length}, but texts may have {} tokens (--max-length {length} \
             truncates them there)",
            tokenizer.max_length()
        )
    });
    tokenizer.notes().iter().cloned().chain(shorter).collect()
}

/// Refuses what is above its limit and prints all findings, so that users know what to fix. Nothing is published yet.
fn refuse(audit: &Audit) -> Result<(), DataError> {
    audit.check().inspect_err(|_| disk::print_message(findings::render(audit).trim_end()))
}

fn write(
    output: &Path,
    loaded: &Loaded,
    args: &PrepareArgs,
    model: ModelSource,
    tokenizer: &Tokenizer,
    fingerprint: String,
) -> Result<PreparedSummary, DataError> {
    let staging = StagedFolder::create(output, MANIFEST)?;
    let bar = progress(loaded.splits().iter().map(|(_, records)| records.len() as u64).sum());
    let mut splits = std::collections::BTreeMap::new();
    let (max_length, max_word_chars) = (tokenizer.max_length(), tokenizer.max_word_chars());
    let mut tokenized = TokenizedTexts { max_length, max_word_chars, ..TokenizedTexts::default() };
    for (split, records) in loaded.splits() {
        if !records.is_empty() {
            let path = staging.path().join(manifest::file_name(split.name()));
            let (written, rows) = write_split(&path, records, loaded.label_names.len(), tokenizer, &bar)?;
            splits.insert(split.name().to_owned(), written);
            tokenized.splits.insert(split, rows);
        }
    }
    bar.finish_and_clear();
    let audit = audit(loaded, &tokenized, args.limits, args.allow_leakage);
    refuse(&audit)?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        fingerprint,
        dataset: loaded.dataset.clone(),
        variant: loaded.variant.clone(),
        source: loaded.source.clone(),
        license: loaded.license.clone(),
        source_sha256: loaded.source_sha256.clone(),
        model,
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        lower_case: args.casing().lower_case(),
        vocab_size: tokenizer.vocab_size(),
        max_length: tokenizer.max_length(),
        label_names: loaded.label_names.clone(),
        label_values: loaded.label_values.clone(),
        splits,
        audit_sha256: audit.write(staging.path())?,
        notes: loaded.notes.clone(),
    };
    manifest.write(staging.path())?;
    // Another process may have written files there in the meantime.
    directory::check(staging.place())?;
    staging.publish()?;
    Ok(PreparedSummary { prepared: Prepared::open(output)?, audit, already_prepared: false })
}

/// Writes a split; what was written, and what the audit wants to know of its tokens.
fn write_split(
    path: &Path,
    records: &[Record],
    labels: usize,
    tokenizer: &Tokenizer,
    bar: &ProgressBar,
) -> Result<(SplitManifest, TokenizedRows), DataError> {
    let mut rows = TokenizedRows::default();
    let mut writer = Writer::create(path)?;
    let mut split = SplitManifest { rows: records.len(), ..SplitManifest::empty(labels) };
    for records in records.chunks(TEXTS_PER_CHUNK) {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        for (record, inspection) in records.iter().zip(tokenizer.inspect_batch(&texts)?) {
            rows.push(&inspection);
            let encoded = inspection.encoded;
            writer.push(&record.text, record.label, &encoded.ids)?;
            if let Some(count) = record.label.and_then(|label| split.label_counts.get_mut(label as usize)) {
                *count += 1;
                split.labeled += 1;
            }
            split.tokens += encoded.ids.len() as u64;
            split.longest = split.longest.max(encoded.ids.len());
            split.truncated += usize::from(encoded.truncated);
        }
        bar.inc(records.len() as u64);
    }
    let written = writer.finish()?;
    split.truncated_share = split.truncated as f64 / split.rows.max(1) as f64;
    Ok((SplitManifest { bytes: written.bytes, sha256: written.sha256, ..split }, rows))
}

/// Checks that the ids fit the model, which would be an index error in training.
fn check_model(folder: &Path, limits: ModelLimits, tokenizer: &Tokenizer) -> Result<(), DataError> {
    let ModelLimits { vocab_size, positions } = limits;
    if tokenizer.max_length() > positions {
        return Err(DataError::Request(format!(
            "--max-length {} is more than the model's {positions} positions (hint: --max-length {positions})",
            tokenizer.max_length()
        )));
    }
    if tokenizer.vocab_size() > vocab_size {
        let last = tokenizer.vocab_size() - 1;
        let message = format!("its vocab_size is {vocab_size}, but the tokenizer in it has ids up to {last}");
        return Err(DataError::content(folder, message));
    }
    Ok(())
}

/// A progress bar on stderr, if stderr is a terminal.
fn progress(texts: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("tokenizing {wide_bar} {human_pos}/{human_len} texts  {per_sec}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(texts).with_style(style)
}

#[cfg(test)]
pub(crate) mod tests;

//! The whole way from a name to a prepared directory, as one command.
//!
//! [`run`] resolves the model and the data set, audits, tokenizes, and writes. What goes in decides about a fingerprint;
//! when a directory with the same one is there already, nothing is written.

mod directory;
mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::audit::{Audit, audit};
use crate::dataset::{Dataset, LoadOptions, Loaded, SourceChoice, load};
use crate::error::DataError;
use crate::manifest::{self, Manifest, ModelSource, PREPARED, Prepared, SPLITS, SplitManifest};
use crate::record::Record;
use crate::store::{Writer, hex};
use crate::tokenize::Tokenizer;
use directory::Staging;

/// Texts that are tokenized together and then written: as many as keep all cores busy, few enough to be nothing beside
/// the records themselves.
const TEXTS_AT_ONCE: usize = 4096;

/// What to prepare, from where and how.
#[derive(Debug, Clone, clap::Args)]
pub struct PrepareArgs {
    /// sst2, sst3, sst5, glue-sst2, reviews, or a file or folder of your own (CSV, TSV, JSONL, Parquet)
    #[arg(long, value_name = "NAME|PATH", default_value = "sst2")]
    pub dataset: Dataset,
    /// auto (Hub, Stanford, packaged, in this order), hub, stanford, packaged, or a folder
    #[arg(long, value_name = "NAME|DIR", default_value = "auto")]
    pub source: SourceChoice,
    /// The model whose tokenizer is used: a Hub id or a folder [default: bert-base-uncased, or the packaged checkpoint
    /// where the Hub can't be reached]
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,
    /// Add every labelled phrase of the training trees to the training split
    #[arg(long)]
    pub phrases: bool,
    /// Classes of the reviews: 2, 3 or 5
    #[arg(long, value_name = "N")]
    pub classes: Option<u32>,
    /// Most tokens of a text, [CLS] and [SEP] included; longer texts are cut
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub max_length: usize,
    /// Where the prepared data goes [default: data/prepared/<dataset>]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// The column with the text, in a file of your own
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column with the label, in a file of your own
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// A file of your own with the validation split
    #[arg(long, value_name = "FILE", alias = "validation")]
    pub validation_file: Option<PathBuf>,
    /// A file of your own with the test split
    #[arg(long, value_name = "FILE", alias = "test")]
    pub test_file: Option<PathBuf>,
    /// Share of a single file that becomes validation, and the same share again test
    #[arg(long, value_name = "SHARE", default_value_t = LoadOptions::default().split_ratio)]
    pub split_ratio: f64,
    /// Which of the equally good splits of a single file is taken
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().seed)]
    pub seed: u64,
    /// What your labels mean, in the order of their indices: 0=negative,1=positive
    #[arg(long, value_name = "VALUE=NAME,...", value_delimiter = ',', value_parser = label_pair)]
    pub label_map: Vec<(String, String)>,
    /// Drop rows without text, and count them, instead of refusing them
    #[arg(long)]
    pub drop_empty: bool,
    /// Go on where training text is found in validation or test, or a text has two labels, beyond the threshold
    #[arg(long)]
    pub allow_leakage: bool,
}

/// What [`run`] left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The prepared directory.
    pub prepared: Prepared,
    /// Whether it was there already, made from the same inputs.
    pub already: bool,
}

/// Prepares a data set; tells on stderr what happens and on stdout what came out.
///
/// # Errors
/// Any input that can't be used as asked. Nothing that was there before is changed then.
pub fn run(args: &PrepareArgs) -> Result<Outcome, DataError> {
    let outcome = prepare(args)?;
    let text = summary::render(&outcome);
    // A reader that has gone away is no reason to call finished work failed.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(outcome)
}

fn prepare(args: &PrepareArgs) -> Result<Outcome, DataError> {
    let loaded = load(&args.dataset()?, &args.source, &args.load_options())?;
    loaded
        .notes
        .iter()
        .for_each(|note| eprintln!("note: {note}"));
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| Path::new(PREPARED).join(folder_name(&loaded.dataset)));
    directory::check(&output)?;
    let findings = audit(&loaded);
    findings
        .findings()
        .iter()
        .for_each(|finding| eprintln!("note: {finding}"));
    findings.check(args.allow_leakage)?;

    let model = fetch::checkpoint(args.model.as_deref()).map_err(|source| DataError::Fetch {
        source_name: "model",
        source,
    })?;
    model.note.iter().for_each(|note| eprintln!("note: {note}"));
    let tokenizer = Tokenizer::from_folder(&model.folder, args.max_length)?;
    check_model(&model.folder, &tokenizer)?;
    let model = ModelSource {
        name: model.name,
        origin: model.origin,
        note: model.note,
    };

    let fingerprint = fingerprint(&loaded, &model, &tokenizer);
    if let Ok(prepared) = Prepared::open(&output)
        && prepared.manifest.fingerprint == fingerprint
    {
        return Ok(Outcome {
            prepared,
            already: true,
        });
    }
    write(&output, &loaded, findings, model, &tokenizer, fingerprint)
}

fn write(
    output: &Path,
    loaded: &Loaded,
    audit: Audit,
    model: ModelSource,
    tokenizer: &Tokenizer,
    fingerprint: String,
) -> Result<Outcome, DataError> {
    let staging = Staging::create(output)?;
    let bar = progress(
        loaded
            .splits()
            .iter()
            .map(|(_, records)| records.len() as u64)
            .sum(),
    );
    let mut splits = std::collections::BTreeMap::new();
    for (name, records) in loaded.splits() {
        if !records.is_empty() {
            let path = staging.path().join(manifest::file_name(name));
            splits.insert(
                name.to_owned(),
                write_split(&path, records, loaded.label_names.len(), tokenizer, &bar)?,
            );
        }
    }
    bar.finish_and_clear();
    let manifest = Manifest {
        format: manifest::FORMAT,
        fingerprint,
        dataset: loaded.dataset.clone(),
        variant: loaded.variant.clone(),
        source: loaded.source.clone(),
        licence: loaded.licence.clone(),
        source_sha256: loaded.source_sha256.clone(),
        model,
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        max_length: tokenizer.max_length(),
        label_names: loaded.label_names.clone(),
        splits,
        audit,
        notes: loaded.notes.clone(),
    };
    manifest.write(staging.path())?;
    staging.commit()?;
    Ok(Outcome {
        prepared: Prepared::open(output)?,
        already: false,
    })
}

fn write_split(
    path: &Path,
    records: &[Record],
    labels: usize,
    tokenizer: &Tokenizer,
    bar: &ProgressBar,
) -> Result<SplitManifest, DataError> {
    let mut writer = Writer::create(path)?;
    let mut split = SplitManifest {
        rows: records.len(),
        labelled: 0,
        label_counts: vec![0; labels],
        tokens: 0,
        longest: 0,
        truncated: 0,
        truncated_share: 0.0,
        bytes: 0,
        sha256: String::new(),
    };
    for records in records.chunks(TEXTS_AT_ONCE) {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        for (record, encoded) in records.iter().zip(tokenizer.encode_batch(&texts)?) {
            writer.push(&record.text, record.label, &encoded.ids)?;
            if let Some(count) = record
                .label
                .and_then(|label| split.label_counts.get_mut(label as usize))
            {
                *count += 1;
                split.labelled += 1;
            }
            split.tokens += encoded.ids.len() as u64;
            split.longest = split.longest.max(encoded.ids.len());
            split.truncated += usize::from(encoded.truncated);
        }
        bar.inc(records.len() as u64);
    }
    let written = writer.finish()?;
    split.truncated_share = split.truncated as f64 / split.rows.max(1) as f64;
    Ok(SplitManifest {
        bytes: written.bytes,
        sha256: written.sha256,
        ..split
    })
}

impl PrepareArgs {
    fn dataset(&self) -> Result<Dataset, DataError> {
        match (&self.dataset, self.classes) {
            (dataset, None) => Ok(dataset.clone()),
            (Dataset::Reviews { .. }, Some(classes @ (2 | 3 | 5))) => {
                Ok(Dataset::Reviews { classes })
            }
            (Dataset::Reviews { .. }, Some(other)) => Err(DataError::Request(format!(
                "--classes {other}: the reviews come in 2, 3 or 5 classes"
            ))),
            (other, Some(_)) => Err(DataError::Request(format!(
                "--classes goes with --dataset reviews, not with {} (hint: sst2, sst3 and sst5 name their classes)",
                other.name()
            ))),
        }
    }

    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            phrases: self.phrases,
            text_column: self.text_column.clone(),
            label_column: self.label_column.clone(),
            validation_file: self.validation_file.clone(),
            test_file: self.test_file.clone(),
            split_ratio: self.split_ratio,
            label_map: (!self.label_map.is_empty()).then(|| self.label_map.clone()),
            drop_empty: self.drop_empty,
            allow_leakage: self.allow_leakage,
            seed: self.seed,
        }
    }
}

impl Loaded {
    /// The splits in reading order, by the names that a prepared directory gives them.
    fn splits(&self) -> [(&'static str, &[Record]); 3] {
        let [train, validation, test] = SPLITS;
        [
            (train, self.train.as_slice()),
            (validation, &self.validation),
            (test, &self.test),
        ]
    }
}

/// `value=name`, as in `--label-map 0=negative`.
fn label_pair(pair: &str) -> Result<(String, String), String> {
    match pair.split_once('=') {
        Some((value, name)) if !value.trim().is_empty() && !name.trim().is_empty() => {
            Ok((value.trim().to_owned(), name.trim().to_owned()))
        }
        _ => Err("a pair VALUE=NAME is needed, such as 0=negative".into()),
    }
}

/// A data set's name as a folder's: a path or a file's name becomes its harmless letters.
fn folder_name(dataset: &str) -> String {
    let stem = Path::new(dataset)
        .file_stem()
        .map_or(dataset.into(), |stem| stem.to_string_lossy());
    let harmless = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().map(harmless).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() {
        "own".into()
    } else {
        name.into()
    }
}

/// Whether the ids will fit the model: better said now than by an index error in training.
fn check_model(folder: &Path, tokenizer: &Tokenizer) -> Result<(), DataError> {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).map_err(|error| DataError::io(&path, error))?;
    let config: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| DataError::content(&path, format!("is not valid JSON: {error}")))?;
    let size = |key: &str| config.get(key).and_then(serde_json::Value::as_u64);
    if let Some(positions) =
        size("max_position_embeddings").filter(|&most| tokenizer.max_length() as u64 > most)
    {
        return Err(DataError::Request(format!(
            "--max-length {} is more than the model's {positions} positions (hint: --max-length {positions})",
            tokenizer.max_length()
        )));
    }
    match size("vocab_size").filter(|&words| tokenizer.vocab_size() as u64 > words) {
        Some(words) => Err(DataError::content(
            &path,
            format!(
                "vocab_size is {words}, but the tokenizer beside it has ids up to {}",
                tokenizer.vocab_size() - 1
            ),
        )),
        None => Ok(()),
    }
}

/// sha256 over everything that decides about the prepared directory, each part with its length before it.
fn fingerprint(loaded: &Loaded, model: &ModelSource, tokenizer: &Tokenizer) -> String {
    let mut hasher = Sha256::new();
    let mut add = |part: &str| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(&format!(
        "format {} version {}",
        manifest::FORMAT,
        env!("CARGO_PKG_VERSION")
    ));
    add(&format!(
        "{:?} {} {}",
        model.origin,
        tokenizer.sha256(),
        tokenizer.max_length()
    ));
    for part in [
        &loaded.dataset,
        &loaded.variant,
        &loaded.source,
        &loaded.licence,
        &model.name,
    ] {
        add(part);
    }
    loaded
        .source_sha256
        .iter()
        .for_each(|(name, sha256)| add(&format!("{name}\n{sha256}")));
    add(&loaded.label_names.len().to_string());
    loaded.label_names.iter().for_each(|name| add(name));
    for (name, records) in loaded.splits() {
        add(&format!("{name} {}", records.len()));
        for record in records {
            add(&record.text);
            add(&record
                .label
                .map_or(String::new(), |label| label.to_string()));
        }
    }
    hex(&hasher.finalize())
}

/// A bar on stderr; nothing where stderr is no terminal.
fn progress(texts: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "tokenizing {wide_bar} {human_pos}/{human_len} texts  {per_sec}  {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(texts).with_style(style)
}

#[cfg(test)]
mod tests;

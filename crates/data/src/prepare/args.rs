//! What can be asked for on the command line.

use std::path::PathBuf;

use crate::audit::Limits;
use crate::dataset::{Dataset, LoadOptions, SPLIT_RATIO, SPLIT_SEED, SourceChoice};
use crate::error::DataError;

/// What to prepare, from where and how.
#[derive(Debug, Clone, clap::Args)]
pub struct PrepareArgs {
    /// sst2, sst3, sst5, glue-sst2, reviews, or a file or folder of your own (CSV, TSV, JSONL, Parquet)
    #[arg(long, value_name = "NAME|PATH", default_value = "sst2")]
    pub dataset: Dataset,
    /// auto (Hub, Stanford, packaged, in this order), hub, stanford, packaged, or a folder
    #[arg(long, value_name = "NAME|DIR", default_value = "auto")]
    pub source: SourceChoice,
    /// The model whose tokenizer is used: a Hub id or a folder; without it bert-base-uncased, or the packaged
    /// checkpoint where the Hub can't be reached
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,
    /// Add every labelled phrase of the training trees to the training split
    #[arg(long)]
    pub phrases: bool,
    /// Classes of the reviews: 2, 3 or 5
    #[arg(long, value_name = "N", value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub classes: Option<u32>,
    /// Most tokens of a text, the two special ones included; longer texts are cut
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub max_length: usize,
    /// Where the prepared data goes; without it, a folder of the data set's name in data/prepared
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
    /// See [`LoadOptions::split_ratio`].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help = format!(
        "Share of a single file that becomes validation, and the same share again test [default: {SPLIT_RATIO}]"))]
    pub split_ratio: Option<f64>,
    /// See [`LoadOptions::seed`].
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true, help = format!(
        "Which of the equally good splits of a single file is taken [default: {SPLIT_SEED}]"))]
    pub seed: Option<u64>,
    /// What your labels mean, in the order of their indices: 0=negative,1=positive
    #[arg(long, value_name = "VALUE=NAME,...", value_delimiter = ',', value_parser = label_pair)]
    pub label_map: Vec<(String, String)>,
    /// Drop rows without text, and count them, instead of refusing them
    #[arg(long)]
    pub drop_empty: bool,
    /// Go on although the audit found something above its limit; the audit keeps the record of it
    #[arg(long)]
    pub allow_leakage: bool,
    /// How much of what the audit finds is accepted
    #[command(flatten)]
    pub limits: Limits,
}

impl PrepareArgs {
    pub(super) fn dataset(&self) -> Result<Dataset, DataError> {
        match (&self.dataset, self.classes) {
            (dataset, None) => Ok(dataset.clone()),
            (Dataset::Reviews { .. }, Some(classes @ (2 | 3 | 5))) => Ok(Dataset::Reviews { classes }),
            (Dataset::Reviews { .. }, Some(other)) => {
                Err(DataError::Request(format!("--classes {other}: the reviews come in 2, 3 or 5 classes")))
            }
            (other, Some(_)) => Err(DataError::Request(format!(
                "--classes goes with --dataset reviews, not with {} (hint: sst2, sst3 and sst5 name their classes)",
                other.name()
            ))),
        }
    }

    pub(super) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            phrases: self.phrases,
            text_column: self.text_column.clone(),
            label_column: self.label_column.clone(),
            validation_file: self.validation_file.clone(),
            test_file: self.test_file.clone(),
            split_ratio: self.split_ratio,
            label_map: (!self.label_map.is_empty()).then(|| self.label_map.clone()),
            drop_empty: self.drop_empty,
            seed: self.seed,
        }
    }
}

/// A count. Zero and the rest of what is too small or too large is judged later, with the allowed range.
fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| "it must be a whole number without a sign".to_owned())
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

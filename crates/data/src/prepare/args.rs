//! What can be asked for on the command line.

use std::path::PathBuf;

use crate::audit::AuditLimits;
use crate::dataset::{Dataset, SourceChoice};
use crate::error::DataError;
use crate::load_options::{DatasetOptions, whole};

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
    /// Classes of the reviews: 2, 3 or 5
    #[arg(long, value_name = "N", value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub classes: Option<u32>,
    /// Most tokens of a text, the two special ones included; longer texts are cut
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub max_length: usize,
    /// Where the prepared data goes; without it, a folder of the data set's name in data/prepared
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub load_options: DatasetOptions,
    /// Go on although the audit found something above its limit; the audit keeps the record of it
    #[arg(long)]
    pub allow_leakage: bool,
    /// How much of what the audit finds is accepted
    #[command(flatten)]
    pub limits: AuditLimits,
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
}

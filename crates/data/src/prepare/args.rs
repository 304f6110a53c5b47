//! The command line of `prepare`.

use std::path::PathBuf;

use tokenize::Casing;

use crate::audit::AuditLimits;
use crate::load_options::{DatasetOptions, parse_whole_number};
use crate::source::{self, Dataset, SourceChoice};

#[derive(Debug, Clone, clap::Args)]
pub struct PrepareArgs {
    #[arg(long, value_name = "NAME|PATH", default_value = source::DEFAULT, help = Dataset::help())]
    pub dataset: Dataset,
    #[arg(long, value_name = "NAME|DIR", default_value = "auto", help = SourceChoice::help())]
    pub source: SourceChoice,
    /// The model whose tokenizer is used: a Hub id or a folder; without it bert-base-uncased, or the packaged
    /// model if the Hub is not reachable
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,
    /// Maximum tokens of a text, with the two special ones; longer texts are truncated
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = parse_whole_number::<usize>, allow_negative_numbers = true)]
    pub max_length: usize,
    /// Keep capital letters and accents, whatever the model's tokenizer_config.json says
    #[arg(long, conflicts_with = "lower_case")]
    pub keep_case: bool,
    /// Lower-case texts, whatever the model's tokenizer_config.json says
    #[arg(long)]
    pub lower_case: bool,
    /// Where the prepared data goes; without it, a folder of the data set's name in data/prepared
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace the prepared data of another data set in the same folder
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub load_options: DatasetOptions,
    /// Continue although the audit found something above its limit; audit.json records it
    #[arg(long)]
    pub allow_leakage: bool,
    #[command(flatten)]
    pub limits: AuditLimits,
}

impl PrepareArgs {
    pub(super) fn casing(&self) -> Casing {
        match (self.keep_case, self.lower_case) {
            (true, _) => Casing::Keep,
            (false, true) => Casing::Lower,
            (false, false) => Casing::AsConfigured,
        }
    }
}

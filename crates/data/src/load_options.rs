//! Options for reading a data set, in code and on the command line.

use std::path::PathBuf;

use table::ReadOptions;

/// The share of a single file that becomes validation, and again test, by default.
pub(crate) const SPLIT_RATIO: f64 = 0.1;
/// The seed of a single file's split by default.
pub(crate) const SPLIT_SEED: u64 = 0;

/// How a data set is read.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct DatasetOptions {
    /// Number of classes, for data sets that come in several forms, such as reviews
    #[arg(long, value_name = "N", value_parser = parse_whole_number::<u32>, allow_negative_numbers = true)]
    pub classes: Option<u32>,
    /// Add every labeled phrase of the training trees to the training split
    #[arg(long)]
    pub phrases: bool,
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
    /// Above 0 and below 0.5; `None`: [`SPLIT_RATIO`].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help = format!(
        "Share of a single file that becomes validation, and the same share again test [default: {SPLIT_RATIO}]"))]
    pub split_ratio: Option<f64>,
    /// `None`: [`SPLIT_SEED`].
    #[arg(long, value_name = "N", value_parser = parse_whole_number::<u64>, allow_negative_numbers = true, help = format!(
        "Seed of the split of a single file [default: {SPLIT_SEED}]"))]
    pub seed: Option<u64>,
    /// Names of your labels, in the order of their numbers: 0=negative,1=positive
    #[arg(long, value_name = "VALUE=NAME,...", value_delimiter = ',', value_parser = parse_label_pair)]
    pub label_map: Option<Vec<(String, String)>>,
    /// Drop rows without text and count them, instead of failing
    #[arg(long)]
    pub drop_empty: bool,
    #[command(flatten)]
    pub read: ReadOptions,
}

impl DatasetOptions {
    /// The flags that differ from their defaults.
    pub(crate) fn given_flags(&self) -> Vec<&'static str> {
        let Self { classes, phrases, text_column, label_column, label_map, .. } = self;
        let Self { validation_file, test_file, split_ratio, seed, drop_empty, read, .. } = self;
        let flags = [
            ("--classes", classes.is_some()),
            ("--phrases", *phrases),
            ("--text-column", text_column.is_some()),
            ("--label-column", label_column.is_some()),
            ("--label-map", label_map.is_some()),
            ("--validation-file", validation_file.is_some()),
            ("--test-file", test_file.is_some()),
            ("--split-ratio", split_ratio.is_some()),
            ("--seed", seed.is_some()),
            ("--drop-empty", *drop_empty),
        ];
        let flags = flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag);
        flags.chain(read.given_flags()).collect()
    }
}

/// A whole number. Its range is checked later, where the error can name the allowed range.
pub(crate) fn parse_whole_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| "expected a whole number without a sign".to_owned())
}

/// `value=name`, as in `--label-map 0=negative`.
pub fn parse_label_pair(pair: &str) -> Result<(String, String), String> {
    match pair.split_once('=') {
        Some((value, name)) if !value.trim().is_empty() && !name.trim().is_empty() => {
            Ok((value.trim().to_owned(), name.trim().to_owned()))
        }
        _ => Err("expected VALUE=NAME, such as 0=negative".into()),
    }
}

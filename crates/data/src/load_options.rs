//! Options for reading a data set, in code and on the command line.

use std::path::PathBuf;

use table::{ReadOptions, parse_text_separator};

use crate::label_map::LabelMap;

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
    /// The column with the text, by name or number from 1; of several, such as title,body, the texts are joined
    #[arg(long, value_name = "NAME,...")]
    pub text_column: Option<String>,
    /// `None`: [`table::TEXT_SEPARATOR`].
    #[arg(long, value_name = "TEXT", value_parser = parse_text_separator, help =
        "What stands between the texts of several columns; \\n is a line end, \\t a tab [default: a space]")]
    pub text_separator: Option<String>,
    /// The column with the label, by name or number from 1
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// A file of your own with the validation split, or a pattern such as 'dev-*.csv'; may be repeated
    #[arg(long, value_name = "FILE", alias = "validation")]
    pub validation_file: Vec<PathBuf>,
    /// A file of your own with the test split, or a pattern; may be repeated
    #[arg(long, value_name = "FILE", alias = "test")]
    pub test_file: Vec<PathBuf>,
    /// Above 0 and below 0.5; `None`: [`SPLIT_RATIO`].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help = format!(
        "Share of a single file that becomes validation, and the same share again test [default: {SPLIT_RATIO}]"))]
    pub split_ratio: Option<f64>,
    /// `None`: [`SPLIT_SEED`].
    #[arg(long, value_name = "N", value_parser = parse_whole_number::<u64>, allow_negative_numbers = true, help = format!(
        "Seed of the split of a single file [default: {SPLIT_SEED}]"))]
    pub seed: Option<u64>,
    /// Take the shares from each label, so that every label has the same ones
    #[arg(long)]
    pub stratify: bool,
    /// Names of your labels, in the order of their numbers: 0=negative,1=positive; or a CSV or JSON file of them. What
    /// holds a comma or = is in double quotes: '"a, b"=NAME'
    #[arg(long, value_name = "VALUE=NAME,...|FILE", value_parser = LabelMap::from_flag, allow_hyphen_values = true)]
    pub label_map: Option<LabelMap>,
    /// The number of the first label, where your labels are numbers that don't begin at 0
    #[arg(long, value_name = "N", value_parser = parse_whole_number::<u32>, allow_negative_numbers = true)]
    pub labels_from: Option<u32>,
    /// Drop rows without text and count them, instead of failing
    #[arg(long)]
    pub drop_empty: bool,
    #[command(flatten)]
    pub read: ReadOptions,
}

impl DatasetOptions {
    /// The flags that differ from their defaults.
    pub(crate) fn given_flags(&self) -> Vec<&'static str> {
        let Self { classes, phrases, text_column, text_separator, label_column, label_map, labels_from, .. } = self;
        let Self { validation_file, test_file, split_ratio, seed, stratify, drop_empty, read, .. } = self;
        let flags = [
            ("--classes", classes.is_some()),
            ("--phrases", *phrases),
            ("--text-column", text_column.is_some()),
            ("--text-separator", text_separator.is_some()),
            ("--label-column", label_column.is_some()),
            ("--label-map", label_map.is_some()),
            ("--labels-from", labels_from.is_some()),
            ("--validation-file", !validation_file.is_empty()),
            ("--test-file", !test_file.is_empty()),
            ("--split-ratio", split_ratio.is_some()),
            ("--seed", seed.is_some()),
            ("--stratify", *stratify),
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

//! A `--config` file: the same names as the flags, every key known, every error with its line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::Args;
use serde::Deserialize;
use toml::de::DeTable;

use super::TrainConfig;
use super::args::TrainArgs;
use crate::error::{Result, TrainError};

/// What a file says, and where it says it.
pub(super) struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// Its values.
    pub args: TrainArgs,
    /// The line of each key, from 1.
    pub lines: BTreeMap<String, usize>,
}

impl ConfigFile {
    /// Reads a file; unknown keys and values of the wrong kind are refused with their line.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(disk::DiskError::at("read the configuration file", path))?;
        let text = String::from_utf8(bytes).map_err(|error| TrainError::ConfigFile {
            path: path.to_owned(),
            line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count(),
            key: None,
            message: "not UTF-8 text (hint: save it as UTF-8)".to_owned(),
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |key: Option<String>, error: toml::de::Error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            let message = match &key {
                Some(_) => plain(error.message()),
                // What isn't TOML is easier to see than to name.
                None => format!("{}: `{}`", error.message(), text.lines().nth(line - 1).unwrap_or_default().trim()),
            };
            TrainError::ConfigFile { path: path.to_owned(), line, key, message }
        };
        let table = DeTable::parse(text).map_err(|error| wrong(None, error))?;

        let mut lines = BTreeMap::new();
        let mut spans: Vec<(String, Range<usize>)> = Vec::new();
        for (key, value) in table.get_ref().iter() {
            let name = key.get_ref().to_string();
            let line = line_at(text, key.span().start);
            if !OPTIONS.contains(&name.as_str()) {
                let nearest = nearest_option(&name);
                return Err(TrainError::UnknownKey { path: path.to_owned(), line, key: name, nearest });
            }
            spans.push((name.clone(), value.span()));
            lines.insert(name, line);
        }

        let args = toml::de::Deserializer::parse(text).and_then(TrainArgs::deserialize).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let key = spans.into_iter().find(|(_, span)| span.contains(&start)).map(|(key, _)| key);
            wrong(key, error)
        })?;
        Ok(Self { path: path.to_owned(), args, lines })
    }
}

/// The names of the options that a configuration file may set.
pub(super) fn options() -> &'static [&'static str] {
    &OPTIONS
}

/// Whether an option takes a value, by its kind and its range, others aside.
pub(super) fn check_option(name: &str, value: &toml::Value) -> Result<(), String> {
    let alone = toml::Table::from_iter([(name.to_owned(), value.clone())]);
    let args = TrainArgs::deserialize(alone).map_err(|error| plain(error.message()))?;
    match TrainConfig::from_args(&args) {
        Err(TrainError::Value(wrong)) => Err(format!("it must be {} (hint: {})", wrong.allowed, wrong.hint)),
        Err(error) => Err(error.to_string()),
        Ok(_) => Ok(()),
    }
}

/// The options a file may set: every flag but those that say where a configuration comes from.
static OPTIONS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    TrainArgs::augment_args(clap::Command::new("train"))
        .get_arguments()
        .map(|argument| &*argument.get_id().as_str().to_owned().leak())
        .filter(|name| !["config", "resume", "allow_change", "profile"].contains(name))
        .collect()
});

/// The option whose name is closest, where it is close enough to have been meant.
fn nearest_option(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase().replace('-', "_");
    OPTIONS
        .iter()
        .map(|&option| (strsim::jaro_winkler(&key, option), option))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, option)| option)
}

/// The parser's words for a value of the wrong kind, without the names of Rust's types.
fn plain(message: &str) -> String {
    let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let found = found.trim_end_matches(" as i128").trim_end_matches(" as u128");
    let kinds = [
        ("string ", "the text "),
        ("floating point ", "the number "),
        ("integer ", "the number "),
        ("sequence", "a list"),
        ("map", "a table"),
        ("boolean ", ""),
    ];
    let found = match kinds.iter().find_map(|(kind, ours)| Some(format!("{ours}{}", found.strip_prefix(kind)?))) {
        Some(found) => found.replace('`', ""),
        None => found.to_owned(),
    };
    let wanted = match wanted {
        "u64" | "usize" | "u32" => "a whole number of 0 or more",
        "f64" => "a number",
        "path string" | "a string" => "a text in quotes",
        "a boolean" => "true or false",
        other => other,
    };
    format!("{found} is given, and {wanted} is needed")
}

/// The line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClassWeights, Precision, ScheduleKind};

    fn parse(text: &str) -> Result<ConfigFile> {
        ConfigFile::parse(Path::new("run.toml"), text)
    }

    fn message(text: &str) -> String {
        match parse(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let file = parse(
            "# tried by hand\nepochs = 4\nlearning_rate = 3e-5\nlabel_smoothing = 0\nprecision = \"BF16\"\n\
             group_by_length = true\nschedule = \"inverse_sqrt\"\nclass_weights = [1, 2.5]\ndata = \"data/prepared/sst2\"\n",
        )
        .unwrap();
        let expected = TrainArgs {
            epochs: Some(4),
            learning_rate: Some(3e-5),
            label_smoothing: Some(0.0),
            precision: Some(Precision::Bf16),
            group_by_length: Some(true),
            schedule: Some(ScheduleKind::InverseSqrt),
            class_weights: Some(ClassWeights::Values(vec![1.0, 2.5])),
            data: Some(PathBuf::from("data/prepared/sst2")),
            ..TrainArgs::default()
        };
        assert_eq!(file.args, expected);
        assert_eq!(file.lines["learning_rate"], 3);
        assert_eq!(parse("class_weights = \"Balanced\"").unwrap().args.class_weights, Some(ClassWeights::Balanced));
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_option() {
        let error = message("epochs = 3\n\nlearnig_rate = 2e-5\n");
        assert_eq!(
            error,
            "run.toml, line 3: no option is called \"learnig_rate\" (hint: did you mean \"learning_rate\"?)"
        );
        assert!(message("batch-size = 8").contains("did you mean \"batch_size\"?"));
        assert!(message("zzz = 8").contains("`train --help` lists them"));
        assert!(message("config = \"other.toml\"").contains("no option is called \"config\""));
        assert!(message("[optimizer]\nbeta1 = 0.9").contains("key \"optimizer\""));
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_file_line_and_key() {
        let error = message("epochs = 3\nbatch_size = \"many\"\n");
        assert!(error.starts_with("run.toml, line 2, key \"batch_size\": "), "{error}");
        assert!(error.contains("\"many\""), "{error}");
        let error = message("seed = 1\nepochs = -3\n");
        assert!(error.starts_with("run.toml, line 2, key \"epochs\": ") && error.contains("-3"), "{error}");
        let error = message("precision = \"fp8\"");
        assert!(error.contains("line 1, key \"precision\": \"fp8\" is not one of auto, fp32, bf16"), "{error}");
        let error = message("class_weights = 3");
        assert!(error.contains("key \"class_weights\"") && error.contains("\"balanced\""), "{error}");
    }

    #[test]
    fn what_is_not_toml_names_the_line() {
        let error = message("epochs = 3\nbatch_size 16\n");
        assert!(error.starts_with("run.toml, line 2: "), "{error}");
        assert!(message("epochs = 3\nepochs = 4\n").contains("line 2"));
    }

    #[test]
    fn a_value_alone_is_checked_by_kind_and_range() {
        let check =
            |name, value: &str| check_option(name, &format!("v = {value}").parse::<toml::Table>().unwrap()["v"]);
        assert_eq!(check("learning_rate", "1e-4"), Ok(()));
        assert_eq!(check("epochs", "3"), Ok(()));
        assert!(check("epochs", "2.5").unwrap_err().contains("whole number"));
        assert!(check("learning_rate", "3").unwrap_err().starts_with("it must be a number above 0 and up to 1"));
        assert!(check("optimizer", "\"adamwx\"").unwrap_err().contains("adamw"));
        assert!(options().contains(&"layer_decay") && !options().contains(&"resume"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ConfigFile::read(Path::new("nowhere/run.toml")).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("can't read the configuration file nowhere/run.toml"));
    }
}

//! Reads a `--config` file. Unknown keys are errors, and every error names the line.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Value;
use toml::de::DeTable;

use super::given::GivenOptions;
use crate::error::{OptionsError, ValueSource};

impl GivenOptions {
    /// Reads the options in a file.
    ///
    /// # Errors
    /// The line of a syntax error, an unknown key or a value of the wrong type.
    pub(crate) fn from_file(path: &Path) -> Result<Self, OptionsError> {
        let read = |source| OptionsError::Read { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
            let message = "not UTF-8 text (hint: save it as UTF-8)".to_owned();
            OptionsError::File { origin: ValueSource::File(path.into(), line), message }
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, OptionsError> {
        let path: Arc<Path> = path.into();
        let origin = |byte| ValueSource::File(path.clone(), line_at(text.as_bytes(), byte));
        let table = DeTable::parse(text).map_err(|error| {
            let origin = origin(error.span().map_or(0, |span| span.start));
            // The message quotes the line, because messages about TOML syntax are hard to understand without it.
            let ValueSource::File(_, line) = origin else { unreachable!("`origin` returns a line of the file") };
            let found = text.lines().nth(line - 1).unwrap_or_default().trim();
            let hint = "`key = value` with the names of `train --help` in snake_case";
            OptionsError::File { message: format!("{}: `{found}` (hint: {hint})", error.message()), origin }
        })?;
        let mut given = Self::default();
        for (key, value) in table.into_inner() {
            let written = text.get(value.span()).and_then(|text| text.lines().next()).unwrap_or_default();
            // `None` for an integer or float that is too large for a `Value`.
            let value = Value::deserialize(value.clone().into_deserializer()).ok();
            given.insert(key.get_ref(), value, written.to_owned(), origin(key.span().start))?;
        }
        Ok(given)
    }
}

/// The number of the line with this byte, from 1.
fn line_at(text: &[u8], byte: usize) -> usize {
    1 + text.iter().take(byte).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ClassWeights, TrainConfig};
    use crate::schedule::ScheduleKind;
    use model::PrecisionChoice;

    fn parse(text: &str) -> Result<TrainConfig, OptionsError> {
        TrainConfig::new(&GivenOptions::parse(Path::new("run.toml"), text)?)
    }

    fn message(text: &str) -> String {
        match parse(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_type_of_value_is_read() {
        let config = parse(
            "# tried by hand\nepochs = 4\nlearning_rate = 3e-5\nlabel_smoothing = 0\nprecision = \"BF16\"\n\
             group_by_length = true\nschedule = \"inverse_sqrt\"\nclass_weights = [1, 2.5]\ndata = \"data/prepared/sst2\"\n",
        )
        .unwrap();
        assert_eq!((config.epochs, config.optimizer.learning_rate), (4, 3e-5));
        assert_eq!((config.regularization.label_smoothing, config.precision), (0.0, PrecisionChoice::Bf16));
        assert_eq!((config.group_by_length, config.schedule.kind), (true, ScheduleKind::InverseSqrt));
        assert_eq!(config.regularization.class_weights, ClassWeights::Values(vec![1.0, 2.5]));
        assert_eq!(config.data, Some("data/prepared/sst2".into()));
        let balanced = parse("class_weights = \"Balanced\"").unwrap();
        assert_eq!(balanced.regularization.class_weights, ClassWeights::Balanced);
    }

    #[test]
    fn the_error_for_an_unknown_key_names_file_line_and_the_nearest_option() {
        let error = message("epochs = 3\n\nlearnig_rate = 2e-5\n");
        assert_eq!(
            error,
            "run.toml, line 3: no option is called \"learnig_rate\" (hint: did you mean \"learning_rate\"?)"
        );
        assert!(message("batch-size = 8").contains("did you mean \"batch_size\"?"));
        assert!(message("zzz = 8").contains("`train --help` lists them"));
        assert!(message("config = \"other.toml\"").contains("no option is called \"config\""));
        assert!(message("[optimizer]\nbeta1 = 0.9").contains("line 1: optimizer = "));
    }

    #[test]
    fn the_error_for_a_value_of_the_wrong_type_names_file_line_and_key() {
        let error = message("epochs = 3\nbatch_size = \"many\"\n");
        assert!(
            error.starts_with("run.toml, line 2: batch_size = \"many\" is not allowed: it must be a whole number"),
            "{error}"
        );
        assert!(error.contains("\"many\""), "{error}");
        let error = message("seed = 1\nepochs = -3\n");
        assert!(error.starts_with("run.toml, line 2: epochs = -3 "), "{error}");
        let error = message("precision = \"fp8\"");
        assert!(
            error
                .contains("line 1: precision = \"fp8\" is not allowed: it must be one of auto, fp32, bf16 (hint: auto"),
            "{error}"
        );
        let error = message("class_weights = 3");
        assert!(error.contains("class_weights = 3 ") && error.contains("balanced"), "{error}");
    }

    #[test]
    fn the_error_for_invalid_toml_names_the_line() {
        let error = message("epochs = 3\nbatch_size 16\n");
        assert!(error.starts_with("run.toml, line 2: "), "{error}");
        assert!(message("epochs = 3\nepochs = 4\n").contains("line 2"));
    }

    #[test]
    fn the_error_for_a_missing_file_names_it() {
        let error = GivenOptions::from_file(Path::new("nowhere/run.toml")).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("failed to read the configuration file nowhere/run.toml"));
    }
}

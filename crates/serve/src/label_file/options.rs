//! The parameters of a request with a file: `name`, and the flags of `verdict predict --file` with underscores.

use std::path::Path;

use table::{FORMATS, FileFormat, READ_FLAGS, ReadOptions, TEXT_SEPARATOR, parse_text_separator};

use crate::error::RequestError;

/// The flags that are parameters too, beside [`READ_FLAGS`].
const TEXT_FLAGS: [&str; 2] = ["--text-column", "--text-separator"];
/// Longer names are those of no file.
const MAX_NAME_BYTES: usize = 200;
const MAX_PROGRESS_ID: usize = 64;

/// How a file is read and what comes back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileRequestOptions {
    /// A file name without a folder.
    pub name: String,
    pub text_column: Option<String>,
    pub text_separator: String,
    pub read: ReadOptions,
    /// A format or an ending.
    output: Option<String>,
    /// Under which name the client asks how far the file is.
    pub progress: Option<String>,
}

impl FileRequestOptions {
    /// # Errors
    /// A parameter that there isn't, one that is given twice, and values that can't be meant.
    pub(super) fn from_query(query: &str) -> Result<Self, RequestError> {
        let mut options = Self {
            name: String::new(),
            text_column: None,
            text_separator: TEXT_SEPARATOR.to_owned(),
            read: ReadOptions::default(),
            output: None,
            progress: None,
        };
        let mut seen: Vec<String> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let refuse = |reason: String| RequestError::Validation(format!("{key}: {reason}"));
            if seen.iter().any(|before| *before == key) {
                return Err(refuse("given twice".to_owned()));
            }
            seen.push(key.to_string());
            match key.as_ref() {
                "name" => options.name = file_name(&value).map_err(refuse)?,
                "text_column" if !value.is_empty() => options.text_column = Some(value.into_owned()),
                "text_column" => {}
                "text_separator" => options.text_separator = parse_text_separator(&value).map_err(refuse)?,
                "output" => options.output = Some(value.into_owned()),
                "progress" => options.progress = Some(progress_id(&value).map_err(refuse)?),
                _ if options.read.set(&flag(&key), &value).map_err(refuse)? => {}
                _ => return Err(unknown(&key)),
            }
        }
        let format = options.read.format.as_deref();
        if let Some(format) = format.filter(|format| FileFormat::named(format).is_none_or(|of| of.endings.is_empty())) {
            let expected = FileFormat::names();
            return Err(RequestError::Validation(format!("format: expected {expected}, found {format:?}")));
        }
        match options.name.is_empty() {
            false => Ok(options),
            true => Err(RequestError::Validation(
                "expected the file's name as a parameter, found none (hint: /label?name=reviews.csv)".to_owned(),
            )),
        }
    }

    /// The name of the labeled file: in the format of the input where that is written, else CSV.
    ///
    /// # Errors
    /// `output` is no format that is written.
    pub(super) fn output_name(&self) -> Result<String, RequestError> {
        let path = Path::new(&self.name);
        let by_name = FileFormat::of(path);
        let input = self.read.format.as_deref().map_or(by_name, FileFormat::named);
        let output = match &self.output {
            Some(wanted) => Some(written(wanted)?),
            None => input.filter(|format| format.is_written()).or_else(|| FileFormat::named("CSV")),
        };
        let stem = table::stem(path).unwrap_or_default();
        let same = |one: Option<&FileFormat>, other: Option<&FileFormat>| one.map(|f| f.name) == other.map(|f| f.name);
        let ending = match (self.name.get(stem.len()..), output) {
            // With the compression of the input.
            (Some(ending), output) if same(output, by_name) => ending.to_owned(),
            (_, output) => format!(".{}", output.and_then(|format| format.endings.first()).unwrap_or(&"csv")),
        };
        Ok(format!("{stem}-labeled{ending}"))
    }
}

/// A message in which flags are the parameters of their names: `--text-column NAME` is `text_column=NAME`.
pub(super) fn as_parameters(message: &str) -> String {
    let flags = TEXT_FLAGS.into_iter().chain(READ_FLAGS);
    flags.fold(message.to_owned(), |message, flag| {
        message.replace(&format!("{flag} "), &format!("{}=", parameter(flag))).replace(flag, &parameter(flag))
    })
}

fn parameter(flag: &str) -> String {
    flag.trim_start_matches("--").replace('-', "_")
}

fn flag(parameter: &str) -> String {
    format!("--{}", parameter.replace('_', "-"))
}

fn unknown(key: &str) -> RequestError {
    let flags = TEXT_FLAGS.into_iter().chain(READ_FLAGS).map(parameter);
    let known: Vec<String> = ["name", "output", "progress"].map(str::to_owned).into_iter().chain(flags).collect();
    RequestError::Validation(format!("expected parameters of {}, found {key:?}", known.join(", ")))
}

/// The last part of a path, of a browser on any system.
fn file_name(value: &str) -> Result<String, String> {
    let name = value.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.is_empty() || name == "." || name == ".." || name.chars().any(char::is_control) {
        return Err(format!("expected a file's name such as reviews.csv, found {value:?}"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("expected a file's name of at most {MAX_NAME_BYTES} bytes, found {}", name.len()));
    }
    Ok(name.to_owned())
}

/// A name that a client gives to a file.
pub(super) fn progress_id(value: &str) -> Result<String, String> {
    let fits = (1..=MAX_PROGRESS_ID).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let expected = || format!("expected up to {MAX_PROGRESS_ID} letters and digits, found {value:?}");
    fits.then(|| value.to_owned()).ok_or_else(expected)
}

/// The format of a name or an ending, if tables are written in it.
fn written(wanted: &str) -> Result<&'static FileFormat, RequestError> {
    let wanted_ending = wanted.trim_start_matches('.').to_lowercase();
    let of_ending = || FORMATS.iter().find(|format| format.endings.contains(&wanted_ending.as_str()));
    let found = FileFormat::named(wanted).or_else(of_ending).filter(|format| format.is_written());
    found.ok_or_else(|| {
        RequestError::Validation(format!(
            "output: expected {}, found {wanted:?} (hint: output=csv)",
            FileFormat::written()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> FileRequestOptions {
        FileRequestOptions::from_query(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    fn refused(query: &str) -> String {
        match FileRequestOptions::from_query(query).and_then(|options| options.output_name()) {
            Err(RequestError::Validation(message)) => message,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn the_flags_of_predict_are_parameters() {
        let options =
            parsed("name=a%2Fb%5Cmy+file.csv&text_column=title,body&text_separator=%5Cn&separator=;&no_header=");
        assert_eq!((options.name.as_str(), options.text_separator.as_str()), ("my file.csv", "\n"));
        assert_eq!(options.text_column.as_deref(), Some("title,body"));
        assert_eq!((options.read.separator, options.read.no_header), (Some(b';'), true));
    }

    #[test]
    fn what_can_not_be_meant_is_refused_and_named() {
        assert!(refused("").contains("/label?name=reviews.csv"));
        for query in ["name=", "name=..", "name=a%2F", "name=a%0Ab.csv", "name=a%00.csv"] {
            assert!(refused(query).starts_with("name: expected a file's name"), "{query}");
        }
        assert!(refused(&format!("name={}.csv", "a".repeat(300))).contains("at most 200 bytes"));
        assert_eq!(refused("name=a.csv&name=b.csv"), "name: given twice");
        assert!(refused("name=a.csv&labels=x").contains("text_column, text_separator, format, encoding"));
        assert!(refused("name=a.csv&encoding=utf-9").starts_with("encoding: "));
        assert!(refused("name=a.csv&progress=../x").starts_with("progress: "));
        // A folder can't be sent, and a file that names others must not be taken for one.
        assert!(refused("name=a.csv&format=xlsx").starts_with("format: expected CSV"));
        let folders = FORMATS.iter().filter(|format| format.endings.is_empty());
        for folder in folders.map(|format| format.name.replace(' ', "+")) {
            assert!(refused(&format!("name=a.csv&format={folder}")).starts_with("format: expected CSV"), "{folder}");
        }
        assert!(refused("name=a.csv&output=xlsx").starts_with("output: expected CSV"));
        assert!(refused("name=a.csv&output=txt").starts_with("output: expected CSV"));
    }

    #[test]
    fn the_labeled_file_has_the_format_of_the_input_or_the_one_that_is_asked_for() {
        for (query, name) in [
            ("name=reviews.csv", "reviews-labeled.csv"),
            ("name=Reviews.CSV.gz", "Reviews-labeled.CSV.gz"),
            ("name=a.b.parquet", "a.b-labeled.parquet"),
            ("name=a.ndjson", "a-labeled.ndjson"),
            ("name=a.txt", "a-labeled.csv"),
            ("name=a.dat&format=tsv", "a-labeled.tsv"),
            ("name=a.csv&output=Parquet", "a-labeled.parquet"),
            ("name=a.csv.gz&output=.jsonl", "a-labeled.jsonl"),
        ] {
            assert_eq!(parsed(query).output_name().unwrap(), name, "{query}");
        }
    }

    #[test]
    fn hints_name_parameters() {
        let message =
            "no column is called text (hint: --text-column NAME); is it --encoding windows-1252? (hint: --text-column)";
        let expected =
            "no column is called text (hint: text_column=NAME); is it encoding=windows-1252? (hint: text_column)";
        assert_eq!(as_parameters(message), expected);
    }
}

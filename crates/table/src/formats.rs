//! Finding and listing formats.

use std::path::Path;

use crate::error::TableError;
use crate::format::FileFormat;
use crate::read_options::ReadOptions;
use crate::{FORMATS, ending};

impl FileFormat {
    /// The format that the ending of a file's name stands for.
    pub fn of(path: &Path) -> Option<&'static Self> {
        let ending = ending(path);
        FORMATS.iter().find(|format| format.endings.contains(&ending.as_str()))
    }

    /// The format of a folder, such as one that `save_to_disk` wrote.
    pub(crate) fn of_folder(folder: &Path) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.matches_folder.is_some_and(|matches| matches(folder)))
    }

    /// Whether files of this format compress their own content, so that `.gz` would add nothing and prevent seeking.
    pub(crate) fn is_compressed(&self) -> bool {
        ["Parquet", "Arrow"].contains(&self.name)
    }

    /// The format that `options` name; `None` if they name none. `path` is for messages.
    ///
    /// # Errors
    /// A name that no format has.
    pub fn requested(options: &ReadOptions, path: &Path) -> Result<Option<&'static Self>, TableError> {
        let Some(name) = &options.format else { return Ok(None) };
        let unknown = || TableError::file(path, format!("--format {name}: expected {}", Self::names()));
        Self::named(name).ok_or_else(unknown).map(Some)
    }

    /// The format of this name, in any case.
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name.eq_ignore_ascii_case(name))
    }

    /// `CSV, TSV, JSONL or Parquet`.
    pub fn names() -> String {
        alternatives(FORMATS.iter().filter(|format| !format.endings.is_empty()).map(|format| format.name.to_owned()))
    }

    /// Whether tables can be written in it.
    pub fn is_written(&self) -> bool {
        self.create.is_some()
    }

    /// The names of the formats in which tables are written.
    pub fn written() -> String {
        alternatives(FORMATS.iter().filter(|format| format.create.is_some()).map(|format| format.name.to_owned()))
    }

    /// The file names to suggest for a stem: `train.csv, train.tsv, train.jsonl or train.parquet`.
    pub fn file_names(stem: &str) -> String {
        alternatives(
            FORMATS.iter().filter_map(|format| format.endings.first()).map(|ending| format!("{stem}.{ending}")),
        )
    }
}

/// `a, b or c`.
fn alternatives(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The error for a file whose ending is that of no format.
pub(crate) fn unknown(path: &Path) -> TableError {
    let expected = FileFormat::file_names("");
    let reason = match ending(path).as_str() {
        "" => format!("expected a name that ends in {expected}, found no ending (hint: rename the file)"),
        other => format!(
            "expected a name that ends in {expected}, found {other:?} (hint: save it as one of these, or rename it if it \
             is one)"
        ),
    };
    TableError::file(path, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_stands_for_one_format() {
        let endings: Vec<&str> = FORMATS.iter().flat_map(|format| format.endings).copied().collect();
        for (at, ending) in endings.iter().enumerate() {
            assert!(!endings[..at].contains(ending), "{ending} is in two formats");
            assert_eq!(*ending, ending.to_lowercase());
            let format = FileFormat::of(Path::new(&format!("a.{}", ending.to_uppercase()))).unwrap();
            assert!(format.endings.contains(ending));
        }
        assert!(FORMATS.iter().all(|format| format.endings.is_empty() == format.matches_folder.is_some()));
    }

    #[test]
    fn an_unknown_ending_lists_the_formats() {
        let message = |name: &str| unknown(Path::new(name)).to_string();
        assert_eq!(
            message("reviews.xlsx"),
            format!(
                "reviews.xlsx: expected a name that ends in {}, found \"xlsx\" (hint: save it as one of these, or rename \
                 it if it is one)",
                FileFormat::file_names("")
            )
        );
        assert!(message("reviews").contains("found no ending"));
        assert_eq!(alternatives(["a", "b", "c"].map(str::to_owned).into_iter()), "a, b or c");
    }
}

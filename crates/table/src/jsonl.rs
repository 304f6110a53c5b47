//! JSON lines: one object a line. Memory is bounded by the longest line, nesting by the JSON parser's own limit.

use std::path::{Path, PathBuf};

use crate::column::Column;
use crate::error::TableError;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::json_object::{self, Members, parse_object, start};
use crate::json_writer;
use crate::read_options::ReadOptions;
use crate::row::Row;
use crate::text::{Lines, MAX_RECORD};

pub(crate) const JSON_LINES: FileFormat = FileFormat {
    name: "JSONL",
    endings: &["jsonl", "ndjson"],
    about: "one object a line; the first one names the columns",
    matches_folder: None,
    open,
    create: Some(json_writer::lines),
};

struct JsonLinesFile {
    path: PathBuf,
    lines: Lines,
    /// The first object and its line, until it is read as a row.
    first: Option<(u64, Members)>,
    row: u64,
}

/// Blank lines hold no row. The first object names the columns.
fn open(input: Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let path = input.path().to_owned();
    let mut lines = Lines::of(input, MAX_RECORD, options.encoding.as_deref())?;
    let notes = lines.take_notes();
    let mut file = JsonLinesFile { path: path.clone(), lines, first: None, row: 0 };
    let Some(first) = file.object()? else { return Err(TableError::file(path, "only blank lines")) };
    let columns = first.1.iter().map(|(name, _)| Column { name: name.clone(), declared: None }).collect();
    file.first = Some(first);
    Ok(Opened { columns, file: Box::new(file), notes })
}

impl OpenFile for JsonLinesFile {
    fn rows(mut self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let names: Vec<String> = selected.iter().map(|&column| columns[column].name.clone()).collect();
        Ok(Box::new(std::iter::from_fn(move || self.row(&names).transpose())))
    }
}

impl JsonLinesFile {
    fn row(&mut self, names: &[String]) -> Result<Option<Row>, TableError> {
        let Some((line, object)) = self.object()? else { return Ok(None) };
        self.row += 1;
        json_object::row(&self.path, self.row, line, object, names).map(Some)
    }

    /// The next object, and its line.
    fn object(&mut self) -> Result<Option<(u64, Members)>, TableError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        for line in &mut self.lines {
            let (line, content) = line?;
            if !content.trim().is_empty() {
                return Ok(Some((line, parse(&self.path, line, &content)?)));
            }
        }
        Ok(None)
    }
}

fn parse(path: &Path, line: u64, content: &str) -> Result<Members, TableError> {
    let reason = match content.trim_start().as_bytes() {
        [b'[', ..] => "a JSON array; one object a line is read (hint: name the file .json)".into(),
        [b'{', ..] => match parse_object(content.as_bytes(), true) {
            Ok(members) => return Ok(members),
            Err(fault) => {
                format!("not a JSON object, column {}: {} (hint: {})", fault.at + 1, fault.reason, fault.hint)
            }
        },
        other => format!("not a JSON object; it starts with {} (hint: one object a line)", start(other)),
    };
    Err(TableError::Line { path: path.into(), line, reason })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use crate::tests::{read, refused, texts_of};

    const SOUND: &str = "{\"text\": \"a \\u00e9 film\", \"label\": 1, \"more\": {\"a\": [1, 2.5e3, null]}}\n\
                         {\"text\": \"dull\", \"label\": 0}\n{\"text\": \"\\ud83d\\ude00\", \"label\": 1}\n";

    #[test]
    fn changed_jsonl_never_panics() {
        assert!((500..3999).contains(&refused("sound.jsonl", SOUND.as_bytes(), 4000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_json_writes_is_read_back(texts in prop::collection::vec(any::<String>(), 1..20)) {
            let desk = TempDir::new().expect("a temporary folder");
            let path = desk.path().join("a.jsonl");
            let lines: Vec<String> = texts.iter().map(|text| serde_json::json!({"text": text, "label": 1}).to_string()).collect();
            fs::write(&path, lines.join("\n")).expect("written");
            prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
        }
    }
}

//! Where predictions go: lines for people, JSON lines, or a table with the input's columns.

use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::path::Path;

use ::predict::Prediction;
use anyhow::{Result, bail};
use label::{AddedColumns, InputRow, RowLabel};
use serde::Serialize;
use table::{FORMATS, FileFormat, TableWriter};

use super::input::PredictInput;
use super::visible::visible;

pub(super) enum PredictionOutput {
    /// Lines whose labels are padded to a width.
    People(BufWriter<Stdout>, usize),
    Json(BufWriter<Stdout>),
    Table(Box<TableWriter>, AddedColumns),
}

impl PredictionOutput {
    pub(super) fn for_people(label_names: &[String]) -> Self {
        let width = label_names.iter().map(|name| visible(name).chars().count()).max().unwrap_or(0);
        Self::People(BufWriter::new(stdout()), width)
    }

    pub(super) fn json() -> Self {
        Self::Json(BufWriter::new(stdout()))
    }

    /// A file in the format of its name, or `-`: the standard output, in the input's format if that is written, else JSONL.
    ///
    /// # Errors
    /// A name or a folder that can't be written to.
    pub(super) fn table(path: &Path, input: &PredictInput, label_names: &[String]) -> Result<Self> {
        let added = AddedColumns::beside(&input.columns, label_names);
        added.note.iter().for_each(|note| disk::print_message(format!("note: {note}")));
        let columns: Vec<_> = input.columns.iter().chain(&added.columns).cloned().collect();
        let writer = if path.as_os_str() == "-" {
            let written = input.format.filter(|format| format.is_written()).or_else(|| FileFormat::named("JSONL"));
            let format = written.ok_or_else(|| anyhow::anyhow!("JSONL can't be written"))?;
            TableWriter::stream("standard output", format, Box::new(stdout()), &columns)?
        } else {
            check_name(path)?;
            TableWriter::create(path, &columns)?
        };
        Ok(Self::Table(Box::new(writer), added))
    }

    /// Writes rows, and passes them on at once.
    ///
    /// # Errors
    /// A full disk, or a pipe that is closed.
    pub(super) fn write(&mut self, rows: Vec<(InputRow, Option<Prediction>)>) -> Result<()> {
        match self {
            Self::People(out, width) => {
                for (row, prediction) in &rows {
                    write_line(out, row.full_text().unwrap_or_default(), prediction.as_ref(), *width)?;
                }
                out.flush()?;
            }
            Self::Json(out) => {
                for (row, prediction) in &rows {
                    write_json(out, row.full_text(), prediction.as_ref())?;
                }
                out.flush()?;
            }
            Self::Table(writer, added) => {
                for (InputRow { mut cells, .. }, prediction) in rows {
                    added.append(prediction.as_ref().map(row_label).as_ref(), &mut cells);
                    writer.write(&cells)?;
                }
                writer.flush()?;
            }
        }
        Ok(())
    }

    /// Completes the output; a file appears under its name.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Table(writer, _) => Ok(writer.finish()?),
            Self::People(mut out, _) | Self::Json(mut out) => Ok(out.flush()?),
        }
    }
}

/// A prediction as the row of a labeled file has it.
pub(super) fn row_label(prediction: &Prediction) -> RowLabel {
    RowLabel {
        label: prediction.label.clone(),
        probabilities: prediction.probabilities.iter().map(|(_, p)| *p).collect(),
        truncated: prediction.truncated,
        unknown_words: prediction.unknown_words,
        nothing_known: prediction.nothing_known(),
    }
}

/// Refuses a name whose ending is that of no format that is written.
fn check_name(path: &Path) -> Result<()> {
    if FileFormat::of(path).is_some_and(FileFormat::is_written) {
        return Ok(());
    }
    let endings: Vec<String> = FORMATS
        .iter()
        .filter(|format| format.is_written())
        .filter_map(|format| Some(format!(".{}", format.endings.first()?)))
        .collect();
    let hint = path.with_extension("csv");
    bail!(
        "--output {}: expected a name that ends in one of {} (hint: --output {})",
        path.display(),
        endings.join(", "),
        hint.display()
    )
}

/// The same keys for every row; a row without a text has `null` for what it has not.
fn write_json(out: &mut impl Write, text: Option<&str>, prediction: Option<&Prediction>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Predicted<'a> {
        text: &'a str,
        #[serde(flatten)]
        prediction: &'a Prediction,
    }
    #[derive(Serialize)]
    struct WithoutText<'a> {
        text: Option<&'a str>,
        label: (),
        probabilities: (),
        truncated: (),
        unknown_words: (),
    }
    match prediction {
        Some(prediction) => {
            serde_json::to_writer(&mut *out, &Predicted { text: text.unwrap_or_default(), prediction })?;
        }
        None => {
            let (label, probabilities, truncated, unknown_words) = ((), (), (), ());
            serde_json::to_writer(&mut *out, &WithoutText { text, label, probabilities, truncated, unknown_words })?;
        }
    }
    writeln!(out)
}

/// `positive  negative 1.3 %, positive 98.7 %  the text`
fn write_line(out: &mut impl Write, text: &str, prediction: Option<&Prediction>, width: usize) -> io::Result<()> {
    let Some(prediction) = prediction else { return writeln!(out, "{:<width$}  (no text)", "-") };
    let all: Vec<String> =
        prediction.probabilities.iter().map(|(name, p)| format!("{} {:4.1} %", visible(name), 100.0 * p)).collect();
    write!(out, "{:<width$}  {}  {}", visible(&prediction.label), all.join(", "), visible(text))?;
    if prediction.truncated {
        write!(out, "  (truncated: longer than the model's limit)")?;
    }
    match prediction.unknown_words {
        0 => {}
        _ if prediction.nothing_known() => write!(out, "  (no word that the vocabulary knows)")?,
        1 => write!(out, "  (1 unknown word)")?,
        words => write!(out, "  ({words} unknown words)")?,
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(unknown_words: usize) -> Prediction {
        Prediction {
            label: "bad".to_owned(),
            probabilities: vec![("bad".to_owned(), 0.75), ("fine".to_owned(), 0.25)],
            truncated: unknown_words == 1,
            unknown_words,
            tokens: 4,
        }
    }

    #[test]
    fn a_row_is_a_line_with_its_marks() {
        let line = |text: &str, prediction: Option<&Prediction>| {
            let mut out = Vec::new();
            write_line(&mut out, text, prediction, 4).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line("a\nb", Some(&prediction(0))), "bad   bad 75.0 %, fine 25.0 %  a\\nb\n");
        assert!(
            line("a", Some(&prediction(1)))
                .ends_with("  a  (truncated: longer than the model's limit)  (1 unknown word)\n")
        );
        assert!(line("a", Some(&prediction(3))).ends_with("  a  (3 unknown words)\n"));
        assert!(line("a", Some(&prediction(4))).ends_with("  a  (no word that the vocabulary knows)\n"));
        assert_eq!(line(" ", None), "-     (no text)\n");
    }

    #[test]
    fn a_json_line_has_the_same_keys_with_and_without_a_text() {
        let value = |text: Option<&str>, prediction: Option<&Prediction>| -> serde_json::Value {
            let mut out = Vec::new();
            write_json(&mut out, text, prediction).unwrap();
            assert!(out.ends_with(b"}\n") && out.iter().filter(|byte| **byte == b'\n').count() == 1);
            serde_json::from_slice(&out).unwrap()
        };
        let (with, without) = (value(Some("a\nb"), Some(&prediction(2))), value(None, None));
        assert_eq!(
            with,
            serde_json::json!({"text": "a\nb", "label": "bad", "probabilities": {"bad": 0.75, "fine": 0.25},
                "truncated": false, "unknown_words": 2})
        );
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&with), keys(&without));
        assert!(without.as_object().unwrap().values().all(serde_json::Value::is_null));
    }
}

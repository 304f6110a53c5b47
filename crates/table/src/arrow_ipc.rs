//! Arrow IPC, in its file and its stream form, as pyarrow, pandas (Feather) and `datasets` write it.
//!
//! Which form it is, the content says: `datasets` gives streams the ending `.arrow`, others give it to files. Written is the
//! file form, which `pyarrow.feather`, pandas and `datasets` all read. Files are untrusted; [`messages`] checks what they claim.

mod messages;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use serde_json::Value;

use crate::arrow_columns;
use crate::arrow_rows::{self, ArrowRows, without_panic};
use crate::column::Column;
use crate::error::TableError;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::read_options::ReadOptions;

use messages::{Failure, MessageContent, Messages};

pub(crate) const NAME: &str = "Arrow";

pub(crate) const ARROW: FileFormat = FileFormat {
    name: NAME,
    endings: &["arrow", "feather", "ipc"],
    about: "columns of any type, as pyarrow, `to_feather` of pandas and `datasets` write them; both the file and the stream \
            form",
    matches_folder: None,
    open,
    create: Some(writer::create),
};

/// A file whose messages lie inside it; what they say is checked as they are read.
pub(crate) struct ArrowFile {
    path: PathBuf,
    file: File,
    length: u64,
    messages: Messages,
}

fn open(input: Input, _: &ReadOptions) -> Result<Opened, TableError> {
    let file = ArrowFile::new(input.path(), input.open_file()?)?;
    Ok(Opened { columns: file.columns(None), file: Box::new(file), notes: Vec::new() })
}

impl ArrowFile {
    pub(crate) fn new(path: &Path, file: File) -> Result<Self, TableError> {
        let length = file.metadata().map_err(|error| TableError::io(path, error))?.len();
        let messages = without_panic(path, NAME, || Messages::find(&file, length).map_err(|error| fail(path, error)))?;
        Ok(Self { path: path.to_owned(), file, length, messages })
    }

    /// Its columns; `features` are those of a data set's description, which name classes where the schema doesn't.
    pub(crate) fn columns(&self, features: Option<&Value>) -> Vec<Column> {
        arrow_columns::columns(&self.messages.schema, features)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads its record batches, one at each call, with the selected columns in their order.
    pub(crate) fn into_batches(
        self,
        selected: Vec<usize>,
    ) -> impl FnMut() -> Result<Option<RecordBatch>, TableError> + Send {
        let Self { path, file, messages, .. } = self;
        let mut dictionaries = HashMap::new();
        let mut at = 0;
        move || {
            without_panic(&path, NAME, || {
                loop {
                    let Some(&place) = messages.places.get(at) else { return Ok(None) };
                    at += 1;
                    let batch = read(&file, &messages, place, &mut dictionaries, &selected);
                    if let Some(batch) = batch.map_err(|error| fail(&path, error))? {
                        return Ok(Some(batch));
                    }
                }
            })
        }
    }
}

impl OpenFile for ArrowFile {
    fn rows(self: Box<Self>, columns: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let (path, length) = (self.path.clone(), self.length);
        let positions = positions(columns, selected);
        let next_batch = self.into_batches(selected.to_vec());
        Ok(Box::new(ArrowRows::new(&path, NAME, length, positions, Box::new(next_batch))))
    }
}

/// The selected columns' names, and the position of each in a batch.
pub(crate) fn positions(columns: &[Column], selected: &[usize]) -> Vec<(String, usize)> {
    selected.iter().enumerate().map(|(position, &column)| (columns[column].name.clone(), position)).collect()
}

/// The record batch at a place; `None` where a dictionary lies, which is kept.
fn read(
    file: &File,
    messages: &Messages,
    place: messages::MessagePlace,
    dictionaries: &mut HashMap<i64, ArrayRef>,
    selected: &[usize],
) -> Result<Option<RecordBatch>, Failure> {
    let bytes = messages::header_bytes(file, place)?;
    let message = messages::header(&bytes)?;
    let version = message.version();
    match messages::content(&message)? {
        MessageContent::Rows(batch) => {
            let body = messages::body(file, place, &batch)?;
            let schema = messages.schema.clone();
            Ok(Some(read_record_batch(&body, batch, schema, dictionaries, Some(selected), &version)?))
        }
        MessageContent::Dictionary(dictionary) => {
            let batch = dictionary.data().ok_or("a dictionary without values")?;
            let body = messages::body(file, place, &batch)?;
            read_dictionary(&body, dictionary, &messages.schema, dictionaries, &version)?;
            Ok(None)
        }
    }
}

fn fail(path: &Path, failure: Failure) -> TableError {
    match failure {
        Failure::Io(error) => TableError::io(path, error),
        Failure::Damaged(what) => arrow_rows::unreadable(path, NAME, &what),
        Failure::Refused(reason) => TableError::file(path, reason),
    }
}

#[cfg(test)]
mod tests;

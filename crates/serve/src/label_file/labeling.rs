//! The work on a stored file, on a thread of its own: read to its end, then labeled piece by piece.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use label::{AddedColumns, InputRow, LabelInput, MarkCounts, RowLabel, TextColumns};
use table::{Table, TableError, TableWriter};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::options::FileRequestOptions;
use super::upload::StoredFile;
use super::{for_client, not_stored};
use crate::error::RequestError;
use crate::files_state::RowProgress;
use crate::queue::WhenFull;
use crate::state::AppState;

/// Rows that wait for the model together. The queue takes turns between requests within them.
const PIECE_ROWS: usize = 128;
/// Fewer rows are a piece where their cells are this large together.
const PIECE_BYTES: usize = 4 << 20;
/// How many rows are counted between two looks at the clock.
const ROWS_PER_LOOK: u64 = 512;

/// A file that waits to be labeled.
pub(super) struct Labeling {
    pub app: AppState,
    pub stored: StoredFile,
    pub options: FileRequestOptions,
    pub counts: Arc<RowProgress>,
    /// Nobody waits for the answer any more.
    pub abandoned: Arc<AtomicBool>,
    /// When it was noticed that the server stops.
    pub stopping_since: OnceCell<Instant>,
    pub deadline: Instant,
    pub runtime: Handle,
}

/// A file with its labels.
pub(super) struct LabeledFile {
    /// The folder that holds the labeled file under its name.
    pub stored: StoredFile,
    pub name: String,
    pub rows: u64,
    /// Each label with the number of its rows, in the order of the classes.
    pub labels: Vec<(String, u64)>,
    /// What was detected, and which rows need a look.
    pub notes: Vec<String>,
}

/// A client that waits. Dropped, it sets the flag that was made with it.
pub(super) struct WaitingClient(Arc<AtomicBool>);

pub(super) fn abandoned_when_dropped() -> (WaitingClient, Arc<AtomicBool>) {
    let abandoned = Arc::new(AtomicBool::new(false));
    (WaitingClient(Arc::clone(&abandoned)), abandoned)
}

impl Drop for WaitingClient {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Labeling {
    /// Labels the file.
    ///
    /// # Errors
    /// What is wrong with the file, by row and column; limits; a model that fails.
    pub(super) fn run(self) -> Result<LabeledFile, RequestError> {
        let name = self.options.output_name()?;
        let rows = self.survey()?;
        self.counts.rows.store(rows, Ordering::Relaxed);
        let input = self.open()?;
        let mut notes = input.notes.clone();
        let added = AddedColumns::beside(&input.columns, &self.app.model.label_names);
        notes.extend(added.note.clone());
        let columns: Vec<_> = input.columns.iter().chain(&added.columns).cloned().collect();
        let output = self.folder().join(&name);
        let mut writer = TableWriter::create(&output, &columns).map_err(|error| self.refused(&error))?;
        let (mut marks, mut labels) = (MarkCounts::default(), vec![0; self.app.model.label_names.len()]);
        let (mut piece, mut bytes) = (Vec::new(), 0);
        let mut rows_left = rows;
        for row in input {
            let row = row.map_err(|error| self.refused(&error))?;
            bytes += row.bytes();
            piece.push(row);
            rows_left = rows_left.saturating_sub(1);
            if piece.len() < PIECE_ROWS && bytes < PIECE_BYTES && rows_left > 0 {
                continue;
            }
            for (mut row, label) in self.label(std::mem::take(&mut piece), &mut labels)? {
                marks.add(row.number, label.as_ref());
                added.append(label.as_ref(), &mut row.cells);
                writer.write(&row.cells).map_err(|error| self.refused(&error))?;
                self.counts.rows_done.fetch_add(1, Ordering::Relaxed);
            }
            bytes = 0;
        }
        writer.finish().map_err(|error| self.refused(&error))?;
        notes.extend(marks.notes(self.app.tokenizer.max_length()));
        let labels = self.app.model.label_names.iter().cloned().zip(labels).collect();
        Ok(LabeledFile { stored: self.stored, name, rows, labels, notes })
    }

    fn folder(&self) -> &Path {
        self.stored.folder.path()
    }

    fn open(&self) -> Result<LabelInput, RequestError> {
        let options = &self.options;
        let text = TextColumns { columns: options.text_column.as_deref(), separator: &options.text_separator };
        let table = Table::open(&self.stored.path, &options.read).map_err(|error| self.refused(&error))?;
        LabelInput::of(table, &options.name, text).map_err(|error| self.refused(&error))
    }

    /// Reads the whole file, so that a fault in its last row is known before the first is labeled, and counts its rows.
    fn survey(&self) -> Result<u64, RequestError> {
        let limits = &self.app.config.files;
        let (mut rows, mut bytes) = (0, 0);
        for row in self.open()? {
            bytes += row.map_err(|error| self.refused(&error))?.bytes();
            rows += 1;
            let (found, limit) = match () {
                () if rows > limits.max_rows => ("more", format!("at most {} rows", limits.max_rows)),
                () if bytes > limits.max_unpacked_bytes() => {
                    ("more when it is unpacked", format!("at most {} bytes", limits.max_unpacked_bytes()))
                }
                () => {
                    if rows % ROWS_PER_LOOK == 0 {
                        self.look()?;
                    }
                    continue;
                }
            };
            return Err(RequestError::FileTooLarge(format!(
                "{}: expected {limit}, found {found} (hint: split it, or `verdict predict --file` labels files of any size)",
                self.options.name
            )));
        }
        Ok(rows)
    }

    /// The labels of a piece of the file. A row without a text has none.
    fn label(
        &self,
        rows: Vec<InputRow>,
        labels: &mut [u64],
    ) -> Result<Vec<(InputRow, Option<RowLabel>)>, RequestError> {
        self.look()?;
        let texts: Vec<&str> = rows.iter().filter_map(InputRow::text_to_label).collect();
        let tokenizer = &self.app.tokenizer;
        let encoded = tokenizer.encode_batch(&texts).map_err(|error| RequestError::Tokenizer(error.to_string()))?;
        let ids: Vec<Vec<u32>> = encoded.iter().map(|text| text.ids.clone()).collect();
        let scores = if ids.is_empty() {
            Vec::new()
        } else {
            let submitted = self.app.queue.submit(ids, WhenFull::Wait);
            let scored = self.runtime.block_on(async { timeout_at(self.deadline, submitted).await });
            scored.map_err(|_| self.timed_out())??.scores
        };
        let mut found = encoded.into_iter().zip(scores).map(|(text, scores)| {
            let best = best_class(&scores.probabilities);
            labels[best] += 1;
            RowLabel {
                label: self.app.model.label_names[best].clone(),
                probabilities: scores.probabilities,
                truncated: text.truncated,
                unknown_words: text.unknown,
                nothing_known: text.unknown == text.ids.len() - tokenizer.special_tokens(),
            }
        });
        let has_text: Vec<bool> = rows.iter().map(|row| row.text_to_label().is_some()).collect();
        Ok(rows.into_iter().zip(has_text).map(|(row, has)| (row, if has { found.next() } else { None })).collect())
    }

    /// Ends the work where nobody waits for it any more, or for too long, and where a server that stops would break it off:
    /// the client should learn of that while there is time to send an answer.
    fn look(&self) -> Result<(), RequestError> {
        let now = Instant::now();
        if self.abandoned.load(Ordering::Relaxed) || now > self.deadline {
            return Err(self.timed_out());
        }
        let stops = self.app.stopping.is_set();
        if stops && now - *self.stopping_since.get_or_init(|| now) > self.app.config.limits.shutdown_timeout / 2 {
            return Err(RequestError::Stopping);
        }
        Ok(())
    }

    fn timed_out(&self) -> RequestError {
        RequestError::TimedOut { seconds: self.app.config.files.timeout.as_secs() }
    }

    /// The client's fault, unless this machine failed to store or to read.
    fn refused(&self, error: &TableError) -> RequestError {
        match error {
            TableError::Io { .. } | TableError::Disk(_) => not_stored(error),
            _ => RequestError::Validation(for_client(&error.to_string(), self.folder())),
        }
    }
}

/// The class of the highest probability; the first of equals.
fn best_class(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (class, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = class;
        }
    }
    best
}

//! A labeled file on its way out.

use std::fs::File;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout_at};

use super::labeling::LabeledFile;
use super::not_stored;
use crate::error::RequestError;

/// How much of the file is read at a time.
const CHUNK: usize = 64 * 1024;
/// Notes beyond it are counted only: proxies refuse answers with long headers.
const MAX_SUMMARY_BYTES: usize = 3000;

/// What is said of a file beside its content, as JSON in the header `x-label-summary`.
#[derive(Serialize)]
struct LabelSummary<'a> {
    name: &'a str,
    rows: u64,
    /// Each label with the number of its rows.
    labels: &'a [(String, u64)],
    notes: Vec<String>,
}

/// The answer with a labeled file. The file is removed at once: what is open can still be read. Until it is fetched, it
/// takes its place among the files that may be on the disk.
pub(super) fn file(
    labeled: LabeledFile,
    room: OwnedSemaphorePermit,
    deadline: Instant,
) -> Result<Response, RequestError> {
    let storage = |error: std::io::Error| not_stored(&error);
    let mut file = File::open(labeled.stored.folder.path().join(&labeled.name)).map_err(storage)?;
    let bytes = file.metadata().map_err(storage)?.len();
    let summary = summary(&labeled);
    drop(labeled.stored);
    let (sender, pieces) = channel(2);
    tokio::spawn(async move {
        let (mut room, mut left) = (Some(room), bytes);
        while left > 0 {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; CHUNK];
                let read = file.read(&mut piece).map(|read| {
                    piece.truncate(read);
                    Bytes::from(piece)
                });
                (file, read)
            });
            let Ok((same, read)) = read.await else { return };
            file = same;
            let read_bytes = read.as_ref().map_or(0, Bytes::len) as u64;
            left = left.saturating_sub(read_bytes);
            if left == 0 {
                // What is left is in memory. A client that has all of it may send the next file at once.
                drop(room.take());
            }
            // A client that doesn't fetch its file in time gets a part of it, and sees that by its length.
            if !matches!(timeout_at(deadline, sender.send(read)).await, Ok(Ok(()))) || read_bytes == 0 {
                return;
            }
        }
    });
    let disposition = format!(
        "attachment; filename=\"{}\"; filename*=UTF-8''{}",
        labeled.name.replace(|c: char| !c.is_ascii_graphic() && c != ' ' || "\"\\%".contains(c), "_"),
        percent_encoded(&labeled.name)
    );
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_DISPOSITION, disposition)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header("x-label-summary", HeaderValue::from_str(&summary).map_err(|_| RequestError::Panicked)?)
        .body(Body::new(FileBody { pieces, left: bytes }));
    response.map_err(|_| RequestError::Panicked)
}

/// JSON in ASCII, as headers must be.
fn summary(labeled: &LabeledFile) -> String {
    let mut notes = labeled.notes.clone();
    let mut left_out = 0;
    loop {
        let mut said = notes.clone();
        if left_out > 0 {
            said.push(format!("{left_out} notes more are too long to be shown"));
        }
        let summary = LabelSummary { name: &labeled.name, rows: labeled.rows, labels: &labeled.labels, notes: said };
        let json = ascii(&serde_json::to_string(&summary).unwrap_or_default());
        if json.len() <= MAX_SUMMARY_BYTES || notes.is_empty() {
            return json;
        }
        let longest = (0..notes.len()).max_by_key(|&note| notes[note].len());
        notes.remove(longest.unwrap_or_default());
        left_out += 1;
    }
}

/// JSON in which each character beyond ASCII is escaped, as UTF-16 where it needs two.
fn ascii(json: &str) -> String {
    let mut units = [0; 2];
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_ascii() && c != '\u{7F}' {
            true => out.push(c),
            false => c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

/// RFC 8187's form of a file name.
fn percent_encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A file's content as it is read.
struct FileBody {
    pieces: Receiver<std::io::Result<Bytes>>,
    left: u64,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Ok(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => Some(Err(error)),
            None if self.left > 0 => {
                self.left = 0;
                Some(Err(std::io::Error::from(std::io::ErrorKind::TimedOut)))
            }
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_names_and_notes_in_any_language() {
        assert_eq!(ascii("{\"a\":\"é😀\"}"), r#"{"a":"\u00e9\ud83d\ude00"}"#);
        let back: serde_json::Value = serde_json::from_str(&ascii("\"中\u{7F} \\\"é😀\"")).unwrap();
        assert_eq!(back, "中\u{7F} \"é😀");
        assert_eq!(percent_encoded("bücher 1.csv"), "b%C3%BCcher%201.csv");
    }
}

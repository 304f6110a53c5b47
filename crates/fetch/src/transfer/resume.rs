//! A body into a file, across connections that break.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use disk::DiskError;
use indicatif::{ProgressBar, ProgressStyle};
use ureq::http::header;

use super::{Answer, Client, MAX_ATTEMPTS, Request, is_temporary, pause};
use crate::error::{FetchError, Result};

/// Files of this size and more get a progress bar.
const PROGRESS_BAR_MIN_BYTES: u64 = 4 << 20;

struct Partial<'a> {
    file: File,
    path: &'a Path,
    have: u64,
    /// The whole file's size, where the server says it.
    size: Option<u64>,
    bar: ProgressBar,
}

enum TransferOutcome {
    Whole,
    Broken(String),
}

impl Client {
    /// Streams a file into `path`, keeping what is there already, until it has `size` bytes. `first` is an answer with
    /// status 200 to a request for the whole file.
    pub(crate) fn download_into(
        &self,
        request: Request,
        first: Answer,
        path: &Path,
        size: Option<u64>,
        label: &str,
    ) -> Result<()> {
        let mut partial = Partial::open(path, size, label)?;
        let mut answer = (partial.have == 0).then_some(first);
        let mut quiet = 0;
        while !partial.is_whole() {
            let before = partial.have;
            let next = match answer.take() {
                Some(first) => Ok(first),
                None => self.get(request, before),
            };
            let reason = match next.and_then(|answer| partial.append(request, answer)) {
                Ok(TransferOutcome::Whole) if size.is_none() || partial.is_whole() => break,
                Ok(TransferOutcome::Whole) => "the connection was closed".to_owned(),
                Ok(TransferOutcome::Broken(reason)) => reason,
                Err(FetchError::Unreachable { reason, .. }) => reason,
                Err(error) => return Err(error),
            };
            let received = partial.have;
            quiet = if received > before { 0 } else { quiet + 1 };
            if quiet >= MAX_ATTEMPTS {
                let url = request.url.to_owned();
                return Err(FetchError::CutOff { url, received, expected: size, reason });
            }
            tracing::info!("{label}: {reason} at byte {received}; continuing from there");
            pause(quiet);
        }
        partial.bar.finish_and_clear();
        Ok(partial.file.sync_all().map_err(DiskError::at("write", path))?)
    }
}

impl<'a> Partial<'a> {
    fn open(path: &'a Path, size: Option<u64>, label: &str) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(DiskError::at("write", path))?;
        let have = file.metadata().map_err(DiskError::at("read", path))?.len();
        let mut partial = Self { file, path, have, size, bar: progress_bar(size, label) };
        if size.is_none_or(|size| have > size) {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn is_whole(&self) -> bool {
        self.size == Some(self.have)
    }

    fn restart(&mut self) -> Result<()> {
        // The file is open for appending, so the next write goes to the new end.
        self.file.set_len(0).map_err(DiskError::at("write", self.path))?;
        self.have = 0;
        Ok(())
    }

    /// Appends one answer's body; a broken connection is not an error yet.
    fn append(&mut self, request: Request, answer: Answer) -> Result<TransferOutcome> {
        answer.refuse_web_page(request.url)?;
        match answer.status {
            // A server that doesn't know ranges sends everything again.
            200 => self.restart()?,
            206 if continues_at(&answer) == Some(self.have) => {}
            206 | 416 => {
                self.restart()?;
                return Ok(TransferOutcome::Broken("it returned a different range than requested".to_owned()));
            }
            status if is_temporary(status) => return Ok(TransferOutcome::Broken(format!("status {status}"))),
            _ => return Err(answer.into_status_error(request.url)),
        }
        let mut body = answer.body.into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => return Ok(TransferOutcome::Whole),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(TransferOutcome::Broken(error.to_string())),
            };
            self.file.write_all(&buffer[..n]).map_err(DiskError::at("write", self.path))?;
            self.have += n as u64;
            self.bar.set_position(self.have);
            if self.size.is_some_and(|size| self.have > size) {
                // This is another file, so its beginning is wrong too.
                self.restart()?;
                return Ok(TransferOutcome::Broken("it sent more bytes than announced".to_owned()));
            }
        }
    }
}

/// The start of a partial answer: `Content-Range: bytes START-END/SIZE`.
fn continues_at(answer: &Answer) -> Option<u64> {
    let range = answer.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// Drawn on a terminal only: indicatif hides it anywhere else.
fn progress_bar(size: Option<u64>, label: &str) -> ProgressBar {
    let Some(size) = size.filter(|size| *size >= PROGRESS_BAR_MIN_BYTES) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(size).with_message(label.to_owned());
    let template = "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

//! One line of JSON for each request that is logged. It holds what a request was and how it ended, never a text.
//!
//! A thread writes the lines, so that a terminal that is stopped, or a pipe that nobody reads, holds no request up: then
//! lines are dropped, and the next one that is written says how many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::config::RequestLogChoice;

/// Lines that wait for the thread that writes them.
const WAITING_LINES: usize = 1024;

/// A request that has ended.
#[derive(Debug, Serialize)]
pub(crate) struct LoggedRequest {
    pub method: String,
    /// The path as the server knows it; a path that it doesn't know is not repeated.
    pub route: &'static str,
    pub status: u16,
    /// The `error_type` of an answer that reports an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    pub milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
}

/// A line of the log.
#[derive(Serialize)]
struct LogLine<'a> {
    time: String,
    #[serde(flatten)]
    request: &'a LoggedRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_lines: Option<u64>,
}

/// Where requests are logged.
#[derive(Debug)]
pub(crate) struct RequestLog {
    choice: RequestLogChoice,
    lines: SyncSender<String>,
    dropped: AtomicU64,
}

impl RequestLog {
    /// Starts the thread that writes to standard error. It ends with the log.
    pub(crate) fn start(choice: RequestLogChoice) -> Self {
        let (lines, written) = sync_channel::<String>(WAITING_LINES);
        // Without the thread every line is dropped; a server that can't start a thread has other errors to report.
        let write = move || written.iter().for_each(disk::print_message);
        let _ = std::thread::Builder::new().name("request log".to_owned()).spawn(write);
        Self { choice, lines, dropped: AtomicU64::new(0) }
    }

    /// Whether a request that ends with this status is logged.
    pub(crate) fn wants(&self, status: u16) -> bool {
        match self.choice {
            RequestLogChoice::Failures => status >= 500,
            RequestLogChoice::All => true,
            RequestLogChoice::Off => false,
        }
    }

    /// A line about the server itself, whatever the choice of requests.
    pub(crate) fn message(&self, text: String) {
        if self.lines.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn write(&self, request: &LoggedRequest) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let line = LogLine { time, request, dropped_lines: Some(dropped).filter(|dropped| *dropped > 0) };
        // Numbers and names: nothing of it can fail to be JSON.
        let Ok(line) = serde_json::to_string(&line) else { return };
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (lines, written) = sync_channel(1);
        let log = RequestLog { choice: RequestLogChoice::All, lines, dropped: AtomicU64::new(0) };
        let request = LoggedRequest {
            method: "POST".to_owned(),
            route: "/predict",
            status: 200,
            error: None,
            milliseconds: 1.5,
            texts: Some(1),
            tokens: Some(9),
        };
        (0..3).for_each(|_| log.write(&request));
        let parse = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
        let first = parse(written.recv().unwrap());
        assert_eq!(
            (&first["route"], &first["tokens"], &first["dropped_lines"]),
            (&"/predict".into(), &9.into(), &().into())
        );
        log.write(&request);
        assert_eq!(parse(written.recv().unwrap())["dropped_lines"], 2);
    }

    #[test]
    fn the_choice_decides_what_is_logged() {
        let wants = |choice| [200, 429, 503].map(|status| RequestLog::start(choice).wants(status));
        assert_eq!(wants(RequestLogChoice::Failures), [false, false, true]);
        assert_eq!(wants(RequestLogChoice::All), [true, true, true]);
        assert_eq!(wants(RequestLogChoice::Off), [false, false, false]);
    }
}

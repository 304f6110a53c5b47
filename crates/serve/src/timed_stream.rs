//! A connection whose client must keep up: it is closed where the headers of a request, once begun, don't come to their end,
//! and where nothing of an answer is read.
//!
//! Between two requests a connection may be idle for longer: proxies keep theirs for a minute, and one that is closed under
//! a request fails it. hyper limits that time; it has one limit for both.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// What a connection's requests tell its stream.
#[derive(Debug, Default)]
pub(crate) struct ConnectionProgress {
    /// Requests whose headers are read.
    begun: AtomicUsize,
    /// One of them has no answer yet.
    answering: AtomicBool,
}

impl ConnectionProgress {
    pub(crate) fn begin(&self) {
        self.answering.store(true, Ordering::Release);
        self.begun.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.answering.store(false, Ordering::Release);
    }
}

/// A TCP stream with limits on its headers and its writes.
#[derive(Debug)]
pub(crate) struct TimedStream {
    stream: TcpStream,
    progress: Arc<ConnectionProgress>,
    limit: Duration,
    /// Runs while headers have begun and aren't complete.
    headers: Timer,
    /// Requests that had begun when the headers' timer was looked at.
    seen: usize,
    /// Runs while a write waits.
    write: Timer,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    running: bool,
}

impl Timer {
    fn new(limit: Duration, running: bool) -> Self {
        Self { sleep: Box::pin(sleep(limit)), running }
    }

    fn start(&mut self, limit: Duration) {
        if !self.running {
            self.sleep.as_mut().reset(Instant::now() + limit);
            self.running = true;
        }
    }

    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.running && self.sleep.as_mut().poll(context).is_ready()
    }
}

impl TimedStream {
    /// The first headers of a connection have begun with it.
    pub(crate) fn new(stream: TcpStream, progress: Arc<ConnectionProgress>, limit: Duration) -> Self {
        let (headers, write) = (Timer::new(limit, true), Timer::new(limit, false));
        Self { stream, progress, limit, headers, seen: 0, write }
    }

    /// The outcome of a write, or an error where it has waited for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write.running = false;
            return outcome;
        }
        self.write.start(self.limit);
        if self.write.is_over(context) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, to);
        let begun = self.progress.begun.load(Ordering::Acquire);
        if begun != self.seen {
            self.seen = begun;
            self.headers.running = false;
        }
        if self.progress.answering.load(Ordering::Acquire) {
            // A body, whose time is limited where it is read.
            return outcome;
        }
        if to.filled().len() > before {
            let limit = self.limit;
            self.headers.start(limit);
        } else if outcome.is_pending() && self.headers.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, outcome)
    }
}

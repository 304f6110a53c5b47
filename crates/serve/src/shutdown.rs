//! When a server stops: at SIGTERM or SIGINT, or when a test says so.

use std::sync::Arc;

use tokio::sync::Notify;

/// What a server waits for.
#[derive(Debug)]
pub enum StopRequest {
    /// The first SIGTERM or SIGINT. The second one ends the process at once.
    Signals,
    /// [`StopHandle::stop`].
    Handle(StopHandle),
}

/// Stops a server from another thread.
#[derive(Debug, Clone, Default)]
pub struct StopHandle(Arc<Notify>);

impl StopHandle {
    /// Lets the server finish what it is answering, and end.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

impl StopRequest {
    /// Begins to listen for it: from here on a signal ends no process. To be called in the runtime, before anyone is told that
    /// the server listens.
    ///
    /// # Errors
    /// The system refuses to install a handler.
    pub(crate) fn listen(self) -> std::io::Result<StopListener> {
        let signals = match &self {
            Self::Signals => Some(StopSignals::new()?),
            Self::Handle(_) => None,
        };
        Ok(StopListener { signals, request: self })
    }
}

/// A [`StopRequest`] that may come at any time.
#[derive(Debug)]
pub(crate) struct StopListener {
    signals: Option<StopSignals>,
    request: StopRequest,
}

impl StopListener {
    /// Waits for it.
    pub(crate) async fn requested(self) {
        match (self.signals, self.request) {
            (Some(mut signals), _) => {
                signals.next().await;
                tokio::spawn(async move {
                    // The exit code that a shell reports for a process that the signal ended.
                    let number = signals.next().await;
                    std::process::exit(128 + number);
                });
            }
            (None, StopRequest::Handle(handle)) => handle.0.notified().await,
            (None, StopRequest::Signals) => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            if self.terminate.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(15);
            }
            self.interrupt.poll_recv(context).map(|_| 2)
        })
        .await
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        // Without a handler there is nothing to wait for: Ctrl-C ends the process.
        let _ = tokio::signal::ctrl_c().await;
        2
    }
}

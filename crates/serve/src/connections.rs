//! The open connections: how many there may be, how long a client may take over its headers, and how they end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::error::ServeError;
use crate::state::AppState;
use crate::timed_stream::{ConnectionProgress, TimedStream};

/// The most headers of a request, and the most bytes that they may take.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 << 10;
/// How long connections are still served after the signal to stop, each told to close: a client that keeps one open learns of
/// the end by an answer, and not by a connection that breaks under its next request.
const CLOSING: Duration = Duration::from_secs(1);
/// A pause after the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the end looks whether connections are left.
const LOOK: Duration = Duration::from_millis(5);

/// What a client reads for whom there is no connection left.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: application/json\r\ncontent-length: 79\r\n\r\n\
    {\"error\":\"the server has no connection left for you\",\"error_type\":\"Overloaded\"}";

/// The connections of a server, and what answers their requests.
pub(crate) struct Connections {
    app: AppState,
    http: http1::Builder,
    service: TowerToHyperService<Router>,
    room: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Connections {
    pub(crate) fn new(app: &AppState, router: Router) -> Self {
        let limits = &app.config.limits;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.idle_timeout);
        http.max_headers(MAX_HEADERS).max_buf_size(MAX_HEADER_BYTES);
        let room = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let service = TowerToHyperService::new(router);
        Self { app: app.clone(), http, service, room, graceful: GracefulShutdown::new() }
    }

    /// Answers requests until `stop`; then those that have begun, and ends.
    ///
    /// # Errors
    /// Requests that have no answer when the time for that is up.
    pub(crate) async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let mut stop = std::pin::pin!(stop);
        let mut next = |context: &mut Context<'_>| match stop.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => listener.poll_accept(context).map(Some),
        };
        while let Some(accepted) = poll_fn(&mut next).await {
            self.open(accepted).await;
        }
        self.app.stopping.set();
        self.close(listener).await
    }

    async fn close(self, listener: TcpListener) -> Result<(), ServeError> {
        let end = Instant::now() + CLOSING;
        while self.count() > 0 && Instant::now() < end {
            if let Ok(accepted) = timeout(LOOK, listener.accept()).await {
                self.open(accepted).await;
            }
        }
        // What the system has accepted for us is ours to answer.
        while let Ok(accepted) = timeout(Duration::ZERO, listener.accept()).await {
            self.open(accepted).await;
        }
        drop(listener);
        let limit = self.app.config.limits.shutdown_timeout;
        let finished = timeout(limit, self.graceful.shutdown()).await;
        let open = self.app.stopping.open_requests();
        match finished {
            Err(_) if open > 0 => Err(ServeError::Unfinished { open, seconds: limit.as_secs() }),
            // Connections without a request are no loss.
            _ => Ok(()),
        }
    }

    fn count(&self) -> i64 {
        self.app.metrics.connections().get()
    }

    async fn open(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // A client that has gone again, or no room for another socket: neither is the end of the server.
            Err(_) => return sleep(ACCEPT_PAUSE).await,
        };
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            // A new socket takes so few bytes at once.
            let _ = stream.try_write(NO_ROOM);
            return;
        };
        // Answers are small and whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let progress = Arc::new(ConnectionProgress::default());
        let stream = TimedStream::new(stream, Arc::clone(&progress), self.app.config.limits.read_timeout);
        let service = self.service.clone();
        let answer = service_fn(move |request| {
            progress.begin();
            let (answer, progress) = (service.call(request), Arc::clone(&progress));
            async move {
                let answer = answer.await;
                progress.end();
                answer
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), answer);
        let connection = self.graceful.watch(connection);
        let gauge = self.app.metrics.connections().clone();
        gauge.inc();
        tokio::spawn(async move {
            // A client that breaks the protocol or the connection has had its answer from hyper, or wants none.
            let _ = connection.await;
            gauge.dec();
            drop(permit);
        });
    }
}

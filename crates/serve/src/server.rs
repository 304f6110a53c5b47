//! A server from its start to its end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread::JoinHandle;

use tokenize::Tokenizer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

use crate::classifier::{Classifier, ServedModel};
use crate::config::ServeConfig;
use crate::connections::Connections;
use crate::error::ServeError;
use crate::router::router;
use crate::shutdown::{StopListener, StopRequest};
use crate::state::AppState;
use crate::worker;

/// Connections that the system accepts while the server is busy.
const BACKLOG: u32 = 1024;
/// Threads for texts that take long to tokenize.
const BLOCKING_THREADS: usize = 4;

/// A server that listens, and has not answered yet.
#[derive(Debug)]
pub struct Server {
    app: AppState,
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    model_thread: JoinHandle<()>,
    router: axum::Router,
    stop: StopListener,
}

impl Server {
    /// Starts the model's thread and listens, for requests and for `stop`. They are answered by [`run`](Self::run).
    ///
    /// # Errors
    /// A configuration that has no meaning, an address that is taken, and a model that fails on a first text.
    pub fn start(
        config: ServeConfig,
        model: ServedModel,
        tokenizer: Tokenizer,
        classifier: impl Classifier,
        stop: StopRequest,
    ) -> Result<Self, ServeError> {
        config.check()?;
        let app = AppState::new(config, model, tokenizer);
        let router = router(&app)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(answering_threads())
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("answer")
            .enable_all()
            .build()
            .map_err(|source| ServeError::System { what: "failed to start threads", source })?;
        // Before the model computes: a port that is taken should not cost that time.
        let listener = runtime.block_on(listen(&app.config))?;
        let address = listener.local_addr();
        let address = address.map_err(|source| ServeError::System { what: "failed to listen", source })?;
        raise_open_files(app.config.limits.max_connections);
        let stop = runtime.block_on(async { stop.listen() });
        let stop = stop.map_err(|source| ServeError::System { what: "failed to listen for signals", source })?;
        let model_thread = worker::start(&app, classifier)?;
        Ok(Self { app, runtime, listener, address, model_thread, router, stop })
    }

    /// Where it listens, with the port that it has got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until it is told to stop; then those that have begun, and ends.
    ///
    /// # Errors
    /// Requests that were not answered within [`ServeLimits::shutdown_timeout`](crate::ServeLimits::shutdown_timeout).
    pub fn run(self) -> Result<(), ServeError> {
        let Self { app, runtime, listener, model_thread, router, stop, .. } = self;
        let outcome = runtime.block_on(Connections::new(&app, router).serve(listener, stop.requested()));
        app.queue.close();
        if outcome.is_ok() {
            // Everything is answered, so the thread has nothing left to compute.
            worker::join(model_thread)?;
        }
        runtime.shutdown_background();
        outcome
    }
}

/// The model needs the processors more than what is around it.
fn answering_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 4).clamp(1, 4)
}

async fn listen(config: &ServeConfig) -> Result<TcpListener, ServeError> {
    let fail = |source| ServeError::Host { host: config.host.clone(), source };
    let addresses = (config.host.as_str(), config.port).to_socket_addrs().map_err(fail)?;
    let address = addresses.into_iter().next().ok_or_else(|| fail(io::ErrorKind::AddrNotAvailable.into()))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listen = |socket: TcpSocket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    socket.and_then(listen).map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "--port 0 takes a free port",
            io::ErrorKind::PermissionDenied => "--port 3000, or any above 1023, needs no rights",
            _ => "--host 127.0.0.1",
        };
        ServeError::Listen { address: address.to_string(), hint, source }
    })
}

/// Asks the system for as many open files as connections may need. Where it gives fewer, connections wait for each other.
fn raise_open_files(connections: usize) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = connections as u64 + 256;
        if limit.current.is_some_and(|current| current < wanted) {
            let current = Some(limit.maximum.map_or(wanted, |maximum| wanted.min(maximum)));
            let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
        }
    }
    #[cfg(not(unix))]
    let _ = connections;
}

//! What every request is answered with: the model's facts, the tokenizer, the queue to the model, limits and counters.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokenize::Tokenizer;
use tokio::sync::Semaphore;

use crate::classifier::ServedModel;
use crate::config::ServeConfig;
use crate::files_state::FilesState;
use crate::metrics::Metrics;
use crate::queue::WorkQueue;
use crate::request_log::RequestLog;

/// The bytes of all large bodies together.
pub(crate) const MAX_BYTES_IN_FLIGHT: usize = 64 << 20;

/// What every request is answered with. A clone is the same state.
#[derive(Debug, Clone)]
pub(crate) struct AppState(Arc<SharedState>);

#[derive(Debug)]
pub(crate) struct SharedState {
    pub config: ServeConfig,
    pub model: ServedModel,
    pub tokenizer: Tokenizer,
    pub queue: Arc<WorkQueue>,
    pub metrics: Metrics,
    pub log: RequestLog,
    /// Bytes that bodies larger than a page may take together.
    pub body_bytes: Arc<Semaphore>,
    pub files: FilesState,
    pub stopping: StoppingFlag,
}

/// Whether the server was told to stop, and how many requests it is answering.
#[derive(Debug, Default)]
pub(crate) struct StoppingFlag {
    stopping: AtomicBool,
    open: AtomicUsize,
}

impl AppState {
    pub(crate) fn new(config: ServeConfig, model: ServedModel, tokenizer: Tokenizer) -> Self {
        let metrics = Metrics::new();
        let queue = Arc::new(WorkQueue::new(&config.limits));
        let log = RequestLog::start(config.log);
        let body_bytes = Arc::new(Semaphore::new(MAX_BYTES_IN_FLIGHT));
        let files = FilesState::new(&config.files);
        let stopping = StoppingFlag::default();
        Self(Arc::new(SharedState { config, model, tokenizer, queue, metrics, log, body_bytes, files, stopping }))
    }
}

impl Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.0
    }
}

impl StoppingFlag {
    pub(crate) fn set(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn request(&self) -> OpenRequest<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        OpenRequest(self)
    }

    pub(crate) fn open_requests(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct OpenRequest<'a>(&'a StoppingFlag);

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

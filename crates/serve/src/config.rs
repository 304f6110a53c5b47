//! How a server listens, and what it allows.

use std::time::Duration;

use crate::auth::ApiKey;
use crate::error::ServeError;
use crate::file_limits::FileLimits;
use crate::model_record::ModelRecord;

/// How a server listens, and what it allows.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// A name or an address of this machine.
    pub host: String,
    /// 0 takes a free port.
    pub port: u16,
    /// What clients must send as `Authorization: Bearer KEY`.
    pub api_key: Option<ApiKey>,
    /// Web pages that may call the server from a browser, such as `https://example.org`; `*` for all.
    pub cors_origins: Vec<String>,
    /// Whether texts that are too long are cut where a request doesn't say.
    pub auto_truncate: bool,
    pub log: RequestLogChoice,
    pub limits: ServeLimits,
    pub files: FileLimits,
    /// What the page says of the model.
    pub record: ModelRecord,
}

/// Which requests are logged. Texts never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestLogChoice {
    /// Those that the server failed to answer: with a status of 500 and more.
    #[default]
    Failures,
    /// All.
    All,
    /// None.
    Off,
}

/// What one request, and all of them together, may take.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// Texts of a request.
    pub max_client_batch_size: usize,
    /// Tokens of a forward pass. A longer text is a pass of its own.
    pub max_batch_tokens: usize,
    /// Requests that are being answered.
    pub max_concurrent_requests: usize,
    /// How long the requests before a new one may take where the queue does not get shorter; where they take longer, it is refused.
    /// In a queue that gets shorter, as after a pause of the machine, they may take 16 times as long.
    pub max_queue_time: Duration,
    /// From the last byte of a request to its answer.
    pub answer_timeout: Duration,
    /// For the headers of a request, and again for its body.
    pub read_timeout: Duration,
    /// Between two requests of a connection. Proxies keep theirs for a minute; this should be longer than theirs.
    pub idle_timeout: Duration,
    /// Open connections.
    pub max_connections: usize,
    /// How long requests may take to finish after SIGTERM.
    pub shutdown_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 2_000_000,
            max_client_batch_size: 1024,
            max_batch_tokens: 512,
            max_concurrent_requests: 512,
            max_queue_time: Duration::from_millis(30),
            answer_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_connections: 1024,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 3000,
            api_key: None,
            cors_origins: Vec::new(),
            auto_truncate: true,
            log: RequestLogChoice::default(),
            limits: ServeLimits::default(),
            files: FileLimits::default(),
            record: ModelRecord::default(),
        }
    }
}

impl ServeConfig {
    /// # Errors
    /// A limit of 0, which would refuse everything.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let limits = &self.limits;
        let numbers = [
            ("max-body-bytes", limits.max_body_bytes),
            ("max-client-batch-size", limits.max_client_batch_size),
            ("max-batch-tokens", limits.max_batch_tokens),
            ("max-concurrent-requests", limits.max_concurrent_requests),
            ("max-connections", limits.max_connections),
            ("max-file-bytes", self.files.max_bytes),
            ("max-file-rows", self.files.max_rows as usize),
            ("max-files", self.files.max_files),
        ];
        match numbers.into_iter().find(|(_, number)| *number == 0) {
            Some((flag, _)) => Err(ServeError::Limit { flag }),
            None => Ok(()),
        }
    }
}

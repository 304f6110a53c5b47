//! Why a server doesn't start, and why a request isn't answered. The latter have the form of text-embeddings-inference.

use std::io;

use crate::json::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a server doesn't start, or doesn't stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error("--{flag} 0 would refuse every request (hint: leave --{flag} out for its default)")]
    Limit { flag: &'static str },
    #[error("--host {host}: expected a name or an address of this machine: {source} (hint: --host 127.0.0.1)")]
    Host { host: String, source: io::Error },
    #[error("failed to listen on {address}: {source} (hint: {hint})")]
    Listen { address: String, hint: &'static str, source: io::Error },
    #[error(
        "--cors-origin {origin}: expected * or the address of a page without its path (hint: --cors-origin \
        https://example.org)"
    )]
    Origin { origin: String },
    #[error(
        "{origin}: expected a key of visible ASCII characters, found {found} (hint: openssl rand -hex 32 makes one)"
    )]
    Key { origin: String, found: &'static str },
    #[error("failed to read {path}: {source}")]
    KeyFile { path: String, source: io::Error },
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("the model fails on its first text: {0}")]
    Model(String),
    #[error("{open} requests were not answered within {seconds} s after the signal to stop (hint: --shutdown-timeout)")]
    Unfinished { open: usize, seconds: u64 },
}

/// Why a request isn't answered. None says anything about the machine that the server runs on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{0}")]
    Syntax(String),
    #[error("{0}")]
    Empty(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Tokenizer(String),
    #[error("expected a body of at most {limit} bytes (hint: send fewer texts in a request)")]
    TooLarge { limit: usize },
    #[error("{0}")]
    MediaType(&'static str),
    #[error("the body did not arrive within {seconds} s")]
    SlowBody { seconds: u64 },
    #[error("the body broke off")]
    BrokenBody,
    #[error("more requests are waiting than the model answers in time (hint: send it again after a second)")]
    Overloaded,
    #[error("{0}")]
    FileTooLarge(String),
    #[error("{limit} files are being labeled, the most at one time (hint: send it again in a minute)")]
    FilesBusy { limit: usize },
    #[error("the server failed to store the file; its log has the reason")]
    Storage,
    #[error("the model's scores for this text are not finite numbers, so it has no label")]
    NotFinite,
    #[error("the model failed on the batch with this request (hint: send it again; the server's log has the reason)")]
    ModelFailed,
    #[error("this server explains no labels")]
    NoExplainer,
    #[error("there was no answer within {seconds} s (hint: send fewer texts in a request)")]
    TimedOut { seconds: u64 },
    #[error("there was no explanation within {seconds} s (hint: explain a shorter text)")]
    SlowExplanation { seconds: u64 },
    #[error("the model has stopped")]
    Unhealthy,
    #[error("the server is stopping")]
    Stopping,
    #[error("expected the header Authorization: Bearer KEY with the server's key")]
    Unauthorized,
    #[error("there is no such path (hint: /docs lists what there is)")]
    NotFound,
    #[error("this path doesn't take this method (hint: /docs lists what there is)")]
    Method,
    #[error("the server failed on this request; its log has the reason")]
    Panicked,
}

impl RequestError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Syntax(_) | Self::Empty(_) | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::Validation(_) | Self::Tokenizer(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } | Self::FileTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded | Self::FilesBusy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFinite => StatusCode::FAILED_DEPENDENCY,
            Self::ModelFailed
            | Self::TimedOut { .. }
            | Self::SlowExplanation { .. }
            | Self::Unhealthy
            | Self::Stopping
            | Self::Storage => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::NoExplainer => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `error_type` of the answer. The first six are those of text-embeddings-inference, capital letters included.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unhealthy | Self::Stopping => "Unhealthy",
            Self::NotFinite | Self::ModelFailed | Self::Panicked | Self::Storage => "Backend",
            Self::Overloaded | Self::FilesBusy { .. } => "Overloaded",
            Self::Syntax(_)
            | Self::Validation(_)
            | Self::TooLarge { .. }
            | Self::FileTooLarge(_)
            | Self::MediaType(_) => "Validation",
            Self::Tokenizer(_) => "Tokenizer",
            Self::Empty(_) => "Empty",
            Self::SlowBody { .. } | Self::TimedOut { .. } | Self::SlowExplanation { .. } | Self::BrokenBody => {
                "Timeout"
            }
            Self::Unauthorized => "Unauthorized",
            Self::NotFound | Self::NoExplainer | Self::Method => "NotFound",
        }
    }
}

/// The body of an answer that reports an error.
#[derive(Serialize)]
struct ErrorBody {
    error: String,
    error_type: &'static str,
}

/// The kind of an error, kept with its answer for the log and the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorKindOfAnswer(pub &'static str);

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.to_string(), error_type: self.kind() };
        let mut response = (self.status(), Json(body)).into_response();
        let mut set = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        match self {
            Self::Overloaded | Self::FilesBusy { .. } | Self::Stopping => drop(set(header::RETRY_AFTER, "1")),
            Self::Unauthorized => drop(set(header::WWW_AUTHENTICATE, "Bearer")),
            _ => {}
        }
        response.extensions_mut().insert(ErrorKindOfAnswer(self.kind()));
        response
    }
}

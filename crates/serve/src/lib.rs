//! An HTTP server that labels texts with a model, by the contract of Hugging Face's text-embeddings-inference.
//!
//! A request passes `connections` (limits on sockets, headers and time), `router`, `observe` (counted, logged), `auth`,
//! `body` (limits on size and time), `predict_request` (what it says), the tokenizer, and waits in `queue`. One thread,
//! `worker`, owns the model: whatever waits when it is free is its next batch, taken from the requests in turn (`fair_line`).
//!
//! The crate knows no tensors. A [`Classifier`] scores batches of token ids, and whoever starts the [`Server`] brings one.

mod answer;
mod auth;
mod body;
mod classifier;
mod config;
mod connections;
mod error;
mod explain_route;
mod explanations;
mod fair_line;
mod file_limits;
mod files_state;
mod health;
mod info;
mod json;
mod label_file;
mod metrics;
mod model_record;
mod observe;
mod openapi;
mod page;
mod predict_request;
mod predict_route;
mod queue;
mod request_log;
mod router;
mod server;
mod shutdown;
mod state;
mod timed_stream;
mod tokenize_route;
mod worker;

pub use auth::ApiKey;
pub use classifier::{Classifier, ServedModel, TextExplainer, TextScores};
pub use config::{RequestLogChoice, ServeConfig, ServeLimits};
pub use error::ServeError;
pub use file_limits::FileLimits;
pub use model_record::ModelRecord;
pub use server::Server;
pub use shutdown::{StopHandle, StopRequest};

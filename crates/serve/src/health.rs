//! Whether the server lives, and whether it takes requests.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::error::RequestError;
use crate::metrics::TEXT_FORMAT;
use crate::state::AppState;

/// `GET /health`, `/ping` and `/`: whether the model's thread lives.
pub(crate) async fn health(State(app): State<AppState>) -> Result<(), RequestError> {
    if app.queue.is_alive() { Ok(()) } else { Err(RequestError::Unhealthy) }
}

/// `GET /ready`: whether new requests should be sent here; not any more once the server was told to stop.
pub(crate) async fn ready(State(app): State<AppState>) -> Result<(), RequestError> {
    if app.stopping.is_set() { Err(RequestError::Stopping) } else { health(State(app)).await }
}

/// `GET /metrics`: the counters, for Prometheus.
pub(crate) async fn metrics(State(app): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], app.metrics.text())
}

//! What every request passes through: it is counted as open, logged when it ends, and told to reconnect elsewhere while the
//! server stops.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ErrorKindOfAnswer;
use crate::openapi;
use crate::predict_route::AnsweredTexts;
use crate::request_log::LoggedRequest;
use crate::state::AppState;

pub(crate) async fn observe(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let _open = app.stopping.request();
    let began = Instant::now();
    let (method, route) = (request.method().clone(), openapi::known_path(request.uri().path()));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.stopping.is_set() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    if app.log.wants(status) {
        let texts = response.extensions().get::<AnsweredTexts>();
        app.log.write(&LoggedRequest {
            method: method.as_str().chars().take(16).collect(),
            route,
            status,
            error: response.extensions().get::<ErrorKindOfAnswer>().map(|kind| kind.0),
            milliseconds: (began.elapsed().as_secs_f64() * 1e5).round() / 100.0,
            texts: texts.map(|texts| texts.texts),
            tokens: texts.map(|texts| texts.tokens),
        });
    }
    response
}

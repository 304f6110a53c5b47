//! Every path of the server, and what each request passes through before and after it.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::error::{RequestError, ServeError};
use crate::state::AppState;
use crate::{body, explain_route, health, info, label_file, observe, openapi, page, predict_route, tokenize_route};

/// All paths, each with what it takes.
///
/// # Errors
/// An origin of [`ServeConfig::cors_origins`](crate::ServeConfig::cors_origins) that is none.
pub(crate) fn router(app: &AppState) -> Result<Router, ServeError> {
    // For clients with the key, where there is one.
    let guarded = Router::new()
        .route("/predict", post(predict_route::predict))
        .route("/invocations", post(predict_route::predict))
        .route("/explain", post(explain_route::explain))
        .route("/tokenize", post(tokenize_route::tokenize))
        .route("/info", get(info::info))
        .merge(label_file::routes())
        .merge(page::answers())
        .route_layer(from_fn_with_state(app.clone(), require_key));
    let predict_at_root = post(predict_route::predict).route_layer(from_fn_with_state(app.clone(), require_key));
    // For all: whether the server lives, and how it is used.
    let open = Router::new()
        .route("/", get(health::health).merge(predict_at_root))
        .route("/health", get(health::health))
        .route("/ping", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::docs));
    let routes = guarded
        .merge(open)
        .merge(page::files())
        .fallback(|request: Request| refuse(request, RequestError::NotFound))
        .method_not_allowed_fallback(|request: Request| refuse(request, RequestError::Method))
        .layer(CatchPanicLayer::custom(|_| RequestError::Panicked.into_response()));
    let routes = match cors(&app.config.cors_origins)? {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Ok(routes.layer(from_fn_with_state(app.clone(), observe::observe)).with_state(app.clone()))
}

async fn refuse(request: Request, error: RequestError) -> RequestError {
    body::discard(request.into_body()).await;
    error
}

async fn require_key(State(app): State<AppState>, request: Request, next: Next) -> Response {
    match &app.config.api_key {
        Some(key) if !key.is_in(request.headers()) => refuse(request, RequestError::Unauthorized).await.into_response(),
        _ => next.run(request).await,
    }
}

/// `None` where no web page may call the server, as browsers have it without these headers.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServeError> {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]);
    if origins.is_empty() {
        return Ok(None);
    }
    if origins.iter().any(|origin| origin == "*") {
        return Ok(Some(layer.allow_origin(Any)));
    }
    let origin = |origin: &String| {
        let fault = || ServeError::Origin { origin: origin.clone() };
        let host = origin.split_once("://").map(|(_, host)| host).ok_or_else(fault)?;
        match HeaderValue::from_str(origin) {
            Ok(value) if !host.is_empty() && !host.contains('/') => Ok(value),
            _ => Err(fault()),
        }
    };
    Ok(Some(layer.allow_origin(origins.iter().map(origin).collect::<Result<Vec<_>, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_a_scheme_and_no_path() {
        let allowed = |origins: &[&str]| cors(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>());
        assert!(allowed(&[]).unwrap().is_none());
        assert!(allowed(&["*"]).unwrap().is_some());
        assert!(allowed(&["https://example.org", "http://127.0.0.1:8000"]).unwrap().is_some());
        for wrong in ["example.org", "https://example.org/", "https://", "https://a\nb"] {
            assert!(
                allowed(&[wrong]).unwrap_err().to_string().contains("--cors-origin https://example.org"),
                "{wrong}"
            );
        }
    }
}

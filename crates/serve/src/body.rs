//! The JSON body of a request, within the limits on its size and its time.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use crate::error::RequestError;
use crate::state::{AppState, MAX_BYTES_IN_FLIGHT};

/// Bodies of this size are limited by the number of connections alone.
const SMALL_BYTES: usize = 16 << 10;
/// How much of a refused body is still read, and for how long: a client that is still writing would not see the answer.
const DISCARDED_BYTES: usize = 64 << 20;
const DISCARDING: Duration = Duration::from_secs(2);

/// A body, and its share of [`MAX_BYTES_IN_FLIGHT`] for as long as it is kept.
#[derive(Debug)]
pub(crate) struct JsonBody {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads a body of JSON.
///
/// # Errors
/// Another type of content, a body that is too large or too slow, and more large bodies than there is room for.
pub(crate) async fn read_json(app: &AppState, request: Request) -> Result<JsonBody, RequestError> {
    let (parts, body) = request.into_parts();
    match check(app, &parts.headers) {
        Ok(share) => read(app, body, share).await,
        Err(error) => {
            discard(body).await;
            Err(error)
        }
    }
}

fn check(app: &AppState, headers: &HeaderMap) -> Result<Option<OwnedSemaphorePermit>, RequestError> {
    if !is_json(headers) {
        return Err(RequestError::MediaType(
            "expected the content type application/json (hint: -H 'Content-Type: application/json')",
        ));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(RequestError::MediaType("expected a body without a Content-Encoding"));
    }
    let limit = app.config.limits.max_body_bytes;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // One that doesn't say may become as large as is allowed.
    let length = length.map_or(limit, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > limit {
        return Err(RequestError::TooLarge { limit });
    }
    if length <= SMALL_BYTES {
        return Ok(None);
    }
    let bytes = u32::try_from(length.min(MAX_BYTES_IN_FLIGHT)).unwrap_or(u32::MAX);
    let share = std::sync::Arc::clone(&app.body_bytes).try_acquire_many_owned(bytes);
    share.map(Some).map_err(|_| RequestError::Overloaded)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

async fn read(app: &AppState, mut body: Body, share: Option<OwnedSemaphorePermit>) -> Result<JsonBody, RequestError> {
    let limits = &app.config.limits;
    let read = async {
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            // A frame without data holds trailers.
            let Ok(data) = frame.map_err(|_| RequestError::BrokenBody)?.into_data() else { continue };
            if all.len() + data.len() > limits.max_body_bytes {
                return Err(RequestError::TooLarge { limit: limits.max_body_bytes });
            }
            all.extend_from_slice(&data);
        }
        Ok(Bytes::from(all))
    };
    match timeout(limits.read_timeout, read).await {
        Ok(Ok(bytes)) => Ok(JsonBody { bytes, _share: share }),
        Ok(Err(error)) => {
            discard(body).await;
            Err(error)
        }
        Err(_) => Err(RequestError::SlowBody { seconds: limits.read_timeout.as_secs() }),
    }
}

/// Reads what a client is still sending, so that it comes to read the answer.
pub(crate) async fn discard(mut body: Body) {
    let (end, mut bytes) = (Instant::now() + DISCARDING, 0);
    while let Ok(Some(Ok(frame))) = timeout_at(end, body.frame()).await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > DISCARDED_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        let is = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(is("application/json") && is("Application/JSON; charset=utf-8") && is("application/problem+json"));
        assert!(!is("application/x-www-form-urlencoded") && !is("text/json") && !is("") && !is("application/jsonl"));
        assert!(!is_json(&HeaderMap::new()));
    }
}

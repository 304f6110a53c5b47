//! A file on its way in: stored as it arrives, within the limits on its size and its time.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::not_stored;
use crate::body::discard;
use crate::error::RequestError;
use crate::state::AppState;

/// A file in a folder of its own, which is removed with it.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub folder: TempDir,
    pub path: PathBuf,
}

/// Stores a body under a file's name.
///
/// # Errors
/// A body that is too large or too slow, that breaks off, or that can't be stored.
pub(super) async fn store(
    app: &AppState,
    mut body: Body,
    headers: &HeaderMap,
    name: &str,
    deadline: Instant,
) -> Result<StoredFile, RequestError> {
    let limit = app.config.files.max_bytes;
    let refusal = match headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
    {
        Some(length) if length > limit as u64 => Some(too_large(name, limit)),
        _ if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") => {
            Some(RequestError::MediaType("a body without a content encoding"))
        }
        _ if is_form(headers) => Some(RequestError::Validation(
            "expected the file itself as the body, found a form (hint: curl --data-binary @reviews.csv)".to_owned(),
        )),
        _ => None,
    };
    if let Some(error) = refusal {
        discard(body).await;
        return Err(error);
    }
    let storage = |error: std::io::Error| not_stored(&error);
    let folder =
        tempfile::Builder::new().prefix("verdict-label-").tempdir_in(&app.config.files.folder).map_err(storage)?;
    let path = folder.path().join(name);
    let mut file = File::create(&path).await.map_err(storage)?;
    let mut bytes = 0;
    // Each piece has the time that the body of any other request has as a whole.
    let pause = app.config.limits.read_timeout;
    loop {
        let until = deadline.min(Instant::now() + pause);
        let frame = timeout_at(until, body.frame()).await;
        let frame = frame.map_err(|_| RequestError::SlowBody { seconds: pause.as_secs() })?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| RequestError::BrokenBody)?.into_data() else { continue };
        bytes += data.len();
        if bytes > limit {
            discard(body).await;
            return Err(too_large(name, limit));
        }
        file.write_all(&data).await.map_err(storage)?;
    }
    file.flush().await.map_err(storage)?;
    Ok(StoredFile { folder, path })
}

fn too_large(name: &str, limit: usize) -> RequestError {
    RequestError::FileTooLarge(format!(
        "{name}: expected a file of at most {limit} bytes (hint: split it, or `verdict predict --file` labels files of any size)"
    ))
}

fn is_form(headers: &HeaderMap) -> bool {
    let of = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    of.to_ascii_lowercase().starts_with("multipart/")
}

//! `POST /label?name=reviews.csv`: a file of texts comes back with the columns that `verdict predict --file` adds.
//!
//! The file is stored while it is labeled, read once to its end before the model sees a text, and labeled in small pieces
//! that wait in the same queue as all requests. Whatever is wrong with it is said before anything is answered.

mod answer;
mod labeling;
mod options;
mod upload;

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::body::discard;
use crate::error::RequestError;
use crate::json::Json;
use crate::state::AppState;

use labeling::{Labeling, abandoned_when_dropped};
use options::FileRequestOptions;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/label", post(label)).route("/label/progress", get(how_far))
}

async fn label(State(app): State<AppState>, request: Request) -> Response {
    match labeled(&app, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn labeled(app: &AppState, request: Request) -> Result<Response, RequestError> {
    let limits = app.config.files.clone();
    let (parts, body) = request.into_parts();
    let deadline = Instant::now() + limits.timeout;
    let refuse = async |body, error| {
        discard(body).await;
        Err(error)
    };
    if from_another_page(&parts.headers, &app.config.cors_origins) {
        let message =
            "expected a program or the server's own page, found another web page (hint: --cors-origin ORIGIN)";
        return refuse(body, RequestError::Validation(message.to_owned())).await;
    }
    let options = match FileRequestOptions::from_query(parts.uri.query().unwrap_or_default()) {
        Ok(options) => options,
        Err(error) => return refuse(body, error).await,
    };
    let Ok(room) = Arc::clone(&app.files.room).try_acquire_owned() else {
        return refuse(body, RequestError::FilesBusy { limit: limits.max_files }).await;
    };
    let progress = match app.files.progress.begin(options.progress.as_deref()) {
        Ok(progress) => progress,
        Err(error) => return refuse(body, error).await,
    };
    let stored = upload::store(app, body, &parts.headers, &options.name, deadline).await?;
    let (client, abandoned) = abandoned_when_dropped();
    let labeling = Labeling {
        app: app.clone(),
        stored,
        options,
        counts: progress.counts(),
        abandoned,
        stopping_since: OnceCell::new(),
        deadline,
        runtime: Handle::current(),
    };
    let (done, labeled) = oneshot::channel();
    // A thread of its own: the few that the runtime has for long work would be taken by a few files.
    let thread = std::thread::Builder::new().name("label file".to_owned());
    let started = thread.spawn(move || drop(done.send(labeling.run())));
    started.map_err(|error| not_stored(&error))?;
    let timed_out = RequestError::TimedOut { seconds: limits.timeout.as_secs() };
    let outcome = timeout_at(deadline, labeled).await.map_err(|_| timed_out)?;
    // A panic in a reader of files is this file's alone.
    let labeled = outcome.map_err(|_| RequestError::Panicked)??;
    drop((client, progress));
    answer::file(labeled, room, deadline)
}

/// Whether a browser sends this for a page that may not call the server. It would not let the page read the answer, but
/// a body without a type of JSON reaches the server without the browser's asking.
fn from_another_page(headers: &HeaderMap, allowed: &[String]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_allowed = allowed.iter().any(|origin| origin == "*" || Some(origin.as_str()) == text("origin"));
    matches!(text("sec-fetch-site"), Some("cross-site" | "same-site")) && !is_allowed
}

/// How far a file is that was sent with `progress=ID`; no content where no file of that name is being labeled.
async fn how_far(State(app): State<AppState>, request: Request) -> Result<Response, RequestError> {
    let query = request.uri().query().unwrap_or_default();
    let Some((_, id)) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "id") else {
        let message = "expected the file's progress name as a parameter, found none (hint: /label/progress?id=NAME)";
        return Err(RequestError::Validation(message.to_owned()));
    };
    let id = options::progress_id(&id).map_err(|reason| RequestError::Validation(format!("id: {reason}")))?;
    Ok(match app.files.progress.of(&id) {
        Some(counts) => Json(counts).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// This machine's failure, which its log has and the client doesn't.
fn not_stored(error: &dyn std::fmt::Display) -> RequestError {
    disk::print_message(format!("failed to label a file: {error}"));
    RequestError::Storage
}

/// A message of the command line for a client: files without their folder on this machine, flags as parameters.
fn for_client(message: &str, folder: &Path) -> String {
    let without_folder = message.replace(&format!("{}/", folder.display()), "");
    options::as_parameters(&without_folder)
}

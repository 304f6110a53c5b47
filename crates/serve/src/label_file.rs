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

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::RequestError;
use crate::files_state::WhichFile;
use crate::state::AppState;

use labeling::{Labeling, abandoned_when_dropped};
use options::LabelOptions;

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
        crate::body::discard(body).await;
        Err(error)
    };
    let options = match LabelOptions::from_query(parts.uri.query().unwrap_or_default()) {
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
    started.map_err(|error| RequestError::Storage(error.to_string()))?;
    let timed_out = RequestError::TimedOut { seconds: limits.timeout.as_secs() };
    let outcome = timeout_at(deadline, labeled).await.map_err(|_| timed_out)?;
    // A panic in a reader of files is this file's alone.
    let labeled = outcome.map_err(|_| RequestError::Panicked)??;
    drop((client, progress));
    answer::file(labeled, room, deadline)
}

/// How far a file is that this client sent with `progress=ID`.
async fn how_far(State(app): State<AppState>, Query(query): Query<WhichFile>) -> Response {
    match app.files.progress.of(&query.id) {
        Some(counts) => Json(counts).into_response(),
        None => RequestError::NotFound.into_response(),
    }
}

/// A message of the command line for a client: files without their folder on this machine, flags as parameters.
fn for_client(message: &str, folder: &Path) -> String {
    let without_folder = message.replace(&format!("{}/", folder.display()), "");
    options::as_parameters(&without_folder)
}

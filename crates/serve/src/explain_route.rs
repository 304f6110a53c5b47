//! `POST /explain`: which words of a text its label comes from.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use judge::{Explanation, METHOD};
use label::is_blank;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::body::read_json;
use crate::error::RequestError;
use crate::json::Json;
use crate::predict_request::parse_json;
use crate::predict_route::{AnsweredTexts, refuse_long, refuse_unreadable};
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainRequest {
    inputs: String,
    /// The label to explain, in place of the predicted one.
    label: Option<String>,
    truncate: Option<bool>,
}

#[derive(Serialize)]
struct ExplainAnswer {
    #[serde(flatten)]
    explanation: Explanation,
    method: &'static str,
}

/// One text a request: an explanation takes some hundred passes, between which other requests are answered.
pub(crate) async fn explain(State(app): State<AppState>, request: Request) -> Result<Response, RequestError> {
    let body = read_json(&app, request).await?;
    let ExplainRequest { inputs, label, truncate } = parse_json(&body.bytes)?;
    if is_blank(&inputs) {
        return Err(RequestError::Empty("inputs: expected a text, found nothing but blanks".to_owned()));
    }
    let class = label.map(|label| class_of(&app, &label)).transpose()?;
    let encoding = app.clone();
    // A body of the largest size takes a second.
    let encode = move || {
        let encoded = encoding.tokenizer.encode(&inputs);
        let encoded =
            encoded.map_err(|_| RequestError::Tokenizer("inputs: the tokenizer fails on this text".to_owned()));
        Ok((inputs, encoded?))
    };
    let (text, encoded) = tokio::task::spawn_blocking(encode).await.unwrap_or(Err(RequestError::Panicked))?;
    let encoded = [encoded];
    refuse_unreadable(&app, &encoded)?;
    if !truncate.unwrap_or(app.config.auto_truncate) {
        refuse_long(&app, &encoded)?;
    }
    let limit = app.config.limits.answer_timeout;
    let explanation = timeout(limit, app.queue.explain(text, class)).await;
    let explanation = explanation.map_err(|_| RequestError::SlowExplanation { seconds: limit.as_secs() })??;
    let mut response = Json(ExplainAnswer { explanation, method: METHOD }).into_response();
    response.extensions_mut().insert(AnsweredTexts { texts: 1, tokens: encoded[0].ids.len() });
    Ok(response)
}

fn class_of(app: &AppState, label: &str) -> Result<usize, RequestError> {
    let names = &app.model.label_names;
    names.iter().position(|name| name == label).ok_or_else(|| {
        RequestError::Validation(format!("label: expected one of {}, found {label:?}", names.join(", ")))
    })
}

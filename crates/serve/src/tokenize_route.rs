//! `POST /tokenize`: the tokens of texts, so that clients can count them.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokenize::TokenPiece;

use crate::body::read_json;
use crate::error::RequestError;
use crate::json::Json;
use crate::predict_request::parse_json;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizeRequest {
    inputs: TextsToTokenize,
    add_special_tokens: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected inputs to be a text or a list of texts")]
enum TextsToTokenize {
    One(String),
    Many(Vec<String>),
}

/// A token of the answer. `start` and `stop` count characters of the text; special tokens have none.
#[derive(Serialize)]
struct AnsweredToken {
    id: u32,
    text: String,
    special: bool,
    start: Option<usize>,
    stop: Option<usize>,
}

impl From<TokenPiece> for AnsweredToken {
    fn from(piece: TokenPiece) -> Self {
        let special = piece.place.is_none();
        let (start, stop) = piece.place.map(|place| (place.start, place.end)).unzip();
        Self { id: piece.id, text: piece.text, special, start, stop }
    }
}

/// A list of tokens for each text, also for one. Nothing is cut.
pub(crate) async fn tokenize(State(app): State<AppState>, request: Request) -> Result<Response, RequestError> {
    let body = read_json(&app, request).await?;
    let request: TokenizeRequest = parse_json(&body.bytes)?;
    let (special, most) = (request.add_special_tokens.unwrap_or(true), app.config.limits.max_client_batch_size);
    let texts = match request.inputs {
        TextsToTokenize::One(text) => vec![text],
        TextsToTokenize::Many(texts) => texts,
    };
    if texts.is_empty() {
        return Err(RequestError::Empty("inputs: expected at least one text, found none".to_owned()));
    }
    if texts.len() > most {
        let found = texts.len();
        return Err(RequestError::Validation(format!("inputs: expected at most {most} texts, found {found}")));
    }
    let work = move || {
        let tokens = |text: &String| {
            let pieces = app.tokenizer.pieces(text, special);
            let pieces = pieces.map_err(|_| RequestError::Tokenizer("the tokenizer fails on this text".to_owned()))?;
            Ok(pieces.into_iter().map(AnsweredToken::from).collect())
        };
        texts.iter().map(tokens).collect::<Result<Vec<Vec<AnsweredToken>>, RequestError>>()
    };
    // A body of the largest size takes a second.
    let tokens = tokio::task::spawn_blocking(work).await.unwrap_or(Err(RequestError::Panicked))?;
    Ok(Json(tokens).into_response())
}

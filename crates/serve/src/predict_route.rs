//! `POST /predict`, and `/` and `/invocations`, which are the same: the labels of one text or of many.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tokenize::{Encoded, Tokenizer, TruncationSide};
use tokio::time::timeout;

use crate::answer::{ComputeCost, ranked, set_compute_headers};
use crate::body::read_json;
use crate::error::RequestError;
use crate::json::Json;
use crate::metrics::{Durations, Metrics, RequestMethod};
use crate::predict_request::{PredictRequest, TextsToLabel};
use crate::queue::WhenFull;
use crate::state::AppState;

/// Texts of more bytes than this together are tokenized on another thread than the one that answers requests.
const INLINE_BYTES: usize = 16 << 10;

/// How many texts and tokens a request had, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsweredTexts {
    pub texts: usize,
    pub tokens: usize,
}

pub(crate) async fn predict(State(app): State<AppState>, request: Request) -> Response {
    let mut counted = CountedRequest { metrics: &app.metrics, method: RequestMethod::Unknown, outcome: None };
    let outcome = answer(&app, request, &mut counted).await;
    outcome.unwrap_or_else(|error| {
        counted.outcome = Some(error.kind());
        error.into_response()
    })
}

async fn answer(app: &AppState, request: Request, counted: &mut CountedRequest<'_>) -> Result<Response, RequestError> {
    let body = read_json(app, request).await?;
    let began = Instant::now();
    let request = PredictRequest::parse(&body.bytes, app.config.limits.max_client_batch_size)?;
    let method = request.texts.method();
    let (texts, raw_scores, top_k) = (request.texts, request.raw_scores, request.top_k);
    counted.begin(method, texts.as_slice().len());
    let characters = texts.as_slice().iter().map(|text| text.chars().count()).sum();

    let (texts, encoded) = encode(app, texts, request.truncation_side).await?;
    let tokenization = began.elapsed();
    refuse_unreadable(app, &encoded)?;
    if !request.truncate.unwrap_or(app.config.auto_truncate) {
        refuse_long(app, &encoded)?;
    }
    let truncated_texts = encoded.iter().filter(|text| text.truncated).count();
    let unknown_words = encoded.iter().map(|text| text.unknown).sum();
    let lengths: Vec<usize> = encoded.iter().map(|text| text.ids.len()).collect();
    let ids = encoded.into_iter().map(|text| text.ids).collect();
    let limit = app.config.limits.answer_timeout;
    let scored = timeout(limit, app.queue.submit(ids, WhenFull::Refuse)).await;
    let scored = scored.map_err(|_| RequestError::TimedOut { seconds: limit.as_secs() })??;

    let all = scored.scores.iter().map(|scores| ranked(scores, &app.model.label_names, raw_scores, top_k));
    let mut response = match texts {
        TextsToLabel::One(_) if !request.always_lists => {
            Json(all.into_iter().next().unwrap_or_default()).into_response()
        }
        _ => Json(all.collect::<Vec<_>>()).into_response(),
    };
    let total = began.elapsed();
    let (queue, inference) = (scored.queued, scored.computed);
    let tokens = lengths.iter().sum();
    let cost =
        ComputeCost { total, tokenization, queue, inference, characters, tokens, truncated_texts, unknown_words };
    set_compute_headers(response.headers_mut(), &app.model.device, &cost);
    response.extensions_mut().insert(AnsweredTexts { texts: lengths.len(), tokens });
    counted.succeed(&lengths, Durations { total, tokenization, queue, inference });
    Ok(response)
}

/// Tokenizes texts; a failure names the text by its place.
async fn encode(
    app: &AppState,
    texts: TextsToLabel,
    side: TruncationSide,
) -> Result<(TextsToLabel, Vec<Encoded>), RequestError> {
    let bytes: usize = texts.as_slice().iter().map(String::len).sum();
    if bytes <= INLINE_BYTES {
        let encoded = encode_all(&app.tokenizer, &texts, side)?;
        return Ok((texts, encoded));
    }
    let app = app.clone();
    let done = tokio::task::spawn_blocking(move || {
        let encoded = encode_all(&app.tokenizer, &texts, side)?;
        Ok((texts, encoded))
    });
    done.await.unwrap_or(Err(RequestError::Panicked))
}

fn encode_all(tokenizer: &Tokenizer, texts: &TextsToLabel, side: TruncationSide) -> Result<Vec<Encoded>, RequestError> {
    let encode = |(index, text): (usize, &String)| {
        // The library's message may hold the text and says nothing that a client could change.
        tokenizer
            .encode_truncated(text, side)
            .map_err(|_| RequestError::Tokenizer(format!("inputs[{index}]: the tokenizer fails on this text")))
    };
    texts.as_slice().iter().enumerate().map(encode).collect()
}

/// Refuses texts of which the tokenizer leaves nothing, such as one of control characters: a label would mean nothing.
pub(crate) fn refuse_unreadable(app: &AppState, encoded: &[Encoded]) -> Result<(), RequestError> {
    let unreadable = |text: &Encoded| text.untruncated_len <= app.tokenizer.special_tokens();
    match encoded.iter().position(unreadable) {
        Some(index) => Err(RequestError::Empty(format!("inputs[{index}]: expected a text, found no character of one"))),
        None => Ok(()),
    }
}

pub(crate) fn refuse_long(app: &AppState, encoded: &[Encoded]) -> Result<(), RequestError> {
    let Some((index, text)) = encoded.iter().enumerate().find(|(_, text)| text.truncated) else { return Ok(()) };
    let (most, found) = (app.tokenizer.max_length(), text.untruncated_len);
    Err(RequestError::Validation(format!(
        "inputs[{index}]: expected at most {most} tokens, found {found} (hint: \"truncate\": true cuts the text)"
    )))
}

/// Counts a request when it begins, and its failure where it ends without an answer: by an error, or because its client
/// has gone, which drops the future that answers it.
struct CountedRequest<'a> {
    metrics: &'a Metrics,
    method: RequestMethod,
    /// The kind of error; an empty one for a success.
    outcome: Option<&'static str>,
}

impl CountedRequest<'_> {
    fn begin(&mut self, method: RequestMethod, texts: usize) {
        self.method = method;
        self.metrics.request(method, texts);
    }

    fn succeed(&mut self, lengths: &[usize], durations: Durations) {
        self.outcome = Some("");
        self.metrics.success(self.method, lengths, durations);
    }
}

impl Drop for CountedRequest<'_> {
    fn drop(&mut self) {
        if self.method == RequestMethod::Unknown {
            self.metrics.request(RequestMethod::Unknown, 0);
        }
        match self.outcome {
            Some("") => {}
            outcome => self.metrics.failure(outcome.unwrap_or("cancelled")),
        }
    }
}

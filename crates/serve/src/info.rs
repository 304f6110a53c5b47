//! `GET /info`: what is served, and within which limits, under the names of text-embeddings-inference.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;

use crate::json::Json;
use crate::state::AppState;

#[derive(Debug, Serialize)]
pub(crate) struct ServerInfo {
    model_id: String,
    /// The commit of a model that is served by its name on a Hub; here models are folders.
    model_sha: Option<String>,
    model_dtype: String,
    served_model_name: String,
    model_type: ServedModelType,
    max_concurrent_requests: usize,
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: Option<usize>,
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<String>,
    docker_label: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServedModelType {
    classifier: LabelMaps,
}

#[derive(Debug, Serialize)]
struct LabelMaps {
    /// By number, so that `10` comes after `9`; JSON's keys are texts.
    id2label: BTreeMap<usize, String>,
    label2id: BTreeMap<String, usize>,
}

pub(crate) async fn info(State(app): State<AppState>) -> Json<ServerInfo> {
    let (model, limits) = (&app.model, &app.config.limits);
    let labels = || model.label_names.iter().cloned().enumerate();
    Json(ServerInfo {
        model_id: model.id.clone(),
        model_sha: None,
        model_dtype: model.dtype.clone(),
        served_model_name: model.id.clone(),
        model_type: ServedModelType {
            classifier: LabelMaps {
                id2label: labels().collect(),
                label2id: labels().map(|(id, label)| (label, id)).collect(),
            },
        },
        max_concurrent_requests: limits.max_concurrent_requests,
        max_input_length: app.tokenizer.max_length(),
        max_batch_tokens: limits.max_batch_tokens,
        max_batch_requests: None,
        max_client_batch_size: limits.max_client_batch_size,
        auto_truncate: app.config.auto_truncate,
        tokenization_workers: 1,
        version: env!("CARGO_PKG_VERSION"),
        sha: None,
        docker_label: None,
    })
}

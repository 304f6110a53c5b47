//! The page at `/ui`: its files, which are part of the program, and what it asks the server for beside `/predict` and
//! `/label`.
//!
//! Nothing of it comes from elsewhere and nothing of it is built: a browser gets the files of `page/` as they are, after the
//! style of the reports, and a policy that lets it load and call nothing but this server.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use table::FileFormat;

use crate::body::read_json;
use crate::error::RequestError;
use crate::json::Json;
use crate::model_record::ModelRecord;
use crate::predict_request::parse_json;
use crate::state::AppState;

/// The path of a file of the page, its type and its content.
type PageFile = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const FILES: [PageFile; 10] = [
    ("/ui", "text/html; charset=utf-8", include_str!("page/index.html")),
    (
        "/ui/style.css",
        "text/css; charset=utf-8",
        concat!(include_str!("../../report/src/style.css"), include_str!("page/style.css")),
    ),
    ("/ui/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/ui/app.js", SCRIPT, include_str!("page/app.js")),
    ("/ui/about.js", SCRIPT, include_str!("page/about.js")),
    ("/ui/ask.js", SCRIPT, include_str!("page/ask.js")),
    ("/ui/file.js", SCRIPT, include_str!("page/file.js")),
    ("/ui/live.js", SCRIPT, include_str!("page/live.js")),
    ("/ui/show.js", SCRIPT, include_str!("page/show.js")),
    ("/ui/why.js", SCRIPT, include_str!("page/why.js")),
];

/// What the browser may do for the page: nothing inline, nothing from or to another server, no frame around it.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// The files, for all: the page itself asks for the key where there is one.
pub(crate) fn files() -> Router<AppState> {
    let slash = get(async || Redirect::permanent("../ui"));
    FILES.into_iter().fold(Router::new().route("/ui/", slash), |router, (path, kind, content)| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        router.route(path, get(async move || (headers, content)))
    })
}

/// What the page asks for, for clients with the key.
pub(crate) fn answers() -> Router<AppState> {
    Router::new().route("/ui/model", get(model)).route("/ui/marks", post(marks))
}

/// What the page says of the model and its server.
#[derive(Serialize)]
struct PageModel<'a> {
    name: &'a str,
    label_names: &'a [String],
    max_length: usize,
    dtype: &'a str,
    device: &'a str,
    #[serde(flatten)]
    record: &'a ModelRecord,
    /// The formats of files, in words.
    formats: String,
    limits: PageLimits,
}

#[derive(Serialize)]
struct PageLimits {
    max_file_bytes: usize,
    max_file_rows: u64,
    max_texts: usize,
}

async fn model(State(app): State<AppState>) -> Response {
    let (model, limits) = (&app.model, &app.config.limits);
    Json(PageModel {
        name: &model.id,
        label_names: &model.label_names,
        max_length: app.tokenizer.max_length(),
        dtype: &model.dtype,
        device: &model.device,
        record: &app.config.record,
        formats: FileFormat::names(),
        limits: PageLimits {
            max_file_bytes: app.config.files.max_bytes,
            max_file_rows: app.config.files.max_rows,
            max_texts: limits.max_client_batch_size,
        },
    })
    .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarksRequest {
    inputs: Vec<String>,
}

/// Why the label of a text may mean less than others, as in the columns of a labeled file.
#[derive(Serialize)]
struct TextMarks {
    truncated: bool,
    unknown_words: usize,
    nothing_known: bool,
}

/// The marks of texts, which the answers of `/predict` have no place for.
async fn marks(State(app): State<AppState>, request: Request) -> Result<Response, RequestError> {
    let body = read_json(&app, request).await?;
    let MarksRequest { inputs } = parse_json(&body.bytes)?;
    let (found, most) = (inputs.len(), app.config.limits.max_client_batch_size);
    if found > most {
        return Err(RequestError::Validation(format!("inputs: expected at most {most} texts, found {found}")));
    }
    let work = move || {
        let texts: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let encoded = app.tokenizer.encode_batch(&texts);
        let encoded = encoded.map_err(|_| RequestError::Tokenizer("the tokenizer fails on a text".to_owned()))?;
        let special = app.tokenizer.special_tokens();
        let marks = |text: tokenize::Encoded| TextMarks {
            truncated: text.truncated,
            unknown_words: text.unknown,
            nothing_known: text.unknown == text.ids.len() - special,
        };
        Ok(encoded.into_iter().map(marks).collect::<Vec<_>>())
    };
    let marks = tokio::task::spawn_blocking(work).await.unwrap_or(Err(RequestError::Panicked))?;
    Ok(Json(marks).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser would load from elsewhere, or refuse by the policy.
    const FORBIDDEN: [&str; 12] = [
        "http://",
        "https://",
        "url(",
        "@import",
        "style=\"",
        "onclick",
        "onload",
        "innerHTML",
        "eval(",
        "import(",
        "<style",
        "//cdn",
    ];

    #[test]
    fn the_page_names_nothing_of_another_server_and_nothing_inline() {
        for (path, _, content) in FILES {
            let content = content.replace("http://www.w3.org/2000/svg", "");
            for forbidden in FORBIDDEN {
                assert!(!content.contains(forbidden), "{path} contains {forbidden}");
            }
            assert!(!content.contains("<script>"), "{path}");
        }
    }

    #[test]
    fn what_the_page_loads_is_there() {
        let loaded = FILES.iter().flat_map(|(path, _, content)| {
            let imports = content.split(" from \"./").skip(1).map(|rest| format!("/ui/{rest}"));
            let named = content.split("=\"ui/").skip(1).map(|rest| format!("/ui/{rest}"));
            imports.chain(named).map(|name| (*path, name.split('"').next().unwrap_or_default().to_owned()))
        });
        let loaded: Vec<_> = loaded.collect();
        assert!(loaded.len() > 9, "{loaded:?}");
        for (path, name) in loaded {
            assert!(FILES.iter().any(|(found, ..)| *found == name), "{path} loads {name}");
        }
    }
}

//! The description of the server for programs, `GET /openapi.json`, and for people, `GET /docs`: a page made of it that asks
//! nothing of any other server.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::json::Json;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value =
        serde_json::from_str(include_str!("openapi.json")).expect("openapi.json is JSON, as a test holds");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document
});

/// `GET /openapi.json`.
pub(crate) async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// `GET /docs`.
pub(crate) async fn docs() -> Response {
    let mut response = Html(page(&DOCUMENT)).into_response();
    let policy =
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// The path of a request where the document has it, for the log: any other could hold a text.
pub(crate) fn known_path(path: &str) -> &'static str {
    let paths: Option<&'static Map<String, Value>> = DOCUMENT["paths"].as_object();
    paths.and_then(|paths| paths.keys().find(|known| *known == path)).map_or("other", String::as_str)
}

fn page(document: &Value) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:16px/1.5 \
         system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}pre{{overflow:auto;padding:.6rem;border:1px \
         solid #8886;border-radius:.3rem}}h2{{margin-top:2rem}}table{{border-collapse:collapse}}td{{padding:.1rem .8rem .1rem \
         0;vertical-align:top}}</style><h1>{title}</h1><p>{about}</p><p>For programs: <a \
         href=\"/openapi.json\">/openapi.json</a></p>",
        title = text(&document["info"]["title"]),
        about = text(&document["info"]["description"]),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let _ = write!(
                html,
                "<h2><code>{} {}</code></h2><p>{}</p>",
                method.to_uppercase(),
                escaped(path),
                text(&operation["summary"])
            );
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            if !example.is_null() {
                let body = escaped(&example.to_string());
                let _ = write!(
                    html,
                    "<pre>curl http://127.0.0.1:3000{} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'</pre>",
                    escaped(path)
                );
            }
            html.push_str("<table>");
            for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                let answer = answer
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map_or(answer, |name| document.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null));
                let _ = write!(html, "<tr><td>{status}<td>{}", text(&answer["description"]));
            }
            html.push_str("</table>");
        }
    }
    html + "</html>\n"
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use label::is_blank;

    use super::*;

    #[test]
    fn the_page_lists_every_path_and_asks_nothing_of_other_servers() {
        let html = page(&DOCUMENT);
        for path in DOCUMENT["paths"].as_object().unwrap().keys() {
            assert!(html.contains(&format!(" {path}</code>")), "{path}");
        }
        assert!(!html.contains("src=") && !html.contains("https://") && !html.contains("@import"), "{html}");
    }

    /// Programs can tell from the document alone which texts are refused: those without a character that is not blank.
    #[test]
    fn the_pattern_of_a_text_is_what_the_server_accepts() {
        let blank: Vec<u32> = ('\0'..=char::MAX).filter(|c| is_blank(&c.to_string())).map(u32::from).collect();
        let ranges = blank.chunk_by(|before, next| before + 1 == *next).map(|range| (range[0], range[range.len() - 1]));
        let ranges: String = ranges
            .map(|(first, last)| {
                let last = if first == last { String::new() } else { format!("-\\u{last:04x}") };
                format!("\\u{first:04x}{last}")
            })
            .collect();
        assert!(blank.iter().all(|c| *c < 0x1_0000), "four digits are enough");
        let pattern = &DOCUMENT["components"]["schemas"]["Text"]["pattern"];
        assert_eq!(pattern, &Value::from(format!("[^{ranges}]")));
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(&DOCUMENT, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_path_that_is_not_known_is_not_repeated() {
        assert_eq!(known_path("/predict"), "/predict");
        assert_eq!(known_path("/my-secret-text"), "other");
    }
}

//! What requests may say, and what they are answered.

use std::time::Duration;

use serde_json::{Value, json};
use serve::ApiKey;

use crate::support::{TestServer, WordClassifier, json, refusal};

#[test]
fn one_text_is_answered_with_every_label_by_descending_score() {
    let server = TestServer::start(|_| {});
    for body in [r#"{"inputs": "a good good film"}"#, r#"{"inputs": ["a good good film"]}"#] {
        for path in ["/predict", "/", "/invocations"] {
            let answer = server.post(path, body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let labels = json(&answer);
            let order: Vec<&str> =
                labels.as_array().unwrap().iter().map(|label| label["label"].as_str().unwrap()).collect();
            assert_eq!(order, ["positive", "neutral", "negative"]);
            let sum: f64 = labels.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{labels}");
            assert_eq!(labels[0].as_object().unwrap().len(), 2);
        }
    }
}

#[test]
fn a_batch_is_answered_in_its_order_and_as_its_texts_alone() {
    let server = TestServer::start(|_| {});
    let texts = ["a good film", "bad bad bad", "a film", "good"];
    let inputs: Vec<[&str; 1]> = texts.iter().map(|text| [*text]).collect();
    let answer = server.post("/predict", json!({ "inputs": inputs }).to_string());
    let alone: Vec<Value> = texts.iter().map(|text| server.labels(text)).collect();
    assert_eq!(json(&answer), Value::Array(alone));
    // A list of one list is a batch of one.
    assert_eq!(json(&server.post("/predict", r#"{"inputs": [["good"]]}"#)), json!([server.labels("good")]));
}

#[test]
fn a_pair_is_refused_in_words() {
    let server = TestServer::start(|_| {});
    let answer = server.post("/predict", r#"{"inputs": ["a good film", "a bad film"]}"#);
    assert_eq!(refusal(&answer), (422, "Validation".to_owned()));
    assert!(answer.text().contains("one pair"), "{}", answer.text());
}

#[test]
fn raw_scores_are_the_logits_and_large_ones_are_no_nan() {
    let server = TestServer::start(|_| {});
    let raw = json(&server.post("/predict", r#"{"inputs": "bad bad", "raw_scores": true}"#));
    assert_eq!(raw[0], json!({"score": 2.0, "label": "negative"}));
    assert_eq!(server.labels("huge")[0], json!({"score": 1.0, "label": "neutral"}));
    let best = json(&server.post("/predict", r#"{"inputs": "good", "parameters": {"top_k": 1}}"#));
    // Requests in the form of Hugging Face's own API get an answer in its form.
    assert_eq!(best, json!([[server.labels("good")[0]]]));
}

#[test]
fn scores_that_are_no_numbers_are_an_error_and_never_null() {
    let server = TestServer::start(|_| {});
    let answer = server.post("/predict", r#"{"inputs": "nan"}"#);
    assert_eq!(refusal(&answer), (424, "Backend".to_owned()));
}

#[test]
fn long_texts_are_cut_or_refused_as_the_request_or_the_server_says() {
    let long = "bad a a a a a a a a good";
    let body = |options: &str| format!(r#"{{"inputs": "{long}", "raw_scores": true{options}}}"#);
    let best = |answer| json(&answer)[0]["label"].clone();
    let server = TestServer::start(|_| {});
    assert_eq!(best(server.post("/predict", body(""))), "negative");
    assert_eq!(best(server.post("/predict", body(r#", "truncation_direction": "left""#))), "positive");
    assert_eq!(best(server.post("/predict", body(r#", "truncation_direction": "Right""#))), "negative");
    let refused = server.post("/predict", body(r#", "truncate": false"#));
    assert_eq!(refusal(&refused), (422, "Validation".to_owned()));
    assert!(refused.text().contains("expected at most 8 tokens, found 12"), "{}", refused.text());
    let strict = TestServer::start(|config| config.auto_truncate = false);
    assert_eq!(strict.post("/predict", body("")).status, 422);
    assert_eq!(strict.post("/predict", body(r#", "truncate": null"#)).status, 422);
    assert_eq!(strict.post("/predict", body(r#", "truncate": true"#)).status, 200);
}

#[test]
fn the_headers_say_what_an_answer_took() {
    let server = TestServer::start(|_| {});
    let answer = server.post("/predict", r#"{"inputs": [["a good film"], ["café"]]}"#);
    assert_eq!(answer.header("x-compute-type"), Some("cpu"));
    assert_eq!(answer.header("x-compute-characters"), Some("15"));
    assert_eq!(answer.header("x-compute-tokens"), Some("8"));
    assert_eq!((answer.header("x-truncated-texts"), answer.header("x-unknown-words")), (Some("0"), Some("1")));
    let cut = server.post("/predict", r#"{"inputs": "good good good good good good good"}"#);
    assert_eq!((cut.header("x-truncated-texts"), cut.header("x-unknown-words")), (Some("1"), Some("0")));
    for name in ["x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"] {
        assert!(answer.header(name).is_some_and(|value| value.parse::<u64>().is_ok()), "{name}");
    }
}

#[test]
fn error_types_have_the_case_of_the_contract() {
    let server = TestServer::start(|_| {});
    for (body, expected) in [
        (r#"{"inputs": ""}"#, (400, "Empty")),
        (r#"{"inputs": []}"#, (400, "Empty")),
        (r#"{"inputs": "\u0000\u200b"}"#, (400, "Empty")),
        (r#"{"inputs": "\u00b4"}"#, (400, "Empty")),
        (r#"{"inputs": 3}"#, (422, "Validation")),
        (r#"{"inputs": "a", "raw_scors": true}"#, (422, "Validation")),
        ("inputs=a", (400, "Validation")),
        ("", (400, "Validation")),
    ] {
        let (status, kind) = refusal(&server.post("/predict", body));
        assert_eq!((status, kind.as_str()), expected, "{body}");
    }
}

#[test]
fn a_request_is_counted_once_and_so_is_its_success() {
    let server = TestServer::start(|_| {});
    server.labels("good");
    server.post("/predict", r#"{"inputs": [["good"], ["bad"], ["a"]]}"#);
    server.post("/predict", r#"{"inputs": ["a", "b"]}"#);
    for (name, value) in [
        ("te_request_count{method=\"single\"}", 1.0),
        ("te_request_success{method=\"single\"}", 1.0),
        ("te_request_count{method=\"batch\"}", 1.0),
        ("te_request_success{method=\"batch\"}", 1.0),
        ("te_request_count{method=\"unknown\"}", 1.0),
        ("te_request_failure{err=\"validation\"}", 1.0),
        ("te_predict_count", 4.0),
        ("te_predict_success", 4.0),
        ("te_request_duration_count", 2.0),
        ("te_queue_size", 0.0),
    ] {
        assert_eq!(server.metric(name), value, "{name}");
    }
}

#[test]
fn tokens_have_their_places_and_special_ones_have_none() {
    let server = TestServer::start(|_| {});
    let tokens = json(&server.post("/tokenize", r#"{"inputs": "Good films"}"#));
    assert_eq!(
        tokens,
        json!([[
            {"id": 2, "text": "[CLS]", "special": true, "start": null, "stop": null},
            {"id": 5, "text": "good", "special": false, "start": 0, "stop": 4},
            {"id": 13, "text": "film", "special": false, "start": 5, "stop": 9},
            {"id": 14, "text": "##s", "special": false, "start": 9, "stop": 10},
            {"id": 3, "text": "[SEP]", "special": true, "start": null, "stop": null},
        ]])
    );
    let plain = json(&server.post("/tokenize", r#"{"inputs": ["a", "film film"], "add_special_tokens": false}"#));
    assert_eq!(plain.as_array().unwrap().iter().map(|text| text.as_array().unwrap().len()).collect::<Vec<_>>(), [1, 2]);
    // Nothing is cut.
    let long = json(&server.post("/tokenize", r#"{"inputs": "a a a a a a a a a a"}"#));
    assert_eq!(long[0].as_array().unwrap().len(), 12);
    assert_eq!(refusal(&server.post("/tokenize", r#"{"inputs": []}"#)).0, 400);
}

#[test]
fn the_information_names_the_labels_and_the_limits() {
    let server = TestServer::start(|config| config.limits.max_client_batch_size = 7);
    let info = json(&server.get("/info"));
    assert_eq!(info["model_id"], "words");
    assert_eq!(info["model_dtype"], "float32");
    assert_eq!(info["model_type"]["classifier"]["id2label"], json!({"0": "negative", "1": "neutral", "2": "positive"}));
    assert_eq!(info["model_type"]["classifier"]["label2id"]["positive"], 2);
    assert_eq!((&info["max_input_length"], &info["max_client_batch_size"]), (&json!(8), &json!(7)));
    for key in [
        "model_sha",
        "served_model_name",
        "max_concurrent_requests",
        "max_batch_tokens",
        "max_batch_requests",
        "auto_truncate",
        "tokenization_workers",
        "version",
        "sha",
        "docker_label",
    ] {
        assert!(info.get(key).is_some(), "{key}: {info}");
    }
}

#[test]
fn health_is_answered_under_each_of_its_names() {
    let server = TestServer::start(|_| {});
    for path in ["/health", "/ping", "/", "/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(server.connect().request("HEAD", "/health", &[], b"").unwrap().status, 200);
}

#[test]
fn every_path_of_the_document_is_answered_and_every_other_one_is_not() {
    let server = TestServer::start(|_| {});
    let document = json(&server.get("/openapi.json"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 10);
    for (path, methods) in paths {
        for method in ["get", "post", "put"] {
            let status = match method {
                "get" => server.get(path).status,
                "post" => server.post(path, "{").status,
                _ => server.connect().request("PUT", path, &[], b"").unwrap().status,
            };
            let parameters = methods[method]["parameters"].as_array().into_iter().flatten();
            let lacks_parameter = parameters.into_iter().any(|parameter| parameter["required"] == true);
            // What is sent by POST is no JSON.
            let expected = match (methods.get(method).is_some(), method) {
                (true, _) if lacks_parameter => 422,
                (true, "get") => 200,
                (true, _) => 400,
                (false, _) => 405,
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    assert_eq!(refusal(&server.get("/nothing")), (404, "NotFound".to_owned()));
    let refused = server.get("/predict");
    assert_eq!(refusal(&refused).0, 405);
    assert_eq!(refused.header("allow"), Some("POST"));
    assert!(server.get("/docs").text().contains("POST /predict"));
}

#[test]
fn with_a_key_only_those_who_have_it_get_labels() {
    let classifier = WordClassifier { explains: Some(Duration::ZERO), ..WordClassifier::default() };
    let server = TestServer::with(classifier, |config| config.api_key = Some(ApiKey::new("s3cret", "a test").unwrap()));
    let body = r#"{"inputs": "good"}"#;
    for (method, path) in [
        ("POST", "/predict"),
        ("POST", "/"),
        ("POST", "/invocations"),
        ("POST", "/explain"),
        ("POST", "/tokenize"),
        ("GET", "/info"),
    ] {
        let ask = |key: Option<&str>| {
            let mut headers = vec![("Content-Type", "application/json")];
            headers.extend(key.map(|key| ("Authorization", key)));
            server.connect().request(method, path, &headers, body.as_bytes()).unwrap()
        };
        for wrong in [None, Some("Bearer wrong"), Some("s3cret")] {
            let answer = ask(wrong);
            assert_eq!(refusal(&answer), (401, "Unauthorized".to_owned()), "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        assert_eq!(ask(Some("Bearer s3cret")).status, 200, "{path}");
    }
    for path in ["/health", "/ping", "/", "/ready", "/metrics", "/docs", "/openapi.json"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn web_pages_may_call_the_server_only_where_it_was_told_so() {
    let ask = |server: &TestServer, origin: &str| {
        let headers = [("Origin", origin), ("Content-Type", "application/json")];
        server.connect().request("POST", "/predict", &headers, br#"{"inputs": "good"}"#).unwrap()
    };
    let closed = TestServer::start(|_| {});
    assert_eq!(ask(&closed, "https://example.org").header("access-control-allow-origin"), None);
    let server = TestServer::start(|config| config.cors_origins = vec!["https://example.org".to_owned()]);
    assert_eq!(ask(&server, "https://example.org").header("access-control-allow-origin"), Some("https://example.org"));
    assert_eq!(ask(&server, "https://example.com").header("access-control-allow-origin"), None);
    let asked = [
        ("Origin", "https://example.org"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,authorization"),
    ];
    let preflight = server.connect().request("OPTIONS", "/predict", &asked, b"").unwrap();
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
}

//! `verdict serve`: the built server answers as `predict` does, refuses what it can't answer in time, and loses nothing when
//! it is stopped.
//!
//! A twentieth of `VERDICT_KILLS` (60) is how often a server is stopped under load, `VERDICT_MUTANTS` how many broken requests
//! it gets (200).

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::{python_with, setting};

use crate::support::{HttpServer, Sandbox};

/// Probabilities by label, as `predict --json` prints them.
type Predicted = Vec<(String, Value)>;

fn predicted(sandbox: &Sandbox, texts: &[String]) -> Predicted {
    sandbox.write("texts.txt", &(texts.join("\n") + "\n"));
    let out = sandbox.succeeds("predict --run run --precision fp32 --json --file texts.txt");
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        (row["label"].as_str().expect("a label").to_owned(), row["probabilities"].clone())
    };
    out.lines().map(row).collect()
}

fn assert_close(labels: &Value, predicted: &(String, Value), tolerance: f64) {
    let labels = labels.as_array().expect("labels");
    assert_eq!(labels[0]["label"], predicted.0.as_str(), "{labels:?}, {predicted:?}");
    for label in labels {
        let (found, expected) = (&label["score"], &predicted.1[label["label"].as_str().expect("a label")]);
        let difference = (found.as_f64().expect("a number") - expected.as_f64().expect("a number")).abs();
        assert!(difference <= tolerance, "{labels:?}, {predicted:?}");
    }
}

#[test]
fn answers_are_those_of_predict_alone_in_batches_and_under_load() {
    let sandbox = Sandbox::trained(1);
    let words = ["lovely", "awful", "the film", "a dull story , with", "great", "cold and clumsy plot ."];
    let texts: Vec<String> =
        (0..36).map(|at| format!("{} {} {}", words[at % 6], words[at / 6], words[(at * 5 + 1) % 6])).collect();
    let expected = predicted(&sandbox, &texts);
    let server = HttpServer::start(&sandbox, "--run run --precision fp32", &[]);
    // The same batch has the same bits.
    for text in &texts[..4] {
        let alone = predicted(&sandbox, std::slice::from_ref(text));
        assert_close(&server.labels(&json!(text)), &alone[0], 0.0);
    }
    let batch: Vec<[&String; 1]> = texts.iter().map(|text| [text]).collect();
    let answers = server.labels(&json!(batch));
    for (labels, predicted) in answers.as_array().expect("answers").iter().zip(&expected) {
        assert_close(labels, predicted, 1e-6);
    }
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (server, texts, expected) = (&server, &texts, &expected);
            scope.spawn(move || {
                for at in (0..texts.len()).map(|at| (at + client * 5) % texts.len()) {
                    assert_close(&server.labels(&json!(texts[at])), &expected[at], 1e-6);
                }
            });
        }
    });
    server.signal("INT");
    let (code, lines) = server.end();
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("curl http://127.0.0.1:")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("lovely")), "no text is logged: {lines:?}");
}

#[test]
fn no_accepted_request_is_lost_when_the_server_is_stopped_under_load() {
    let sandbox = Sandbox::trained(1);
    for _ in 0..(setting("VERDICT_KILLS").unwrap_or(60_u64) / 20).max(1) {
        let server = HttpServer::start(&sandbox, "--run run", &[]);
        let (told, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                // Connected before the signal: a later one may find nobody who listens.
                let mut connection = server.connect();
                let (told, answered) = (&told, &answered);
                scope.spawn(move || {
                    connection.post_until_closed("/predict", r#"{"inputs": "a lovely film"}"#, told, answered);
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            told.store(true, Ordering::SeqCst);
            server.signal("TERM");
        });
        let (code, lines) = server.end();
        assert_eq!(code, Some(0), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("stopped: every accepted request is answered"));
        assert!(answered.into_inner() > 8);
    }
}

#[test]
fn more_load_than_allowed_is_refused_and_broken_requests_change_no_answer() {
    let sandbox = Sandbox::trained(1);
    let server = HttpServer::start(&sandbox, "--run run --max-concurrent-requests 1 --read-timeout 1", &[]);
    let before = server.labels(&json!("a lovely film"));
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..40 {
                    match connection.post("/predict", r#"{"inputs": "a lovely film"}"#).expect("an answer").status {
                        200 => {}
                        429 => drop(refused.fetch_add(1, Ordering::SeqCst)),
                        status => panic!("status {status}"),
                    }
                }
            });
        }
    });
    assert!(refused.into_inner() > 0, "nothing was refused");
    for number in 0..setting("VERDICT_MUTANTS").unwrap_or(200_u64) {
        let mut broken = server.connect();
        let request = match number % 5 {
            0 => "POST /predict HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
            1 => "POST /predict HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{\"\u{1}"
                .to_string(),
            2 => format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)),
            3 => "\0\0\0\0".to_owned(),
            _ => format!("POST / HTTP/1.1\r\n{}\r\n", "X-Many: 1\r\n".repeat(500)),
        };
        let _ = broken.send(request.as_bytes());
    }
    assert_eq!(server.labels(&json!("a lovely film")), before);
}

#[test]
fn a_key_guards_the_model_and_is_not_shown() {
    let sandbox = Sandbox::trained(1);
    let server = HttpServer::start(&sandbox, "--run run --log all", &[("VERDICT_API_KEY", "k-12345")]);
    let ask = |headers: &[(&str, &str)]| {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        server.connect().request("POST", "/predict", &all, br#"{"inputs": "a lovely film"}"#).expect("an answer").status
    };
    assert_eq!((ask(&[]), ask(&[("Authorization", "Bearer k-12345")])), (401, 200));
    server.signal("TERM");
    let (code, lines) = server.end();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("k-12345") || line.contains("lovely")), "{lines:?}");
    let logged: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(logged.iter().map(|line| &line["status"]).collect::<Vec<_>>(), [&json!(401), &json!(200)], "{lines:?}");
    assert_eq!((&logged[1]["route"], &logged[1]["texts"]), (&json!("/predict"), &json!(1)));
}

#[test]
fn what_cannot_be_served_is_refused_with_a_hint() {
    let sandbox = Sandbox::trained(1);
    assert!(sandbox.fails("serve --run nothing").contains("this folder does not exist (hint: --run"));
    assert!(sandbox.fails("serve --run run --host 256.256.256.256 --port 0").contains("--host 256.256.256.256"));
    sandbox.write("key.txt", "two words\n");
    let error = sandbox.fails("serve --run run --api-key-file key.txt");
    assert!(error.contains("expected a key of visible ASCII characters") && !error.contains("two words"), "{error}");
}

#[test]
fn the_client_of_hugging_face_works_unchanged() {
    let Some(python) = python_with("huggingface_hub", "huggingface_hub", "client-venv") else { return };
    let sandbox = Sandbox::trained(1);
    let server = HttpServer::start(&sandbox, "--run run", &[("VERDICT_API_KEY", "k-12345")]);
    let script = format!(
        "from huggingface_hub import InferenceClient\n\
         client = InferenceClient('{}', token='k-12345')\n\
         best = client.text_classification('a lovely film')\n\
         print(best[0].label, best[0].score, len(best))\n\
         print(len(client.text_classification('a lovely film', top_k=1)))\n",
        server.address()
    );
    let output = Command::new(python).args(["-c", &script]).output().expect("Python starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let answer = server
        .connect()
        .request(
            "POST",
            "/predict",
            &[("Content-Type", "application/json"), ("Authorization", "Bearer k-12345")],
            br#"{"inputs": "a lovely film"}"#,
        )
        .expect("an answer");
    let labels: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words[0], labels[0]["label"].as_str().expect("a label"), "{out}");
    let score: f64 = words[1].parse().expect("a number");
    assert_eq!(words[2..], ["2", "1"], "{out}");
    assert!((score - labels[0]["score"].as_f64().expect("a number")).abs() < 1e-6, "{out}, {labels}");
}

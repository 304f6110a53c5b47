//! `POST /explain`: what may be asked, and what it costs others.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{PASSES, TestServer, WordClassifier, json, refusal};

/// A server whose explanations take this long for each of their passes.
fn explaining(pass: u64) -> TestServer {
    let explains = Some(Duration::from_millis(pass));
    TestServer::with(WordClassifier { explains, ..WordClassifier::default() }, |_| {})
}

fn passes(server: &TestServer) -> usize {
    server.classifier.passes.load(Ordering::SeqCst)
}

fn wait_for_a_pass(server: &TestServer) {
    let began = Instant::now();
    while passes(server) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no pass was made");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Asks for an explanation in a thread of its own.
fn ask(server: &TestServer) -> std::thread::JoinHandle<u16> {
    let mut connection = server.connect();
    std::thread::spawn(move || connection.post("/explain", r#"{"inputs": "good"}"#).unwrap().status)
}

#[test]
fn a_text_is_explained_for_the_label_that_is_asked_for() {
    let server = explaining(0);
    let explained = |body: &str| {
        let answer = server.post("/explain", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        json(&answer)
    };
    let answer = explained(r#"{"inputs": "a good film"}"#);
    assert_eq!((&answer["label"], &answer["text"]), (&json!("predicted"), &json!("a good film")));
    assert_eq!(
        answer["words"][2],
        json!({"text": "film", "start": 0, "end": 1, "attribution": 2.0, "leave_one_out": null})
    );
    assert!(answer["method"].as_str().unwrap().contains("integrated gradients"), "{answer}");
    assert_eq!(explained(r#"{"inputs": "good", "label": "positive"}"#)["label"], "class 2");
    assert_eq!(explained(r#"{"inputs": "good", "label": null, "truncate": true}"#)["label"], "predicted");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let server = explaining(0);
    for (body, status, words) in [
        (r#"{"inputs": " "}"#, 400, "found nothing but blanks"),
        (r#"{"inputs": ["good"]}"#, 422, "invalid type"),
        (r#"{"inputs": "good", "label": "superb"}"#, 422, "label: expected one of negative, neutral, positive, found"),
        (r#"{"inputs": "good", "top_k": 1}"#, 422, "unknown field `top_k`"),
        (r#"{"inputs": "a a a a a a a a", "truncate": false}"#, 422, "expected at most 8 tokens, found 10"),
        ("good", 400, "expected JSON"),
    ] {
        let answer = server.post("/explain", body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(words), "{body}: {}", answer.text());
    }
    let without = TestServer::start(|_| {});
    assert_eq!(without.post("/explain", r#"{"inputs": "good"}"#).status, 404);
}

#[test]
fn failures_are_told_without_their_reasons_and_the_next_text_is_explained() {
    let server = explaining(0);
    for (text, status) in [("panic", 503), ("fail", 503), ("nan", 424), ("good", 200)] {
        let answer = server.post("/explain", json!({ "inputs": text }).to_string());
        assert_eq!(answer.status, status, "{text}: {}", answer.text());
        assert!(!answer.text().contains("nobody's business") && !answer.text().contains("of a test"), "{text}");
        server.labels("good");
    }
}

#[test]
fn texts_are_labeled_between_the_passes_of_an_explanation() {
    let server = explaining(200);
    let asked = ask(&server);
    wait_for_a_pass(&server);
    server.labels("good film");
    let done = passes(&server);
    assert!(done < PASSES, "{done} of {PASSES} passes were made before the text was labeled");
    assert_eq!(asked.join().unwrap(), 200);
    assert_eq!(passes(&server), PASSES);
}

#[test]
fn an_explanation_that_nobody_waits_for_is_given_up() {
    let explains = Some(Duration::from_millis(300));
    let classifier = WordClassifier { explains, ..WordClassifier::default() };
    let server = TestServer::with(classifier, |config| config.limits.answer_timeout = Duration::from_millis(400));
    let refused = refusal(&server.post("/explain", r#"{"inputs": "good"}"#));
    assert_eq!(refused, (503, "Timeout".to_owned()));
    // The next pass ends it.
    server.labels("good");
    let done = passes(&server);
    assert!((1..4).contains(&done), "{done} passes");
    std::thread::sleep(Duration::from_millis(700));
    assert!(passes(&server) <= done + 1, "{} passes", passes(&server));
}

#[test]
fn more_than_eight_that_wait_are_refused() {
    let server = explaining(20);
    let first = ask(&server);
    wait_for_a_pass(&server);
    let others: Vec<_> = (0..20).map(|_| ask(&server)).collect();
    let mut statuses: Vec<u16> = others.into_iter().map(|thread| thread.join().unwrap()).collect();
    statuses.push(first.join().unwrap());
    statuses.sort_unstable();
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert!((9..=12).contains(&answered), "{statuses:?}");
    assert!(statuses[answered..].iter().all(|status| *status == 429), "{statuses:?}");
}

#[test]
fn what_was_let_in_is_explained_after_the_signal_to_stop() {
    let server = explaining(50);
    let first = ask(&server);
    wait_for_a_pass(&server);
    server.tell_to_stop();
    assert_eq!(first.join().unwrap(), 200);
}

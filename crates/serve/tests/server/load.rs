//! What holds many requests together: the queue, its limits, and the model's failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{SLOW_BATCH, TestServer, WordClassifier, json, refusal};

/// Sends a request for a batch that takes a while, and waits until the model has it.
fn occupy(server: &TestServer) -> std::thread::JoinHandle<u16> {
    let mut connection = server.connect();
    let asked = std::thread::spawn(move || connection.post("/predict", r#"{"inputs": "slow"}"#).unwrap().status);
    let began = Instant::now();
    while server.classifier.batches.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "the model has no batch");
        std::thread::sleep(Duration::from_millis(1));
    }
    asked
}

#[test]
fn whatever_waits_when_the_model_is_free_is_its_next_batch() {
    let server = TestServer::start(|_| {});
    let slow = occupy(&server);
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let mut connection = server.connect();
            std::thread::spawn(move || connection.post("/predict", r#"{"inputs": "good film"}"#).unwrap().status)
        })
        .collect();
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), 200);
    }
    assert_eq!(slow.join().unwrap(), 200);
    let batches = server.classifier.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 6], "{batches:?}");
}

#[test]
fn a_large_batch_is_split_and_a_single_text_is_not_starved_by_it() {
    let classifier = WordClassifier { pause: Duration::from_millis(20), ..WordClassifier::default() };
    let server = TestServer::with(classifier, |config| config.limits.max_batch_tokens = 256);
    let texts: Vec<[&str; 1]> = vec![["a good film"]; 1000];
    let body = json!({ "inputs": texts }).to_string();
    let large: Vec<_> = (0..2)
        .map(|_| {
            let (mut connection, body) = (server.connect(), body.clone());
            std::thread::spawn(move || {
                let answer = connection.post("/predict", body).unwrap();
                (answer.status, json(&answer).as_array().unwrap().len())
            })
        })
        .collect();
    let begun = || server.classifier.batches.lock().unwrap().len();
    while begun() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = begun();
    server.labels("good");
    // The pass that was running, those whose turn it was, and its own.
    let passes = begun() - before;
    assert!(passes <= 4, "{passes} passes until a single text was answered");
    for thread in large {
        assert_eq!(thread.join().unwrap(), (200, 1000));
    }
    let batches = server.classifier.batches.lock().unwrap();
    assert!(batches.iter().all(|batch| batch.iter().sum::<usize>() <= 256), "{batches:?}");
}

#[test]
fn more_load_than_is_answered_in_time_is_refused_at_once() {
    let server = TestServer::start(|config| config.limits.max_concurrent_requests = 4);
    let slow = occupy(&server);
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let (mut connection, began) = (server.connect(), Instant::now());
                let answer = connection.post("/predict", r#"{"inputs": "good"}"#).unwrap();
                if answer.status == 429 {
                    refused.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(refusal(&answer).1, "Overloaded");
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    assert!(began.elapsed() < SLOW_BATCH, "at once, not after {:?}", began.elapsed());
                } else {
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    assert_eq!(slow.join().unwrap(), 200);
    // The slow one and three more were let in, and whatever came after the slow one had ended.
    let refused = refused.into_inner();
    assert!((1..=9).contains(&refused), "{refused} refused");
    assert_eq!(server.metric("te_request_failure{err=\"overloaded\"}"), refused as f64);
    server.labels("good");
}

#[test]
fn a_panic_or_an_error_of_the_model_fails_its_batch_and_not_the_server() {
    let server = TestServer::start(|_| {});
    let before = server.labels("a good film");
    for word in ["panic", "fail"] {
        let answer = server.post("/predict", json!({ "inputs": [[word], ["good"]] }).to_string());
        assert_eq!(refusal(&answer), (503, "Backend".to_owned()), "{word}");
        assert!(!answer.text().contains("panic of a test") && !answer.text().contains("address"), "{}", answer.text());
        assert_eq!(server.labels("a good film"), before);
        assert_eq!(server.get("/health").status, 200);
    }
    assert_eq!(server.metric("te_request_failure{err=\"backend\"}"), 2.0);
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let server = TestServer::start(|config| config.limits.answer_timeout = Duration::from_millis(30));
    let answer = server.post("/predict", r#"{"inputs": "slow"}"#);
    assert_eq!(refusal(&answer), (503, "Timeout".to_owned()));
    std::thread::sleep(SLOW_BATCH);
    server.labels("good");
}

#[test]
fn requests_whose_clients_have_gone_take_no_part_in_a_batch() {
    let server = TestServer::start(|_| {});
    let slow = occupy(&server);
    for _ in 0..5 {
        let mut gone = server.connect();
        let body = r#"{"inputs": "bad"}"#;
        let head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length:";
        gone.send(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(slow.join().unwrap(), 200);
    server.labels("good good");
    let batches = server.classifier.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1], "{batches:?}");
    assert_eq!(server.metric("te_request_failure{err=\"cancelled\"}"), 5.0);
}

//! How a server starts and ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serve::{ServeConfig, ServedModel, Server, StopHandle, StopRequest};

use crate::support::{SLOW_BATCH, TestServer, WordClassifier, refusal, tokenizer};

fn model() -> ServedModel {
    let label_names = ["negative", "neutral", "positive"].map(str::to_owned).into();
    ServedModel { id: "words".to_owned(), dtype: "float32".to_owned(), device: "cpu".to_owned(), label_names }
}

fn refused(configure: impl FnOnce(&mut ServeConfig), model: ServedModel) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServeConfig { port: 0, ..ServeConfig::default() };
    configure(&mut config);
    let stop = StopRequest::Handle(StopHandle::default());
    Server::start(config, model, tokenizer(folder.path()), WordClassifier::default(), stop).unwrap_err().to_string()
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let running = TestServer::start(|_| {});
    let taken = running.address.port();
    for (error, words) in [
        (refused(|config| config.port = taken, model()), "--port 0 takes a free port"),
        (refused(|config| config.host = "no such host".to_owned(), model()), "--host no such host"),
        (refused(|config| config.limits.max_batch_tokens = 0, model()), "--max-batch-tokens 0"),
        (refused(|config| config.cors_origins = vec!["example".to_owned()], model()), "--cors-origin example"),
        (
            refused(|_| {}, ServedModel { label_names: vec!["one".to_owned()], ..model() }),
            "the model fails on its first text",
        ),
    ] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn it_listens_on_loopback_unless_told_otherwise() {
    assert!(TestServer::start(|_| {}).address.ip().is_loopback());
}

#[test]
fn accepted_requests_are_answered_after_the_signal_and_ready_says_no_at_once() {
    let server = TestServer::start(|_| {});
    let (mut slow, mut kept) = (server.connect(), server.connect());
    assert_eq!(kept.request("GET", "/ready", &[], b"").unwrap().status, 200);
    let asked = std::thread::spawn(move || slow.post("/predict", r#"{"inputs": "slow"}"#).unwrap());
    std::thread::sleep(SLOW_BATCH / 4);
    server.tell_to_stop();
    std::thread::sleep(SLOW_BATCH / 4);
    let ready = kept.request("GET", "/ready", &[], b"").unwrap();
    assert_eq!(refusal(&ready), (503, "Unhealthy".to_owned()));
    assert_eq!(ready.header("connection"), Some("close"));
    assert_eq!(asked.join().unwrap().status, 200);
    server.end().unwrap();
}

#[test]
fn no_accepted_request_is_lost_when_a_server_stops_under_load() {
    for _ in 0..3 {
        let classifier = WordClassifier { pause: Duration::from_millis(2), ..WordClassifier::default() };
        let server = TestServer::with(classifier, |_| {});
        let (told, answered, address) = (AtomicBool::new(false), AtomicUsize::new(0), server.address);
        let ended = std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut connection = test_support::HttpConnection::open(address).unwrap();
                    connection.post_until_closed("/predict", r#"{"inputs": "a good film"}"#, &told, &answered);
                });
            }
            std::thread::sleep(Duration::from_millis(150));
            told.store(true, Ordering::SeqCst);
            server.end()
        });
        ended.unwrap();
        assert!(answered.load(Ordering::SeqCst) > 20);
    }
}

#[test]
fn a_server_without_requests_stops_at_once() {
    let server = TestServer::start(|_| {});
    server.labels("good");
    let began = Instant::now();
    server.end().unwrap();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn requests_that_do_not_end_in_time_are_counted() {
    let server = TestServer::start(|config| {
        config.limits.shutdown_timeout = Duration::from_millis(10);
        config.limits.max_batch_tokens = 3;
    });
    // One text a pass: longer than connections are still served after the signal.
    let texts: Vec<[&str; 1]> = vec![["slow"]; 15];
    let body = serde_json::json!({ "inputs": texts }).to_string();
    let (mut slow, classifier) = (server.connect(), server.classifier.clone());
    let asked = std::thread::spawn(move || slow.post("/predict", body));
    while classifier.batches.lock().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = server.end().unwrap_err().to_string();
    assert!(error.starts_with("1 requests were not answered within 0 s"), "{error}");
    assert!(asked.join().unwrap().is_err());
}

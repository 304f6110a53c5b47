//! Clients that are slow, broken or hostile, between normal ones whose answers stay the same.
//!
//! `VERDICT_MUTANTS` says how many requests are damaged (2,000), `VERDICT_SEED` where the random choices begin (0).

use std::time::{Duration, Instant};

use serve::ServeConfig;
use test_support::{HttpConnection, Random, setting};

use crate::support::{TestServer, refusal};

fn impatient(config: &mut ServeConfig) {
    config.limits.read_timeout = Duration::from_millis(300);
    config.limits.max_body_bytes = 100_000;
}

const HEAD: &str = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";

#[test]
fn bodies_that_cannot_be_meant_are_refused_by_their_kind() {
    let server = TestServer::start(impatient);
    let before = server.labels("a good film");
    let deep = format!("{{\"inputs\": {}{}}}", "[".repeat(40_000), "]".repeat(40_000));
    let cases: [(&[u8], u16); 6] = [
        (b"{\"inputs\": \"\xff\"}", 400),
        (deep.as_bytes(), 422),
        (br#"{"inputs": "\ud83d"}"#, 400),
        (br#"{"inputs": {"text": "a"}}"#, 422),
        (br#"{"inputs": 1e999}"#, 400),
        (br#"{"inputs": "a"}}"#, 400),
    ];
    for (body, status) in cases {
        assert_eq!(
            refusal(&server.post("/predict", body)).0,
            status,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(60)])
        );
    }
    assert_eq!(server.labels("a good film"), before);
}

#[test]
fn large_bodies_are_refused_by_what_they_say_and_by_what_they_are() {
    let server = TestServer::start(impatient);
    let large = format!("{{\"inputs\": \"{}\"}}", "a ".repeat(200_000));
    let said = server.post("/predict", &large);
    assert_eq!(refusal(&said), (413, "Validation".to_owned()));
    // Without a length, in chunks.
    let mut connection = server.connect();
    connection.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 50_000, "a".repeat(50_000));
    for _ in 0..3 {
        connection.send(chunk.as_bytes()).unwrap();
    }
    connection.send(b"0\r\n\r\n").unwrap();
    assert_eq!(refusal(&connection.answer(false).unwrap()).0, 413);
    // What is allowed is taken.
    assert_eq!(server.post("/predict", format!("{{\"inputs\": \"{}\"}}", "a ".repeat(40_000))).status, 200);
}

#[test]
fn other_types_of_content_are_refused_with_a_hint() {
    let server = TestServer::start(|_| {});
    for headers in [
        &[][..],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
    ] {
        let answer = server.connect().request("POST", "/predict", headers, br#"{"inputs": "good"}"#).unwrap();
        assert_eq!(refusal(&answer), (415, "Validation".to_owned()), "{headers:?}");
    }
}

#[test]
fn a_body_that_does_not_come_is_given_up_even_if_it_trickles() {
    let server = TestServer::start(impatient);
    for pause in [Duration::from_secs(2), Duration::from_millis(20)] {
        let (mut slow, began) = (server.connect(), Instant::now());
        slow.send(format!("{HEAD}Content-Length: 1000\r\n\r\n").as_bytes()).unwrap();
        while began.elapsed() < Duration::from_millis(350) && pause < Duration::from_secs(1) {
            let _ = slow.send(b"{");
            std::thread::sleep(pause);
        }
        assert_eq!(refusal(&slow.answer(false).unwrap()), (408, "Timeout".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(slow.is_closed());
    }
    server.labels("good");
}

#[test]
fn headers_that_do_not_come_close_the_connection_and_hold_up_nobody() {
    let server = TestServer::start(impatient);
    let mut silent: Vec<HttpConnection> = (0..50).map(|_| server.connect()).collect();
    for connection in &mut silent[..25] {
        connection.send(b"POST /predict HTTP/1.1\r\nX-Slow: ").unwrap();
    }
    let began = Instant::now();
    server.labels("good");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for connection in &mut silent {
        assert!(connection.is_closed(), "a connection without headers stays open");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_connection_may_be_idle_for_longer_than_its_headers_may_take() {
    let server = TestServer::start(|config| {
        impatient(config);
        config.limits.idle_timeout = Duration::from_millis(1200);
    });
    let mut kept = server.connect();
    let get = |kept: &mut HttpConnection| kept.request("GET", "/health", &[], b"").map(|answer| answer.status);
    assert_eq!(get(&mut kept).unwrap(), 200);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(get(&mut kept).unwrap(), 200, "idle for twice the time of headers");
    let began = Instant::now();
    kept.send(b"GET /health HTTP/1.1\r\n").unwrap();
    assert!(kept.is_closed() && began.elapsed() < Duration::from_millis(900), "headers that don't end");
    let (mut idle, began) = (server.connect(), Instant::now());
    assert_eq!(get(&mut idle).unwrap(), 200);
    assert!(idle.is_closed() && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn more_connections_than_there_is_room_for_are_told_so() {
    let server = TestServer::start(|config| {
        impatient(config);
        config.limits.max_connections = 4;
    });
    let kept: Vec<HttpConnection> = (0..4).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(50));
    let mut one_more = server.connect();
    assert_eq!(refusal(&one_more.answer(false).unwrap()), (503, "Overloaded".to_owned()));
    drop(kept);
    std::thread::sleep(Duration::from_millis(200));
    server.labels("good");
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let server = TestServer::start(impatient);
    let mut deaf = server.connect();
    let request = "GET /docs HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    let began = Instant::now();
    // Answers of some kilobytes each, until both sides' buffers are full.
    while deaf.send(request.as_bytes()).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "the connection stays open");
    }
    server.labels("good");
}

#[test]
fn damaged_requests_change_no_normal_answer() {
    let (count, seed): (u64, u64) = (setting("VERDICT_MUTANTS").unwrap_or(2000), setting("VERDICT_SEED").unwrap_or(0));
    let server = TestServer::start(|config| config.limits.read_timeout = Duration::from_millis(50));
    let before = server.labels("a good film");
    let body =
        r#"{"inputs": [["good"], ["a bad film"]], "truncate": true, "raw_scores": false, "parameters": {"top_k": 2}}"#;
    let whole = format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let mut choices = Random::new(seed);
    for number in 0..count {
        let mut bytes = whole.clone();
        for _ in 0..=choices.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = choices.below(bytes.len());
            match choices.below(5) {
                0 => bytes[at] = choices.below(256) as u8,
                1 => drop(bytes.drain(at..(at + 1 + choices.below(8)).min(bytes.len()))),
                2 => bytes.insert(at, b"{}[]\",:\\\0\r\n \xff-"[choices.below(14)]),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let copy = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        let mut connection = server.connect();
        if connection.send(&bytes).is_ok() && number % 16 == 0 {
            // One in a few waits for whatever comes; the others are gone at once.
            if let Ok(answer) = connection.answer(false) {
                assert!(
                    answer.status < 500 || answer.status == 503,
                    "seed {seed}, request {number}: {}",
                    answer.status
                );
            }
        }
        if number % 100 == 0 {
            assert_eq!(server.labels("a good film"), before, "seed {seed}, request {number}");
        }
    }
    assert_eq!(server.labels("a good film"), before);
    assert_eq!(server.metric("te_request_failure{err=\"backend\"}"), 0.0);
}

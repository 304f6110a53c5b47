//! Files over HTTP: what is wrong with one is said by its row and column, limits hold, other requests are answered between its
//! rows, and nothing of it stays on the disk. That labels and columns are those of the command is tested with the real model.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serve::FileLimits;
use test_support::HttpAnswer;

use crate::support::{TestServer, WordClassifier, json, refusal};

/// A server that keeps its files in a folder of the test.
fn server(folder: &Path, classifier: WordClassifier, configure: impl FnOnce(&mut FileLimits)) -> TestServer {
    TestServer::with(classifier, |config| {
        config.files.folder = folder.to_owned();
        configure(&mut config.files);
    })
}

fn label(server: &TestServer, query: &str, file: &[u8]) -> HttpAnswer {
    let mut connection = server.connect();
    connection.request("POST", &format!("/label?{query}"), &[], file).expect("an answer")
}

fn summary(answer: &HttpAnswer) -> Value {
    let header = answer.header("x-label-summary").unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
    serde_json::from_str(header).expect("JSON")
}

fn progress(server: &TestServer, id: &str) -> Option<Value> {
    let answer = server.get(&format!("/label/progress?id={id}"));
    (answer.status == 200).then(|| json(&answer))
}

/// Waits until so many rows of a file are labeled.
fn wait_for_rows(server: &TestServer, id: &str, rows: u64) {
    let began = Instant::now();
    while progress(server, id).is_none_or(|progress| progress["rows_done"].as_u64() < Some(rows)) {
        assert!(began.elapsed() < Duration::from_secs(60), "{id}: no progress");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Files that the server has stored and not removed.
fn stored(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Waits until the server has removed them, which it may do after its answer.
fn wait_for_removal(folder: &Path) {
    let began = Instant::now();
    while stored(folder) > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{} files are left", stored(folder));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_row_gets_its_label_and_what_is_noticed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), WordClassifier::default(), |_| {});
    let file = "id;text\n1;a good film\n2;\n3;bad bad\n4;xyz\n5;a a a a a a a a a a good\n";
    let answer = label(&server, "name=%C3%BCber.csv", file.as_bytes());
    let said = summary(&answer);
    assert_eq!(said["name"], "über-labeled.csv");
    assert_eq!(said["labels"], json!([["negative", 1], ["neutral", 2], ["positive", 1]]));
    let notes: Vec<&str> = said["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    for expected in [
        "separator ';'",
        "the text is in column \"text\"",
        "1 of 5 rows without a text, and so without a label: row 2",
        "1 of 5 rows cut off after 8 tokens, the most that the model reads",
        "1 of 5 rows with no word that the vocabulary knows; their labels mean nothing: row 4",
    ] {
        assert!(notes.contains(&expected), "{expected}: {notes:?}");
    }
    let lines: Vec<&str> = answer.text().lines().collect();
    assert_eq!(
        lines[0],
        "id,text,predicted_label,probability_negative,probability_neutral,probability_positive,truncated,unknown_words"
    );
    assert!(
        lines[1].starts_with("1,a good film,positive,") && lines[3].starts_with("3,bad bad,negative,"),
        "{lines:?}"
    );
    assert_eq!(lines[2], "2,,,,,,,");
    assert!(lines[4].ends_with(",false,1") && lines[5].ends_with(",true,0"), "{lines:?}");
    let disposition = answer.header("content-disposition").unwrap();
    assert_eq!(disposition, "attachment; filename=\"_ber-labeled.csv\"; filename*=UTF-8''%C3%BCber-labeled.csv");
    wait_for_removal(folder.path());
}

#[test]
fn what_is_wrong_with_a_file_is_said_by_row_and_column_and_nothing_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), WordClassifier::default(), |limits| {
        (limits.max_bytes, limits.max_rows) = (20_000, 100);
    });
    let rows = |last: &str| format!("{}{last}\n", "{\"text\": \"film\"}\n".repeat(90)).into_bytes();
    let many = format!("text\n{}", "film\n".repeat(101)).into_bytes();
    // Letters that pack well: the limit is that of the unpacked cells.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(format!("text\n{}", format!("{}\n", "a".repeat(30_000)).repeat(9)).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 20_000);
    let cases: [(&str, Vec<u8>, u16, &str); 12] = [
        ("name=a.csv", b"one,two\nfilm,x\n".to_vec(), 422, "a.csv: no column is called text"),
        ("name=a.csv", b"one,two\nfilm,x\n".to_vec(), 422, "(hint: text_column=NAME)"),
        (
            "name=a.jsonl",
            rows("{\"text\": 5}"),
            422,
            "a.jsonl: row 91, column \"text\": \"5\", a number, is not a text (hint: text_column)",
        ),
        ("name=a.jsonl", rows("{\"text\": "), 422, "a.jsonl: line 91"),
        ("name=a.xlsx", b"PK".to_vec(), 422, "a.xlsx: expected a name that ends in .csv"),
        ("name=a.csv.gz", packed[..packed.len() / 2].to_vec(), 422, "a.csv.gz: "),
        ("name=a.csv", Vec::new(), 422, "a.csv: the file is empty"),
        ("name=a.csv&label=x", b"text\nfilm\n".to_vec(), 422, "found \"label\""),
        ("", b"text\nfilm\n".to_vec(), 422, "(hint: /label?name=reviews.csv)"),
        ("name=a.csv", many, 413, "a.csv: expected at most 100 rows, found more"),
        ("name=a.csv", vec![b'a'; 20_001], 413, "a.csv: expected a file of at most 20000 bytes"),
        ("name=a.csv.gz", packed, 413, "expected at most 160000 bytes, found more when it is unpacked"),
    ];
    for (query, file, status, expected) in cases {
        let answer = label(&server, query, &file);
        assert_eq!(refusal(&answer), (status, "Validation".to_owned()), "{query}: {}", answer.text());
        let error = json(&answer)["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected), "{query}: expected {expected}, found {error}");
        assert!(!error.contains(folder.path().to_str().unwrap()) && !error.contains("hint: --"), "{query}: {error}");
    }
    assert!(server.classifier.batches.lock().unwrap().is_empty(), "the model saw a text of a file that is refused");
    let elsewhere = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://example.org")];
    let answer = server.connect().request("POST", "/label?name=a.csv", &elsewhere, b"text\nfilm\n").unwrap();
    assert!(answer.status == 422 && answer.text().contains("another web page"), "{}", answer.text());
    assert_eq!(label(&server, "name=a.csv", b"text\nfilm\n").status, 200);
    for query in ["", "?id=", "?id=0.5", "?name=a"] {
        let answer = server.get(&format!("/label/progress{query}"));
        assert_eq!(refusal(&answer), (422, "Validation".to_owned()), "{query}: {}", answer.text());
    }
    wait_for_removal(folder.path());
}

#[test]
fn single_texts_are_answered_between_the_rows_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = WordClassifier { pause: Duration::from_millis(10), ..WordClassifier::default() };
    let server = server(folder.path(), classifier, |limits| limits.max_files = 2);
    let file = format!("text\n{}", "a good film\n".repeat(30_000));
    std::thread::scope(|threads| {
        let send = |id: &'static str| {
            let (server, file) = (&server, &file);
            threads.spawn(move || label(server, &format!("name=a.csv&progress={id}"), file.as_bytes()))
        };
        let files = [send("one"), send("two")];
        wait_for_rows(&server, "one", 1);
        wait_for_rows(&server, "two", 1);
        assert_eq!(progress(&server, "one").unwrap()["rows"], 30_000);
        let third = label(&server, "name=b.csv", b"text\nfilm\n");
        assert_eq!((refusal(&third), third.header("retry-after")), ((429, "Overloaded".to_owned()), Some("1")));
        for _ in 0..10 {
            let asked = Instant::now();
            assert_eq!(server.labels("bad")[0]["label"], "negative");
            // Two turns of the files, of 10 ms each, and what a busy machine takes.
            assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
        }
        assert!(files.iter().all(|file| !file.is_finished()), "the files were labeled before the texts were sent");
        for file in files {
            let answer = file.join().unwrap();
            assert_eq!(summary(&answer)["labels"], json!([["negative", 0], ["neutral", 0], ["positive", 30_000]]));
            assert_eq!(answer.text().lines().count(), 30_001);
        }
    });
    assert_eq!(progress(&server, "one"), None);
    wait_for_removal(folder.path());
}

#[test]
fn a_file_whose_client_has_gone_is_given_up_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = WordClassifier { pause: Duration::from_millis(20), ..WordClassifier::default() };
    let server = server(folder.path(), classifier, |limits| limits.max_files = 1);
    let file = format!("text\n{}", "a good film\n".repeat(50_000));
    let mut client = server.connect();
    let head =
        format!("POST /label?name=a.csv&progress=gone HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", file.len());
    client.send(head.as_bytes()).and_then(|()| client.send(file.as_bytes())).unwrap();
    wait_for_rows(&server, "gone", 1);
    drop(client);
    wait_for_removal(folder.path());
    assert_eq!(progress(&server, "gone"), None);
    assert_eq!(label(&server, "name=b.csv", b"text\nfilm\n").status, 200, "its place is free");
}

#[test]
fn a_file_on_which_the_model_fails_is_refused_whole_and_the_next_is_labeled() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), WordClassifier::default(), |limits| limits.max_files = 1);
    for (word, status) in [("panic", 503), ("fail", 503), ("nan", 424)] {
        let file = format!("text\n{}{word}\n", "good\n".repeat(300));
        let answer = label(&server, "name=a.csv", file.as_bytes());
        assert_eq!(refusal(&answer), (status, "Backend".to_owned()), "{word}");
        assert_eq!(label(&server, "name=a.csv", b"text\ngood\n").status, 200, "after {word}");
    }
    wait_for_removal(folder.path());
}

#[test]
fn a_file_that_takes_too_long_or_that_can_not_be_stored_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = WordClassifier { pause: Duration::from_millis(50), ..WordClassifier::default() };
    let file = format!("text\n{}", "a good film\n".repeat(20_000));
    let server = server(folder.path(), classifier, |limits| limits.timeout = Duration::from_secs(1));
    let answer = label(&server, "name=a.csv", file.as_bytes());
    assert_eq!(refusal(&answer), (503, "Timeout".to_owned()), "{}", answer.text());
    wait_for_removal(folder.path());
    let nowhere = folder.path().join("missing");
    let server = self::server(&nowhere, WordClassifier::default(), |_| {});
    let answer = label(&server, "name=a.csv", b"text\nfilm\n");
    assert_eq!(refusal(&answer), (503, "Backend".to_owned()), "{}", answer.text());
    assert!(!answer.text().contains(nowhere.to_str().unwrap()), "{}", answer.text());
}

#[test]
fn a_server_that_stops_finishes_a_file_or_says_that_it_can_not() {
    let folder = tempfile::tempdir().unwrap();
    for (rows, pause, shutdown, expected) in [(2_000, 2, 30, 200), (50_000, 20, 2, 503)] {
        let classifier = WordClassifier { pause: Duration::from_millis(pause), ..WordClassifier::default() };
        let server = TestServer::with(classifier, |config| {
            config.files.folder = folder.path().to_owned();
            config.limits.shutdown_timeout = Duration::from_secs(shutdown);
        });
        let file = format!("text\n{}", "a good film\n".repeat(rows));
        let answer = std::thread::scope(|threads| {
            let sent = threads.spawn(|| label(&server, "name=a.csv&progress=last", file.as_bytes()));
            wait_for_rows(&server, "last", 1);
            server.tell_to_stop();
            sent.join().unwrap()
        });
        assert_eq!(answer.status, expected, "{rows} rows");
        server.end().unwrap_or_else(|error| panic!("{rows} rows: {error}"));
        wait_for_removal(folder.path());
    }
}

//! Files that are sent to `verdict serve` come back as `verdict predict --file` writes them, and what is wrong with one is said
//! by its row and column.

use std::thread::scope;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{HttpAnswer, HttpServer, Sandbox};

/// A folder with a run that tells praise from blame.
fn trained() -> Sandbox {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds("train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 12 --output run");
    sandbox
}

fn serve(sandbox: &Sandbox, flags: &str) -> HttpServer {
    let temporary = sandbox.path("temporary");
    std::fs::create_dir_all(&temporary).expect("a folder");
    let temporary = temporary.to_str().expect("UTF-8").to_owned();
    HttpServer::start(sandbox, &format!("serve --run run --port 0 {flags}"), &[("TMPDIR", &temporary)])
}

/// Files that the server has stored and not removed.
fn stored(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.path("temporary")).expect("a folder").count()
}

fn label(server: &HttpServer, query: &str, file: &[u8]) -> HttpAnswer {
    server.ask("POST", &format!("/label?{query}"), &[], file)
}

fn summary(answer: &HttpAnswer) -> Value {
    let header = answer.header("x-label-summary").unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
    serde_json::from_str(header).expect("JSON")
}

#[test]
fn every_format_comes_back_as_the_command_writes_it() {
    let sandbox = trained();
    sandbox.write(
        "new.csv",
        "id,Review,stars\n007,\"The film is superb ,\na the .\",5\n\"8,5\",the plot is awful a the,\"\"\n9,\"  \",3\n\
         10,a \"\"quoted\"\" qqq story,1\n",
    );
    sandbox.succeeds("predict --run run --file new.csv --output 1.csv");
    let server = serve(&sandbox, "");
    let mut from = "new.csv".to_owned();
    // Each file is the input of the next, so every format is read and written.
    for to in ["1.csv", "2.csv.gz", "3.jsonl", "4.parquet", "5.tsv", "6.arrow", "7.json.zst", "8.csv"] {
        sandbox.succeeds(&format!("predict --run run --file {from} --output {to}"));
        let ending = to.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').split('.').next().unwrap();
        let answer = label(&server, &format!("name={from}&output={ending}"), &sandbox.read(&from));
        assert_eq!(answer.status, 200, "{from}: {}", answer.text());
        assert!(answer.header("content-disposition").unwrap().contains("-labeled."), "{from}");
        assert_eq!(summary(&answer)["labels"].as_array().unwrap().len(), 2, "{from}");
        if !to.ends_with(".gz") && !to.ends_with(".zst") {
            assert!(answer.body == sandbox.read(to), "{from} to {to}: other bytes than the command's");
        }
        from = to.to_owned();
    }
    // The same format comes back where none is asked for, compressed as it was.
    let answer = label(&server, "name=a%2F2.csv.gz", &sandbox.read("2.csv.gz"));
    assert!(answer.header("content-disposition").unwrap().contains("filename=\"2-labeled.csv.gz\""));
    sandbox.succeeds("predict --run run --file 2.csv.gz --output 2-labeled.csv.gz");
    assert!(answer.body == sandbox.read("2-labeled.csv.gz"));
    let answer = label(&server, "name=lines.txt", b"the film is superb\nthe plot is awful\n");
    assert_eq!((summary(&answer)["name"].clone(), summary(&answer)["rows"].clone()), (json!("lines-labeled.csv"), json!(2)));
    assert!(answer.text().starts_with("text,predicted_label,probability_negative,"), "{}", answer.text());
    assert_eq!(stored(&sandbox), 0, "files are removed");
}

#[test]
fn what_is_noticed_is_said_beside_the_file() {
    let sandbox = trained();
    let server = serve(&sandbox, "");
    let file = "Überschrift;body;title\nx;is superb;the film\ny;;\nz;qqq;qqq\n";
    let answer = label(&server, "name=%C3%BCber.csv&text_column=title,body&text_separator=+", file.as_bytes());
    let summary = summary(&answer);
    assert_eq!((&summary["name"], &summary["rows"]), (&json!("über-labeled.csv"), &json!(3)), "{summary}");
    let notes: Vec<&str> = summary["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    for expected in [
        "separator ';'",
        "the text is in columns \"title\" and \"body\"",
        "1 of 3 rows without a text, and so without a label: row 2",
        "1 of 3 rows with no word that the vocabulary knows; their labels mean nothing: row 3",
    ] {
        assert!(notes.iter().any(|note| note.contains(expected)), "{expected}: {notes:?}");
    }
    assert!(answer.text().starts_with("Überschrift,body,title,predicted_label"), "{}", answer.text());
}

#[test]
fn what_is_wrong_with_a_file_is_said_by_row_and_column_and_nothing_else_is_told() {
    let sandbox = trained();
    let server = serve(&sandbox, "--max-file-bytes 20000 --max-file-rows 100");
    let rows = |last: &str| format!("{}{last}\n", "{\"text\": \"film\"}\n".repeat(90));
    let many = format!("text\n{}", "film\n".repeat(101));
    // Zeros that pack well: the limit is that of the unpacked cells.
    let packed = sandbox.path("zeros.csv.gz");
    let pack = "printf 'text\\n' > z.csv && for i in 1 2 3 4 5 6 7 8 9; do head -c 30000 /dev/zero | tr '\\0' a >> z.csv; \
                echo >> z.csv; done && gzip -c z.csv > zeros.csv.gz";
    let packs = std::process::Command::new("sh").args(["-c", pack]).current_dir(sandbox.path("")).status();
    assert!(packs.expect("sh").success());
    let cases: [(&str, Vec<u8>, u16, &str); 9] = [
        ("name=a.csv", b"one,two\nfilm,x\n".to_vec(), 422, "a.csv: no column is called text"),
        ("name=a.csv", b"one,two\nfilm,x\n".to_vec(), 422, "(hint: text_column=NAME)"),
        ("name=a.jsonl", rows("{\"text\": 5}").into_bytes(), 422, "a.jsonl: row 91, column \"text\": 5"),
        ("name=a.jsonl", rows("{\"text\": ").into_bytes(), 422, "a.jsonl: line 91: "),
        ("name=a.xlsx", b"PK".to_vec(), 422, "a.xlsx: expected a name that ends in .csv"),
        ("name=a.csv", many.into_bytes(), 413, "a.csv: expected at most 100 rows, found more"),
        ("name=a.csv", vec![b'a'; 20_001], 413, "a.csv: expected a file of at most 20000 bytes"),
        ("name=a.csv.gz", std::fs::read(packed).unwrap(), 413, "expected at most 160000 bytes, found more when it is unpacked"),
        ("name=a.csv&label=x", b"text\nfilm\n".to_vec(), 422, "found \"label\""),
    ];
    for (query, file, status, expected) in cases {
        let answer = label(&server, query, &file);
        let error = answer.json()["error"].as_str().expect("an error").to_owned();
        assert_eq!(answer.status, status, "{query}: {error}");
        assert!(error.contains(expected), "{query}: expected {expected}, found {error}");
        assert!(!error.contains(sandbox.path("").to_str().unwrap()) && !error.contains(" --"), "{query}: {error}");
    }
    assert_eq!(label(&server, "name=a.csv", b"text\nfilm\n").status, 200);
    assert_eq!(stored(&sandbox), 0, "files are removed");
}

#[test]
fn single_texts_are_answered_between_the_rows_of_files() {
    let sandbox = trained();
    let server = serve(&sandbox, "--max-files 2");
    let file = format!("text\n{}", "the film is superb and the plot is lovely\n".repeat(30_000));
    scope(|threads| {
        let large: Vec<_> = (0..2)
            .map(|number| {
                let (server, file) = (&server, &file);
                threads.spawn(move || label(server, &format!("name=a.csv&progress=file{number}"), file.as_bytes()))
            })
            .collect();
        let began = Instant::now();
        let progress = |number| server.ask("GET", &format!("/label/progress?id=file{number}"), &[], b"");
        // The rows are counted and some are labeled.
        while !(0..2).all(|number| progress(number).status == 200 && progress(number).json()["rows_done"] != 0) {
            assert!(began.elapsed() < Duration::from_secs(60), "no progress");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(progress(0).json()["rows"], 30_000);
        let third = label(&server, "name=b.csv", b"text\nfilm\n");
        assert_eq!((third.status, third.header("retry-after")), (429, Some("1")), "{}", third.text());
        let body = br#"{"inputs": "the plot is awful"}"#;
        let asked = Instant::now();
        let mut answers = 0;
        while !large.iter().any(|file| file.is_finished()) && answers < 20 {
            let answer = server.ask("POST", "/predict", &[("Content-Type", "application/json")], body);
            assert_eq!((answer.status, &answer.json()[0]["label"]), (200, &json!("negative")));
            answers += 1;
        }
        assert!(answers >= 5, "{answers} single texts while two files were labeled");
        assert!(asked.elapsed() < Duration::from_secs(1) * answers, "{answers} in {:?}", asked.elapsed());
        for file in large {
            let answer = file.join().unwrap();
            assert_eq!(summary(&answer)["labels"], json!([["negative", 0], ["positive", 30_000]]));
            assert_eq!(answer.text().lines().count(), 30_001);
        }
    });
    assert_eq!(server.ask("GET", "/label/progress?id=file0", &[], b"").status, 404);
    assert_eq!(stored(&sandbox), 0, "files are removed");
}

#[test]
fn a_file_whose_client_has_gone_is_given_up_and_removed() {
    use std::io::Write;
    let sandbox = trained();
    let server = serve(&sandbox, "--max-files 1");
    let file = format!("text\n{}", "the film is superb and the plot is lovely\n".repeat(50_000));
    let mut client = std::net::TcpStream::connect(server.address().trim_start_matches("http://")).expect("connects");
    let head = format!("POST /label?name=a.csv&progress=gone HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", file.len());
    client.write_all(head.as_bytes()).and_then(|()| client.write_all(file.as_bytes())).expect("sends");
    let began = Instant::now();
    let progress = || server.ask("GET", "/label/progress?id=gone", &[], b"");
    while progress().status != 200 || progress().json()["rows_done"] == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(client);
    let began = Instant::now();
    while progress().status != 404 || stored(&sandbox) > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the file is still labeled");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(label(&server, "name=b.csv", b"text\nfilm\n").status, 200, "its place is free");
}

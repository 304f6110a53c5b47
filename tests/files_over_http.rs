//! Files that are sent to `verdict serve` come back as `verdict predict --file` writes them. (What is refused, and how files and
//! other requests go together, is tested in `crates/serve/tests/`.)

use serde_json::{Value, json};
use table::{Cell, ReadOptions, Table};
use test_support::HttpAnswer;

use crate::support::{HttpServer, Sandbox};

fn serve(sandbox: &Sandbox) -> HttpServer {
    let temporary = sandbox.path("temporary");
    std::fs::create_dir_all(&temporary).expect("a folder");
    let temporary = temporary.to_str().expect("UTF-8").to_owned();
    HttpServer::start(sandbox, "--run run", &[("TMPDIR", &temporary)])
}

/// Files that the server has stored and not removed.
fn stored(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.path("temporary")).expect("a folder").count()
}

fn label(server: &HttpServer, query: &str, file: &[u8]) -> HttpAnswer {
    server.ask("POST", &format!("/label?{query}"), file)
}

fn summary(answer: &HttpAnswer) -> Value {
    let header = answer
        .header("x-label-summary")
        .unwrap_or_else(|| panic!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
    serde_json::from_str(header).expect("JSON")
}

/// The rows of a file; archives of the same rows may be of other bytes.
fn rows(sandbox: &Sandbox, name: &str) -> Vec<Vec<Cell>> {
    let table = Table::open(&sandbox.path(name), &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let columns: Vec<usize> = (0..table.columns().len()).collect();
    table.rows(&columns).expect("rows").map(|row| row.expect("a row").cells).collect()
}

#[test]
fn every_format_comes_back_as_the_command_writes_it() {
    let sandbox = Sandbox::trained(12);
    sandbox.write(
        "new.csv",
        "id,Review,stars\n007,\"The film is superb ,\na the .\",5\n\"8,5\",the plot is awful a the,\"\"\n9,\"  \",3\n\
         10,a \"\"quoted\"\" qqq story,1\n",
    );
    sandbox.succeeds("predict --run run --file new.csv --output 1.csv");
    let server = serve(&sandbox);
    let mut from = "new.csv".to_owned();
    // Each file is the input of the next, so every format is read and written.
    for to in ["1.csv", "2.csv.gz", "3.jsonl", "4.parquet", "5.tsv", "6.arrow", "7.json.zst", "8.csv"] {
        sandbox.succeeds(&format!("predict --run run --file {from} --output {to}"));
        let ending = to.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').split('.').next().unwrap();
        let answer = label(&server, &format!("name={from}&output={ending}"), &sandbox.read(&from));
        assert_eq!(answer.status, 200, "{from}: {}", String::from_utf8_lossy(&answer.body));
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
    std::fs::write(sandbox.path("2-labeled.csv.gz"), &answer.body).expect("writes");
    sandbox.succeeds("predict --run run --file 2.csv.gz --output expected.csv.gz");
    assert_eq!(rows(&sandbox, "2-labeled.csv.gz"), rows(&sandbox, "expected.csv.gz"));
    let answer = label(&server, "name=lines.txt", b"the film is superb\nthe plot is awful\n");
    assert_eq!(
        (summary(&answer)["name"].clone(), summary(&answer)["rows"].clone()),
        (json!("lines-labeled.csv"), json!(2))
    );
    assert!(answer.text().starts_with("text,predicted_label,probability_negative,"), "{}", answer.text());
    assert_eq!(stored(&sandbox), 0, "files are removed");
}

#[test]
fn what_is_noticed_is_said_beside_the_file() {
    let sandbox = Sandbox::trained(12);
    let server = serve(&sandbox);
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

//! People's files: each row comes back in its place with all its columns and a label, and labeled files are scored with the
//! model's own labels.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use table::{Cell, ReadOptions, Table};

use crate::support::{Output, Sandbox};

const TRAIN: &str = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 12 --output run";

/// A folder with a run that tells praise from blame.
fn trained() -> Sandbox {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(TRAIN);
    sandbox
}

/// The names of a file's columns, and its rows.
fn read(sandbox: &Sandbox, name: &str) -> (Vec<String>, Vec<Vec<Cell>>) {
    let table = Table::open(&sandbox.path(name), &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
    let rows = table.rows(&(0..names.len()).collect::<Vec<_>>()).expect("rows");
    (names, rows.map(|row| row.expect("a row").cells).collect())
}

fn texts(cells: &[Cell]) -> Vec<String> {
    cells.iter().map(Cell::to_string).collect()
}

const ADDED: [&str; 5] =
    ["predicted_label", "probability_negative", "probability_positive", "truncated", "unknown_words"];

#[test]
fn every_format_keeps_its_rows_and_columns_and_gets_labels() {
    let sandbox = trained();
    sandbox.write(
        "new.csv",
        "id,Review,stars\n007,\"The film is superb ,\na the .\",5\n\"8,5\",the plot is awful a the,\"\"\n\
         9,\"  \",3\n10,a \"\"quoted\"\" qqq story,1\n",
    );
    let expected = [
        ["007", "The film is superb ,\na the .", "5"],
        ["8,5", "the plot is awful a the", ""],
        ["9", "  ", "3"],
        ["10", "a \"\"quoted\"\" qqq story", "1"],
    ];
    let mut from = "new.csv".to_owned();
    // Each file is the input of the next, so every format is read and written.
    for to in ["1.csv", "2.jsonl", "3.parquet", "4.tsv", "5.arrow", "6.json"] {
        let line = format!("predict --run run --file {from} --output {to}");
        let output = sandbox.run(&line);
        assert_eq!((output.code, output.out.as_str()), (0, ""), "{line}: {}", output.err);
        assert!(
            output.err.contains("1 of 4 rows without a text, and so without a label: row 3"),
            "{line}: {}",
            output.err
        );
        let (names, rows) = read(&sandbox, to);
        assert_eq!(
            (names[..3].to_vec(), names[3..8].to_vec()),
            (texts_of(&["id", "Review", "stars"]), texts_of(&ADDED))
        );
        assert_eq!(rows.len(), 4, "{to}");
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(texts(&row[..3]), expected, "{to}");
        }
        let label = |row: usize| rows[row][3].to_string();
        assert_eq!([label(0), label(1), label(2)], ["positive", "negative", ""], "{to}");
        let number = |row: usize, column: usize| -> f64 { rows[row][column].to_string().parse().expect("a number") };
        assert!((number(0, 4) + number(0, 5) - 1.0).abs() < 1e-5 && number(0, 5) > 0.5, "{to}");
        assert_eq!((texts(&rows[2][3..8]), number(3, 7)), (vec![String::new(); 5], 6.0), "{to}");
        from = to.to_owned();
    }
    let (names, _) = read(&sandbox, "6.json");
    assert_eq!(names.last().map(String::as_str), Some("unknown_words_6"), "columns of earlier predictions stay");
}

fn texts_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn several_files_and_patterns_are_labeled_in_order() {
    let sandbox = trained();
    for part in [2, 10, 1] {
        sandbox.write(&format!("parts/{part}.csv"), &format!("id,text\n{part},a lovely film\n{part}5,a dull film\n"));
    }
    sandbox.succeeds("predict --run run --file parts/*.csv --output all.csv");
    let ids = |name: &str| read(&sandbox, name).1.iter().map(|row| row[0].to_string()).collect::<Vec<_>>();
    assert_eq!(ids("all.csv"), ["1", "15", "2", "25", "10", "105"]);
    sandbox.succeeds("predict --run run --file parts/10.csv --file parts/1.csv --output two.csv");
    assert_eq!(ids("two.csv"), ["10", "105", "1", "15"]);
    let error = sandbox.fails("predict --run run --file parts/1.csv --output parts/1.csv");
    assert!(error.contains("would replace the file that is read"), "{error}");
    sandbox.write("bad.csv", "id,text\n1,fine\n2,a,b\n");
    sandbox.write("kept.csv", "older");
    assert!(sandbox.fails("predict --run run --file bad.csv --output kept.csv").contains("bad.csv: line 3"));
    assert_eq!(sandbox.read("kept.csv"), b"older", "nothing half-written takes its place");
}

#[test]
fn lines_for_people_stay_lines() {
    let sandbox = trained();
    sandbox
        .write("new.jsonl", "{\"text\": \"one\\ntwo\\t\\u001b[31mred\"}\n{\"text\": null}\n{\"text\": \"lovely\"}\n");
    let out = sandbox.succeeds("predict --run run --file new.jsonl");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].contains("one\\ntwo\\t\\u{1b}[31mred") && !out.contains('\u{1b}'), "{out:?}");
    assert!(lines[1].starts_with('-') && lines[1].ends_with("(no text)"), "{out}");
    let json = sandbox.succeeds("predict --run run --file new.jsonl --json");
    let values: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((values[0]["text"].as_str(), values[1]["label"].is_null()), (Some("one\ntwo\t\u{1b}[31mred"), true));
    assert_eq!(values[2]["unknown_words"], 0);
}

#[test]
fn the_name_of_a_file_is_no_text_unless_it_is_meant() {
    let sandbox = trained();
    let error = sandbox.fails("predict --run run lovely reviews.csv");
    assert!(error.contains("\"reviews.csv\" is a file") && error.contains("--file reviews.csv"), "{error}");
    let out = sandbox.succeeds("predict --run run lovely -- reviews.csv -5");
    assert_eq!(out.lines().count(), 3, "{out}");
    let error = sandbox.fails("predict --run run lovely --separator ;");
    assert!(error.contains("--separator says how --file is read"), "{error}");
    let error = sandbox.fails("predict --run run --file reviews.csv --text-column body");
    assert!(error.contains("no column \"body\"; columns found: text, label"), "{error}");
}

/// Whoever writes a line and waits gets its answer, in every format that is read as it comes.
#[test]
fn an_answer_comes_as_soon_as_no_more_input_is_waiting() {
    let sandbox = trained();
    for (flags, header, row) in [
        ("", "", "a lovely film\n"),
        ("--json", "", "a lovely film\n"),
        ("--format jsonl --output -", "", "{\"id\": 7, \"text\": \"a lovely film\"}\n"),
        ("--format csv --output -", "id,text\n", "7,\"a lovely\nfilm\"\n"),
    ] {
        let mut command = sandbox.command(&format!("predict --run run --file - {flags}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (mut stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        stdin.write_all(header.as_bytes()).expect("written");
        let mut answers = Vec::new();
        for question in 1..=3 {
            stdin.write_all(row.as_bytes()).and_then(|()| stdin.flush()).expect("written");
            let is_answer = |line: &&String| {
                !line.starts_with("id,text") && (line.contains("negative") || line.contains("positive"))
            };
            while answers.iter().filter(is_answer).count() < question {
                match lines.recv_timeout(Duration::from_secs(30)) {
                    Ok(line) => answers.push(line),
                    Err(_) => panic!("{flags:?}: no answer to row {question} while the pipe is open: {answers:?}"),
                }
            }
        }
        drop(stdin);
        assert_eq!(Output::of(child.wait_with_output().expect("ends")).code, 0);
    }
    let mut command = sandbox.command("predict --run run --file -");
    let output = Output::of(command.stdin(Stdio::null()).output().expect("starts"));
    assert_eq!((output.code, output.out.as_str()), (0, ""), "no texts are no fault: {}", output.err);
}

#[cfg(unix)]
#[test]
fn head_ends_a_table_quietly() {
    let sandbox = trained();
    sandbox.write("many.csv", &("id,text\n".to_owned() + &"1,a lovely film\n".repeat(20_000)));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "\"$@\" | head -n 2", "sh"]).arg(env!("CARGO_BIN_EXE_verdict"));
    command.args("predict --run run --file many.csv --output -".split(' ')).current_dir(sandbox.path("."));
    let output = Output::of(command.env("OMP_NUM_THREADS", "1").output().expect("a shell"));
    assert_eq!((output.code, output.out.lines().count()), (0, 2), "{}", output.err);
    assert!(!output.err.contains("error"), "{}", output.err);
}

#[test]
fn a_labeled_file_is_scored_with_the_labels_of_the_training() {
    let sandbox = Sandbox::new();
    sandbox.write_reviews("reviews.csv", 100);
    let reviews = String::from_utf8(sandbox.read("reviews.csv")).expect("UTF-8");
    // One-based numbers, so that nobody takes them for class indices.
    let numbered = reviews.replace(",positive\n", ",2\n").replace(",negative\n", ",1\n");
    sandbox.write("numbered.csv", &numbered);
    sandbox.succeeds(
        "prepare --dataset numbered.csv --label-map 1=negative,2=positive --model tiny --max-length 32 --output data",
    );
    sandbox.succeeds(TRAIN);
    sandbox.write("new/test.csv", &numbered);
    let shown = sandbox.succeeds("evaluate --run run --file new/test.csv --json figures.json");
    let figures = sandbox.json("figures.json");
    assert!(figures["accuracy"].as_f64().expect("a number") > 0.9, "{shown}");
    assert_eq!((&figures["examples"], &figures["split"]), (&200.into(), &"test.csv".into()));
    assert!(shown.contains("labels: \"1\" as \"negative\": 100 rows; \"2\" as \"positive\": 100 rows"), "{shown}");
    assert!(shown.contains("computed   in fp32, as in training on cpu"), "{shown}");
    assert_eq!(figures["precision"], "fp32");
    assert!(sandbox.path("run/report-test.csv.html").is_file() && !sandbox.path("run/evaluation-test.json").exists());

    // The same model without what training left beside it, as others publish theirs.
    std::fs::create_dir(sandbox.path("other")).expect("a folder");
    for name in ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"] {
        std::fs::copy(sandbox.path("run").join(name), sandbox.path("other").join(name)).expect("copies");
    }
    sandbox.write(
        "words.tsv",
        &reviews
            .replace(",positive\n", "\tPositive\n")
            .replace(",negative\n", "\tNegative\n")
            .replace("text,label", "text\tlabel"),
    );
    let shown = sandbox.succeeds("evaluate --run other --file words.tsv --precision fp32 --output kept/here");
    assert!(shown.contains("\"Negative\" as \"negative\": 100 rows"), "{shown}");
    let other = sandbox.json("kept/here/evaluation-words.tsv.json");
    assert_eq!((&other["accuracy"], &other["model"]), (&figures["accuracy"], &"other".into()));
    assert!(sandbox.path("kept/here/report-words.tsv.html").is_file());
    assert_eq!(std::fs::read_dir(sandbox.path("other")).expect("a folder").count(), 4, "nothing is written there");

    sandbox.write("third.csv", &reviews.replacen(",positive\n", ",neutral\n", 1));
    let error = sandbox.fails("evaluate --run run --file third.csv");
    assert!(
        error.contains("third.csv: row 1 (line 2), column \"label\": label \"neutral\" is not one that the model"),
        "{error}"
    );
    assert!(error.contains("negative, positive"), "{error}");
    let mapped = sandbox.succeeds(
        "evaluate --run run --file third.csv --label-map neutral=positive,positive=positive,negative=negative",
    );
    assert!(mapped.contains("\"neutral\" as \"positive\": 1 rows"), "{mapped}");
    assert!(sandbox.fails("evaluate --run other").contains("has no run.toml, so it was not trained here"));
}

#[test]
fn scores_that_can_not_be_those_of_a_trained_model_are_called_that() {
    let sandbox = Sandbox::prepared();
    let output =
        sandbox.run("train --data data --learning-rate 1e-7 --warmup-steps 4 --max-steps 4 --threads 1 --output run");
    assert!(
        output.err.contains("WARN the learning rate rose to 7.50e-8 and never reached its peak of 1.00e-7"),
        "{}",
        output.err
    );
    let metrics = sandbox.json("run/metrics.json");
    let notes = metrics["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert!(notes.iter().any(|note| note.starts_with("the learning rate rose to")), "{notes:?}");
    let shown = sandbox.succeeds("evaluate --run run --split train");
    assert!(
        shown.contains("\nwarning: every example is predicted ") || shown.contains("\nwarning: the accuracy "),
        "{shown}"
    );
    let report = String::from_utf8(sandbox.read("run/report-train.html")).expect("UTF-8");
    assert!(
        report.contains("a model that has learned nothing") || report.contains("is not above"),
        "said in the report too"
    );
}

/// As on a disk that is shared read-only.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_can_not_be_written_to_is_scored_and_shown() {
    let sandbox = trained();
    // Root may write whatever the permissions are, but not to what is mounted read-only, in a mount namespace of its own.
    let script = "set -e; if test $(id -u) = 0; then mount --bind run run; mount -o remount,ro,bind run; \
                  else chmod 555 run; fi; echo ready >&2; \"$@\"; chmod 755 run 2>/dev/null || true";
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        "if test $(id -u) = 0; then exec unshare -m sh -c \"$0\" sh \"$@\"; else exec sh -c \"$0\" sh \"$@\"; fi",
    ]);
    command.arg(script).arg(env!("CARGO_BIN_EXE_verdict")).args("evaluate --run run --split test".split(' '));
    command.current_dir(sandbox.path(".")).env("OMP_NUM_THREADS", "1");
    let output = Output::of(command.output().expect("a shell"));
    if !output.err.contains("ready") {
        return test_support::skipped(&format!("no folder can be made read-only here: {}", output.err));
    }
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("accuracy"), "{}", output.out);
    let note = "note: run can't be written to, so nothing was kept (hint: --output DIR)";
    assert!(output.err.contains(note) && !output.err.contains("wrote "), "{}", output.err);
    assert!(!sandbox.path("run/evaluation-test.json").exists());
}

//! Ambiguous or invalid labels, the treebank's trees, and splits.

use std::fmt::Write as _;

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

/// The words of the texts below that a tiny model doesn't know.
const WORDS: [&str; 34] = [
    "number", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "##0", "##1", "##2", "##3", "##4", "##5", "##6", "##7",
    "##8", "##9", "another", "one", "more", "they", "tell", "long", "winding", "of", "twice", "fine", "good", "bad",
    "old",
];

/// A table of `rows` different texts.
fn table(rows: usize, label: impl Fn(usize) -> String) -> String {
    let mut text = "text,label\n".to_owned();
    for row in 0..rows {
        let _ = writeln!(text, "film number {row},{}", label(row));
    }
    text
}

/// Sixty rows with these labels, repeated in this order.
fn repeated(labels: &[&str]) -> String {
    table(60, |row| labels[row % labels.len()].to_owned())
}

#[test]
fn bad_labels_are_refused_in_these_words() {
    let mut all = MessageGroup::new("labels", "Labels", Sandbox::new());
    let sandbox = all.sandbox();
    sandbox.write_model("tiny", &WORDS);
    sandbox.write("valid.csv", "text,label\nanother film,0\none more film,1\n");
    sandbox.write("third.csv", "text,label\nanother film,0\none more film,2\n");
    sandbox.write("unlabeled.csv", "text,label\nanother film,-1\none more film,-1\n");
    sandbox.write("half.csv", "text,label\nanother film,0\none more film,\n");
    sandbox.write("longer.csv", "text,label\n\"they tell a long and winding story of one film twice\",0\n");
    let both = "--validation-file valid.csv --test-file valid.csv";

    all.fails_with_table("-1 in every row", "a.csv", repeated(&["-1"]), "");
    all.fails_with_table("-1 in some rows", "a.csv", repeated(&["0", "1", "-1"]), "");
    all.fails_with_table("labels that start at 1", "a.csv", repeated(&["1", "2", "3"]), "");
    all.fails_with_table("a gap in the labels", "a.csv", repeated(&["0", "1", "3"]), "");
    all.fails_with_table("a negative label", "a.csv", repeated(&["-2", "0", "1"]), "");
    all.fails_with_table("numbers and words", "a.csv", repeated(&["0", "1", "positive"]), "");
    all.fails_with_table("fractional ratings", "a.csv", repeated(&["0.5", "3.5"]), "");
    all.fails_with_table(
        "one label that is not an integer",
        "a.csv",
        table(60, |row| if row == 41 { "0.7".into() } else { (row % 2).to_string() }),
        "",
    );
    all.fails_with_table(
        "a row without a label",
        "a.csv",
        table(60, |row| if row == 7 { String::new() } else { (row % 2).to_string() }),
        "",
    );
    all.fails_with_table("only one class", "a.csv", repeated(&["positive"]), "");
    all.fails_with_table(
        "labels that differ only in case",
        "a.csv",
        repeated(&["positive", "negative", "Positive"]),
        "",
    );
    all.fails_with_table("a different label in every row", "a.csv", table(1500, |row| format!("name {row}")), "");
    all.fails_with_table(
        "a class that only validation has",
        "a.csv",
        repeated(&["0", "1"]),
        "--validation-file third.csv --test-file valid.csv",
    );
    all.fails_with_table(
        "a class that only test has",
        "a.csv",
        repeated(&["0", "1"]),
        "--validation-file valid.csv --test-file third.csv",
    );
    all.fails_with_table("words in train and numbers in validation", "a.csv", repeated(&["neg", "pos"]), both);
    all.fails_with_table(
        "a validation split without labels",
        "a.csv",
        repeated(&["0", "1"]),
        "--validation-file unlabeled.csv --test-file valid.csv",
    );
    all.fails_with_table(
        "a test split with some labels missing",
        "a.csv",
        repeated(&["0", "1"]),
        "--validation-file valid.csv --test-file half.csv",
    );
    all.fails_with_table(
        "a label map that omits a value",
        "a.csv",
        repeated(&["1", "2", "3"]),
        "--label-map 1=negative,2=positive",
    );
    all.fails_with_table("a label map with one class", "a.csv", repeated(&["1", "2"]), "--label-map 1=film,2=film");
    all.fails_with_table(
        "a label map of values that do not occur",
        "a.csv",
        repeated(&["0", "1"]),
        "--label-map neg=negative,pos=positive",
    );
    all.fails_with_table(
        "a mapped class that only validation has",
        "a.csv",
        repeated(&["0", "1"]),
        "--label-map 0=bad,1=good,2=mixed --validation-file third.csv --test-file valid.csv",
    );
    all.fails_with_table("a value mapped twice", "a.csv", repeated(&["0", "1"]), "--label-map 0=bad,1=good,0=worse");
    all.fails_with_table("a label map with an empty name", "a.csv", repeated(&["0", "1"]), "--label-map 0=bad,1=");
    all.fails_with_table("a label map without =", "a.csv", repeated(&["0", "1"]), "--label-map bad,good");
    all.fails_with_table("an empty label map", "a.csv", repeated(&["0", "1"]), "--label-map=");
    let twice = format!("{}{}", repeated(&["0", "1"]), repeated(&["1", "0"]).replace("text,label\n", ""));
    all.fails_with_table("every text with two labels", "a.csv", twice, "");
    all.fails_with_table(
        "training texts in validation",
        "a.csv",
        format!("{}another film,0\n", repeated(&["0", "1"])),
        both,
    );
    all.fails_with_table(
        "a training text inside a test text",
        "a.csv",
        format!("{}a long and winding story of one film,0\n", repeated(&["0", "1"])),
        "--validation-file valid.csv --test-file longer.csv",
    );
    all.finish();
}

#[test]
fn bad_trees_are_refused_in_these_words() {
    let mut all = MessageGroup::new("treebank", "The treebank's trees", Sandbox::new());
    let line = "prepare --dataset sst2 --source sst --model tiny --max-length 32";
    let good = "(3 (2 It) (4 works))\n(1 (2 It) (0 fails))\n";
    for file in ["train.txt", "dev.txt", "test.txt"] {
        all.sandbox().write(&format!("sst/{file}"), good);
    }
    let deep = format!("{}(2 It){}", "(3 ".repeat(600), ")".repeat(600));
    let long = format!("(3 {})", "a".repeat(70_000));
    for (name, tree) in [
        ("an unclosed bracket", "(3 (2 It) (4 works)"),
        ("an extra closing bracket", "(3 (2 It) (4 works)))"),
        ("a label beyond 4", "(7 (2 It) (4 works))"),
        ("a line that ends before a label", "(3 (2 It) ("),
        ("a plain sentence", "It works."),
        ("two trees on one line", "(3 (2 It) (4 works)) (3 (2 It) (4 works))"),
        ("a node without words", "(3 (2 It) (4 ))"),
        ("two words in a node", "(3 It works)"),
        ("a word beside nodes", "(3 (2 It) works)"),
        ("nesting 600 levels deep", &deep),
        ("a line of 70,000 bytes", &long),
        ("only blank lines", " \n\n"),
    ] {
        let text = if tree.trim().is_empty() { tree.to_owned() } else { format!("{good}{tree}\n") };
        all.fails_with(name, "sst/train.txt", Edit::Content(text.as_bytes()), line);
    }
    all.fails_with("Latin-1", "sst/dev.txt", Edit::Content(b"(3 (2 It) (4 caf\xE9))\n"), line);
    all.fails_with("an empty file", "sst/dev.txt", Edit::Content(b""), line);
    all.fails_with("a missing file", "sst/test.txt", Edit::Delete, line);
    all.fails_with("only neutral sentences", "sst/train.txt", Edit::Content(b"(2 (2 It) (2 is))\n"), line);
    all.fails("a missing folder", &line.replace("--source sst", "--source nowhere"));
    all.fails("the folder given to --dataset", "prepare --dataset sst --model tiny --max-length 32");
    all.fails_with(
        "a folder with train.txt only",
        "own/train.txt",
        Edit::Content(good.as_bytes()),
        "prepare --dataset own --model tiny",
    );
    all.finish();
}

#[test]
fn bad_splits_are_refused_in_these_words() {
    let mut all = MessageGroup::new("splits", "Splits", Sandbox::new());
    let sandbox = all.sandbox();
    sandbox.write_model("tiny", &WORDS);
    sandbox.write("a.csv", &repeated(&["0", "1"]));
    sandbox.write("few.csv", "text,label\nfine,1\ndull,0\nwarm,1\n");
    sandbox.write("empty.csv", "text,label\n");
    sandbox.write("other.csv", "film,label\nfine,1\n");
    sandbox.write("bare.csv", "text\nfine\n");
    sandbox.write("folder/train.csv", "text,label\nfine,1\n");
    sandbox.write("none/validation.csv", "text,label\nfine,1\n");
    for (name, line) in [
        ("too few rows to split", "--dataset few.csv"),
        ("too few rows to split off validation", "--dataset few.csv --test-file a.csv"),
        ("a ratio of 0", "--dataset a.csv --split-ratio 0"),
        ("a ratio of 0.5", "--dataset a.csv --split-ratio 0.5"),
        ("a ratio of NaN", "--dataset a.csv --split-ratio nan"),
        ("a ratio that is not a number", "--dataset a.csv --split-ratio tenth"),
        ("a missing validation file", "--dataset a.csv --validation-file no.csv"),
        ("a validation file without a text column", "--dataset a.csv --validation-file other.csv"),
        ("a validation file without a label column", "--dataset a.csv --validation-file bare.csv"),
        ("a validation file without rows", "--dataset a.csv --validation-file empty.csv"),
        ("a test file without rows", "--dataset a.csv --test-file empty.csv"),
        ("a validation file with a folder", "--dataset folder --validation-file a.csv"),
        ("a folder without a training file", "--dataset none"),
        ("the training file as test file", "--dataset a.csv --validation-file few.csv --test-file a.csv"),
    ] {
        all.fails(name, &format!("prepare {line} --model tiny --max-length 32"));
    }
    all.finish();
}

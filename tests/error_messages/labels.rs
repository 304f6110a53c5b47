//! Labels that mean something else than they seem, the treebank's trees, and splits.

use std::fmt::Write as _;

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

/// A table of `rows` different texts.
fn table(rows: usize, label: impl Fn(usize) -> String) -> String {
    let mut text = "text,label\n".to_owned();
    for row in 0..rows {
        let _ = writeln!(text, "film number {row},{}", label(row));
    }
    text
}

/// Sixty rows whose labels are these in turn.
fn turns(labels: &[&str]) -> String {
    table(60, |row| labels[row % labels.len()].to_owned())
}

#[test]
fn bad_labels_are_refused_in_these_words() {
    let mut all = MessageGroup::new("labels", "Labels", Sandbox::new());
    let sandbox = all.sandbox();
    sandbox.write("sound.csv", "text,label\nanother film,0\none more film,1\n");
    sandbox.write("third.csv", "text,label\nanother film,0\none more film,2\n");
    sandbox.write("unlabelled.csv", "text,label\nanother film,-1\none more film,-1\n");
    sandbox.write("half.csv", "text,label\nanother film,0\none more film,\n");
    sandbox.write("longer.csv", "text,label\n\"they tell a long and winding story of one film twice\",0\n");
    let both = "--validation-file sound.csv --test-file sound.csv";

    all.table("-1 in every row", "a.csv", turns(&["-1"]), "");
    all.table("-1 in some rows", "a.csv", turns(&["0", "1", "-1"]), "");
    all.table("numbers from 1", "a.csv", turns(&["1", "2", "3"]), "");
    all.table("a number left out", "a.csv", turns(&["0", "1", "3"]), "");
    all.table("a negative number", "a.csv", turns(&["-2", "0", "1"]), "");
    all.table("numbers and words", "a.csv", turns(&["0", "1", "positive"]), "");
    all.table("ratings", "a.csv", turns(&["0.5", "3.5"]), "");
    all.table(
        "one that isn't whole",
        "a.csv",
        table(60, |row| if row == 41 { "0.7".into() } else { (row % 2).to_string() }),
        "",
    );
    all.table(
        "a row without a label",
        "a.csv",
        table(60, |row| if row == 7 { String::new() } else { (row % 2).to_string() }),
        "",
    );
    all.table("one class alone", "a.csv", turns(&["positive"]), "");
    all.table("one word in two cases", "a.csv", turns(&["positive", "negative", "Positive"]), "");
    all.table("as many labels as rows", "a.csv", table(1500, |row| format!("name {row}")), "");
    all.table(
        "a class that only validation has",
        "a.csv",
        turns(&["0", "1"]),
        "--validation-file third.csv --test-file sound.csv",
    );
    all.table(
        "a class that only test has",
        "a.csv",
        turns(&["0", "1"]),
        "--validation-file sound.csv --test-file third.csv",
    );
    all.table("words in train, numbers in validation", "a.csv", turns(&["neg", "pos"]), both);
    all.table(
        "validation without labels",
        "a.csv",
        turns(&["0", "1"]),
        "--validation-file unlabelled.csv --test-file sound.csv",
    );
    all.table(
        "test with half its labels",
        "a.csv",
        turns(&["0", "1"]),
        "--validation-file sound.csv --test-file half.csv",
    );
    all.table("a map that leaves a value out", "a.csv", turns(&["1", "2", "3"]), "--label-map 1=negative,2=positive");
    all.table("a map to one class", "a.csv", turns(&["1", "2"]), "--label-map 1=film,2=film");
    all.table(
        "a map of values that aren't there",
        "a.csv",
        turns(&["0", "1"]),
        "--label-map neg=negative,pos=positive",
    );
    all.table(
        "a mapped class that only validation has",
        "a.csv",
        turns(&["0", "1"]),
        "--label-map 0=bad,1=good,2=mixed --validation-file third.csv --test-file sound.csv",
    );
    all.table("a value mapped twice", "a.csv", turns(&["0", "1"]), "--label-map 0=bad,1=good,0=worse");
    all.table("a map without a name", "a.csv", turns(&["0", "1"]), "--label-map 0=bad,1=");
    all.table("a map that isn't one", "a.csv", turns(&["0", "1"]), "--label-map bad,good");
    all.table("an empty map", "a.csv", turns(&["0", "1"]), "--label-map=");
    let twice = format!("{}{}", turns(&["0", "1"]), turns(&["1", "0"]).replace("text,label\n", ""));
    all.table("every text with two labels", "a.csv", twice, "");
    all.table("training texts in validation", "a.csv", format!("{}another film,0\n", turns(&["0", "1"])), both);
    all.table(
        "a training text inside a test text",
        "a.csv",
        format!("{}a long and winding story of one film,0\n", turns(&["0", "1"])),
        "--validation-file sound.csv --test-file longer.csv",
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
        ("a bracket that is never closed", "(3 (2 It) (4 works)"),
        ("a bracket too many", "(3 (2 It) (4 works)))"),
        ("a label beyond 4", "(7 (2 It) (4 works))"),
        ("the line ends at a label", "(3 (2 It) ("),
        ("a plain sentence", "It works."),
        ("two trees on a line", "(3 (2 It) (4 works)) (3 (2 It) (4 works))"),
        ("a node without words", "(3 (2 It) (4 ))"),
        ("two words in a node", "(3 It works)"),
        ("a word beside nodes", "(3 (2 It) works)"),
        ("nested 600 deep", &deep),
        ("a line of 70,000 bytes", &long),
        ("only blank lines", " \n\n"),
    ] {
        let text = if tree.trim().is_empty() { tree.to_owned() } else { format!("{good}{tree}\n") };
        all.with(name, "sst/train.txt", Edit::Is(text.as_bytes()), line);
    }
    all.with("Latin-1", "sst/dev.txt", Edit::Is(b"(3 (2 It) (4 caf\xE9))\n"), line);
    all.with("an empty file", "sst/dev.txt", Edit::Is(b""), line);
    all.with("a file is missing", "sst/test.txt", Edit::Gone, line);
    all.with("neutral sentences alone", "sst/train.txt", Edit::Is(b"(2 (2 It) (2 is))\n"), line);
    all.fails("no such folder", &line.replace("--source sst", "--source nowhere"));
    all.fails("the folder as a data set", "prepare --dataset sst --model tiny --max-length 32");
    all.with(
        "not three files but one",
        "own/train.txt",
        Edit::Is(good.as_bytes()),
        "prepare --dataset own --model tiny",
    );
    all.finish();
}

#[test]
fn bad_splits_are_refused_in_these_words() {
    let mut all = MessageGroup::new("splits", "Splits", Sandbox::new());
    let sandbox = all.sandbox();
    sandbox.write("a.csv", &turns(&["0", "1"]));
    sandbox.write("few.csv", "text,label\nfine,1\ndull,0\nwarm,1\n");
    sandbox.write("empty.csv", "text,label\n");
    sandbox.write("other.csv", "film,label\nfine,1\n");
    sandbox.write("bare.csv", "text\nfine\n");
    sandbox.write("folder/train.csv", "text,label\nfine,1\n");
    sandbox.write("none/validation.csv", "text,label\nfine,1\n");
    for (name, line) in [
        ("too few rows to split", "--dataset few.csv"),
        ("too few rows for one more split", "--dataset few.csv --test-file a.csv"),
        ("a ratio of 0", "--dataset a.csv --split-ratio 0"),
        ("a ratio of half", "--dataset a.csv --split-ratio 0.5"),
        ("a ratio that isn't a number", "--dataset a.csv --split-ratio nan"),
        ("a ratio in words", "--dataset a.csv --split-ratio tenth"),
        ("a validation file that isn't there", "--dataset a.csv --validation-file no.csv"),
        ("a validation file without a text", "--dataset a.csv --validation-file other.csv"),
        ("a validation file without a label column", "--dataset a.csv --validation-file bare.csv"),
        ("a validation file without rows", "--dataset a.csv --validation-file empty.csv"),
        ("a test file without rows", "--dataset a.csv --test-file empty.csv"),
        ("a validation file beside a folder", "--dataset folder --validation-file a.csv"),
        ("a folder without a training file", "--dataset none"),
        ("the training file as test file", "--dataset a.csv --validation-file few.csv --test-file a.csv"),
    ] {
        all.fails(name, &format!("prepare {line} --model tiny --max-length 32"));
    }
    all.finish();
}

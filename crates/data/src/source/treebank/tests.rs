//! The treebank from a folder and from files like the Hub's.

use std::fs;

use super::{DATASETS, read_parquet};
use crate::load_options::DatasetOptions;
use crate::record::Split;
use crate::source::tests::{TempDataset, dataset, parquet, strings, texts};
use crate::source::{SourceChoice, load};

const TREES: [(&str, &str); 3] = [
    ("train.txt", "(4 (3 good) (2 film))\n(0 (1 bad) (2 film))\n(2 (2 a) (2 film))\n"),
    ("dev.txt", "(3 good)\n\n"),
    ("test.txt", "(1 (2 -LRB-) (1 bad))\r\n"),
];

#[test]
fn a_folder_of_trees_is_the_treebank() {
    let temp = TempDataset::new();
    for (name, content) in TREES {
        temp.write(name, content);
    }
    let source = SourceChoice::Folder(temp.path().into());
    let options = DatasetOptions::default();
    let loaded = load(&dataset("sst2"), &source, &options).expect("a treebank");
    assert_eq!(texts(&loaded.train), [("good film", Some(1)), ("bad film", Some(0))]);
    assert_eq!(texts(&loaded.test), [("( bad", Some(0))]);
    assert_eq!(loaded.variant, "SST-2 roots: 2/1/1 sentences, not the 67,349 phrases of GLUE");
    assert_eq!(loaded.notes, ["NOT THE PUBLISHED TREEBANK: it has 6,920/872/1,821 sentences"]);
    assert_eq!(loaded.source_sha256.len(), 3);
    assert!(
        loaded.disambiguation.expect("named apart").starts_with("This is SST-2 as whole sentences (6,920 to train on")
    );
    assert_eq!(loaded.places.name(Split::Test, 0), "test row 1", "the trees' own rows are not kept");
    let loaded = load(&dataset("sst3"), &source, &options).expect("a treebank");
    assert!(loaded.disambiguation.expect("named apart").contains("five classes folded into three (8,544"));
    assert_eq!(texts(&loaded.train)[2], ("a film", Some(1)));

    // `good` is a whole sentence of dev.txt, so it is no phrase to train on.
    let with_phrases = DatasetOptions { phrases: true, ..options.clone() };
    let loaded = load(&dataset("sst5"), &source, &with_phrases).expect("a treebank");
    assert!(loaded.disambiguation.expect("named apart").starts_with("This is SST-5, the fine-grained form: 8,544"));
    assert_eq!(texts(&loaded.train)[3..], [("film", Some(2)), ("bad", Some(1)), ("a", Some(2))]);
    assert_eq!(loaded.notes[1], "1 training phrases are left out: each is a whole sentence of validation or test");

    assert_eq!(
        temp.load("", &options).expect_err("trees are no table"),
        "FOLDER: this folder is the treebank (hint: --dataset sst2 --source DIR)"
    );
    temp.write("dev.txt", "(3 good)\n(3 (7 bad))\n");
    let error = load(&dataset("sst2"), &source, &options).expect_err("a broken tree");
    assert_eq!(temp.plain(&error.to_string()), "dev.txt: line 2: column 5: expected a label from 0 to 4, found \"7\"");
    fs::remove_file(temp.path().join("dev.txt")).expect("removed");
    let error = load(&dataset("sst2"), &source, &options).expect_err("a file is missing");
    assert_eq!(
        temp.plain(&error.to_string()),
        "FOLDER: not the treebank: dev.txt missing (hint: --source DIR needs train.txt, dev.txt and test.txt in DIR)"
    );
}

#[test]
fn the_treebank_of_the_hub() {
    let temp = TempDataset::new();
    let file = |split: &str, trees: &[&str]| {
        parquet(temp.path().join(format!("ptb/{split}/0000.parquet")), vec![("ptb_tree", strings(trees))], &[])
    };
    let files = [
        file("train", &["(4 (3 good) (2 film))", "(2 so)"]),
        file("validation", &["(0 (2 -LRB-) (1 bad))"]),
        file("test", &["(3 fine)"]),
    ];
    let trees = read_parquet(files.clone(), "the Hub".into()).expect("trees");
    let loaded = trees.load(&DATASETS[2], &DatasetOptions::default()).expect("a data set");
    assert_eq!(texts(&loaded.train), [("good film", Some(4)), ("so", Some(2))]);
    assert_eq!(texts(&loaded.validation), [("( bad", Some(0))]);
    let names: Vec<&str> = loaded.source_sha256.keys().map(String::as_str).collect();
    assert_eq!(names, ["test/0000.parquet", "train/0000.parquet", "validation/0000.parquet"]);
    file("validation", &["(0 bad)", "(0 (9 bad))"]);
    let error = read_parquet(files, "the Hub".into()).expect_err("a broken tree").to_string();
    assert_eq!(
        temp.plain(&error),
        "ptb/validation/0000.parquet: row 2, column \"ptb_tree\": column 5: expected a label from 0 to 4, found \"9\""
    );
}

//! The data sets with a name, splits by hash, and folders.

use super::*;
use crate::record::Split;

#[test]
fn names_are_read_and_written() {
    for name in ["sst2", "sst3", "sst5", "glue-sst2", "reviews", "reviews3", "reviews5", "my/own.csv"] {
        assert_eq!(name.parse::<Dataset>().expect("a data set").name(), name);
    }
    assert_eq!("stanford".parse::<SourceChoice>().expect("a source"), SourceChoice::Stanford);
    assert_eq!("trees".parse::<SourceChoice>().expect("a folder"), SourceChoice::Folder("trees".into()));
    assert!("".parse::<Dataset>().is_err() && "".parse::<SourceChoice>().is_err());
}

const TREES: [(&str, &str); 3] = [
    ("train.txt", "(4 (3 good) (2 film))\n(0 (1 bad) (2 film))\n(2 (2 a) (2 film))\n"),
    ("dev.txt", "(3 good)\n\n"),
    ("test.txt", "(1 (2 -LRB-) (1 bad))\r\n"),
];

#[test]
fn a_folder_of_trees_is_the_treebank() {
    let desk = Desk::new();
    for (name, content) in TREES {
        desk.write(name, content);
    }
    let source = SourceChoice::Folder(desk.path().into());
    let options = DatasetOptions::default();
    let loaded = load(&Dataset::Sst2, &source, &options).expect("a treebank");
    assert_eq!(texts(&loaded.train), [("good film", Some(1)), ("bad film", Some(0))]);
    assert_eq!(texts(&loaded.test), [("( bad", Some(0))]);
    assert_eq!(loaded.variant, "SST-2 roots: 2/1/1 sentences, not the 67,349 phrases of GLUE");
    assert_eq!(loaded.notes, ["NOT THE PUBLISHED TREEBANK: it has 6,920/872/1,821 sentences"]);
    assert_eq!(loaded.source_sha256.len(), 3);
    assert!(
        loaded.disambiguation.expect("named apart").starts_with("This is SST-2 as whole sentences (6,920 to train on")
    );
    assert_eq!(loaded.places.name(Split::Test, 0), "test row 1", "the trees' own rows are not kept");
    let loaded = load(&Dataset::Sst3, &source, &options).expect("a treebank");
    assert!(loaded.disambiguation.expect("named apart").contains("five classes folded into three (8,544"));
    assert_eq!(texts(&loaded.train)[2], ("a film", Some(1)));

    // `good` is a whole sentence of dev.txt, so it is no phrase to train on.
    let with_phrases = DatasetOptions { phrases: true, ..options.clone() };
    let loaded = load(&Dataset::Sst5, &source, &with_phrases).expect("a treebank");
    assert!(loaded.disambiguation.expect("named apart").starts_with("This is SST-5, the fine-grained form: 8,544"));
    assert_eq!(texts(&loaded.train)[3..], [("film", Some(2)), ("bad", Some(1)), ("a", Some(2))]);
    assert_eq!(loaded.notes[1], "1 training phrases are left out: each is a whole sentence of validation or test");

    assert_eq!(
        desk.load("", &options).expect_err("trees are no table"),
        "FOLDER: this folder is the treebank (hint: --dataset sst2 --source DIR)"
    );
    desk.write("dev.txt", "(3 good)\n(3 (7 bad))\n");
    let error = load(&Dataset::Sst2, &source, &options).expect_err("a broken tree");
    assert_eq!(desk.plain(&error.to_string()), "dev.txt: line 2: column 5: \"7\" where a label, 0 to 4, belongs");
    fs::remove_file(desk.path().join("dev.txt")).expect("removed");
    let error = load(&Dataset::Sst2, &source, &options).expect_err("a file is missing");
    assert_eq!(
        desk.plain(&error.to_string()),
        "FOLDER: not the treebank: dev.txt missing (hint: --source DIR wants train.txt, dev.txt, test.txt in DIR)"
    );
}

#[test]
fn reviews_are_cut_by_rating_and_split_by_hash() {
    let desk = Desk::new();
    let ratings = [-4.0, -2.0, -1.9, -1.0, -0.9, -0.5, -0.4, 0.4, 0.5, 0.9, 1.0, 1.9, 2.0, 4.0];
    let line = |(id, rating): (usize, &f64)| format!("{id}\t{rating}\tsentence number {id}\r\n");
    desk.write("movieReviewSnippets_GroundTruth.txt", ratings.iter().enumerate().map(line).collect::<String>());
    let labels = |classes: u32| {
        let dataset = Dataset::Reviews { classes };
        let loaded =
            load(&dataset, &SourceChoice::Folder(desk.path().into()), &DatasetOptions::default()).expect("reviews");
        assert_eq!(loaded.label_names.len(), classes as usize);
        let all = loaded.train.iter().chain(&loaded.validation).chain(&loaded.test);
        let mut rows: Vec<(usize, u32)> = all
            .map(|record| {
                (
                    record.text.trim_start_matches("sentence number ").parse().expect("an id"),
                    record.label.expect("a label"),
                )
            })
            .collect();
        rows.sort();
        rows.into_iter().map(|(_, label)| label).collect::<Vec<u32>>()
    };
    assert_eq!(labels(2), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(labels(3), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(labels(5), [0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4]);
    desk.write("movieReviewSnippets_GroundTruth.txt", "1\t0.7\tgood\n2\t5\tbad\n");
    let folder = SourceChoice::Folder(desk.path().into());
    let error = load(&Dataset::Reviews { classes: 2 }, &folder, &DatasetOptions::default()).expect_err("a rating of 5");
    assert_eq!(
        desk.plain(&error.to_string()),
        "movieReviewSnippets_GroundTruth.txt: line 2: rating \"5\" is not a number from -4 to 4"
    );
}

#[test]
fn the_hash_split_is_fixed_and_keeps_equal_texts_together() {
    // As Python's hashlib computes them: sha256(b"0\ntext 0"), its first eight bytes over 2^64, and so on.
    let splits: Vec<&str> = (0..12).map(|i| Split::of(&format!("text {i}"), 0, 0.25, 0.25).name()).collect();
    let expected =
        ["test", "train", "validation", "train", "train", "train", "test", "test", "train", "train", "train", "train"];
    assert_eq!(splits, expected);
    for i in 0..200 {
        let (plain, shouted) = (format!("so  good {i}"), format!(" SO good\t{i} "));
        assert_eq!(Split::of(&plain, 7, 0.2, 0.2), Split::of(&shouted, 7, 0.2, 0.2));
    }
    let share = |split: Split| (0..10_000).filter(|i| Split::of(&i.to_string(), 3, 0.1, 0.1) == split).count();
    assert!((900..1100).contains(&share(Split::Validation)) && (900..1100).contains(&share(Split::Test)));
}

#[test]
fn a_single_file_is_split_by_hash_and_rows_added_move_no_others() {
    let desk = Desk::new();
    let rows = |range: std::ops::Range<usize>| {
        range.map(|i| format!("text {i},{}\n", ["neg", "pos"][i % 2])).collect::<String>()
    };
    desk.write("small.csv", format!("text,label\n{}", rows(0..200)));
    desk.write("large.csv", format!("text,label\n{}", rows(0..300)));
    let options = DatasetOptions { split_ratio: Some(0.2), ..DatasetOptions::default() };
    let (small, large) =
        (desk.load("small.csv", &options).expect("small"), desk.load("large.csv", &options).expect("large"));
    assert_eq!(small.train.len() + small.validation.len() + small.test.len(), 200);
    assert!(small.validation.iter().all(|record| large.validation.contains(record)));
    assert!(small.test.iter().all(|record| large.test.contains(record)));
    let other = desk.load("small.csv", &DatasetOptions { seed: Some(1), ..options.clone() }).expect("another seed");
    assert_ne!(small.test, other.test);
    let with_test = DatasetOptions { test_file: Some(desk.path().join("large.csv")), ..options.clone() };
    let loaded = desk.load("small.csv", &with_test).expect("a test file");
    assert_eq!(loaded.test.len(), 300);
    assert!(!loaded.validation.is_empty());
    let wide = DatasetOptions { split_ratio: Some(0.5), ..options };
    assert_eq!(
        desk.load("small.csv", &wide).expect_err("nothing would be left"),
        "--split-ratio 0.5: a share above 0 and below 0.5 is wanted"
    );
}

#[test]
fn a_folder_needs_a_training_file_and_one_form_of_each_split() {
    let desk = Desk::new();
    desk.write("validation.csv", "text,label\nfine,pos\n");
    assert!(
        desk.load("", &DatasetOptions::default())
            .expect_err("no train")
            .starts_with("FOLDER: no training file in this folder (hint: name it train.csv, ")
    );
    desk.write("train.csv", "text,label\ngood,pos\nbad,neg\n");
    desk.write("train.jsonl", "{}");
    assert_eq!(
        desk.load("", &DatasetOptions::default()).expect_err("two forms"),
        "FOLDER: train is here as .csv and .jsonl (hint: keep one)"
    );
}

#[test]
fn flags_and_sources_that_do_not_fit_are_said_to() {
    let refused = |dataset: &str, source: &str, options: &DatasetOptions| {
        let dataset: Dataset = dataset.parse().expect("a data set");
        load(&dataset, &source.parse().expect("a source"), options).expect_err("refused").to_string()
    };
    let plain = DatasetOptions::default();
    assert_eq!(
        refused("glue-sst2", "stanford", &plain),
        "--dataset glue-sst2 is only on the Hub (hint: --source hub; or --dataset sst2 --phrases, which is made from \
         the treebank)"
    );
    assert!(refused("reviews", "hub", &plain).starts_with("--dataset reviews comes packaged"));
    assert!(refused("my.csv", "hub", &plain).contains("leave --source out"));
    let phrases = DatasetOptions { phrases: true, ..DatasetOptions::default() };
    assert_eq!(
        refused("reviews", "auto", &phrases),
        "--phrases is for the treebank: sst2, sst3, sst5, not for --dataset reviews (hint: leave it out)"
    );
    assert!(refused("sst2", "packaged", &phrases).starts_with("--phrases needs the treebank's trees"));
    let ratio = DatasetOptions { split_ratio: Some(0.1), ..DatasetOptions::default() };
    assert!(refused("sst2", "auto", &ratio).starts_with("--split-ratio is for files of your own, not for"));
    let seed = DatasetOptions { seed: Some(0), ..DatasetOptions::default() };
    assert!(refused("glue-sst2", "auto", &seed).starts_with("--seed is for files of your own, not for"));
    let drop_empty = DatasetOptions { drop_empty: true, ..DatasetOptions::default() };
    assert!(refused("reviews", "auto", &drop_empty).starts_with("--drop-empty is for files of your own and glue-sst2"));

    // Files that are split already need no ratio and no seed; a test split alone leaves validation to be taken.
    let desk = Desk::new();
    let rows: String = (0..60).map(|i| format!("text {i},{}\n", ["neg", "pos"][i % 2])).collect();
    desk.write("train.csv", format!("text,label\n{rows}"));
    desk.write("test.csv", format!("text,label\n{rows}"));
    desk.load("", &ratio).expect("validation is taken from train");
    desk.write("validation.csv", format!("text,label\n{rows}"));
    for (options, flag) in [(&ratio, "--split-ratio"), (&seed, "--seed")] {
        let message = desk.load("", options).expect_err("refused");
        assert!(message.starts_with(&format!("{flag} is for a file that is to be split")), "{message}");
    }
    desk.load("", &DatasetOptions { drop_empty: true, ..DatasetOptions::default() })
        .expect("files may have empty rows");
}

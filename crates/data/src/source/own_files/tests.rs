//! Users' files and folders, valid and invalid.

mod faults;
mod meaning;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, LargeStringArray, ListArray};
use arrow::datatypes::{DataType, Int64Type};

use crate::load_options::DatasetOptions;
use crate::source::tests::{TempDataset, integers, parquet, strings, texts};

#[test]
fn a_single_file_is_split_by_hash_and_rows_added_move_no_others() {
    let temp = TempDataset::new();
    let rows = |range: std::ops::Range<usize>| {
        range.map(|i| format!("text {i},{}\n", ["neg", "pos"][i % 2])).collect::<String>()
    };
    temp.write("small.csv", format!("text,label\n{}", rows(0..200)));
    temp.write("large.csv", format!("text,label\n{}", rows(0..300)));
    let options = DatasetOptions { split_ratio: Some(0.2), ..DatasetOptions::default() };
    let (small, large) =
        (temp.load("small.csv", &options).expect("small"), temp.load("large.csv", &options).expect("large"));
    assert_eq!(small.train.len() + small.validation.len() + small.test.len(), 200);
    assert!(small.validation.iter().all(|record| large.validation.contains(record)));
    assert!(small.test.iter().all(|record| large.test.contains(record)));
    let other = temp.load("small.csv", &DatasetOptions { seed: Some(1), ..options.clone() }).expect("another seed");
    assert_ne!(small.test, other.test);
    let with_test = DatasetOptions { test_file: vec![temp.path().join("large.csv")], ..options.clone() };
    let loaded = temp.load("small.csv", &with_test).expect("a test file");
    assert_eq!(loaded.test.len(), 300);
    assert!(!loaded.validation.is_empty());
    let wide = DatasetOptions { split_ratio: Some(0.5), ..options };
    assert_eq!(
        temp.load("small.csv", &wide).expect_err("nothing would be left"),
        "--split-ratio: expected a fraction above 0 and below 0.5, found 0.5"
    );
}

#[test]
fn a_folder_needs_a_training_file_and_one_form_of_each_split() {
    let temp = TempDataset::new();
    temp.write("validation.csv", "text,label\nfine,pos\n");
    assert!(
        temp.load("", &DatasetOptions::default())
            .expect_err("no train")
            .starts_with("FOLDER: no training file in this folder (hint: name it train.csv, ")
    );
    temp.write("train.csv", "text,label\ngood,pos\nbad,neg\n");
    temp.write("train.jsonl", "{}");
    assert_eq!(
        temp.load("", &DatasetOptions::default()).expect_err("two forms"),
        "FOLDER: train is here as .csv and .jsonl (hint: keep one)"
    );
}

#[test]
fn a_users_parquet_with_declared_names_and_shards() {
    let temp = TempDataset::new();
    let names = r#"{"info": {"features": {"label": {"names": ["bad", "mixed", "good"], "_type": "ClassLabel"}}}}"#;
    let file = |name: &str, text: ArrayRef, label: ArrayRef| {
        parquet(temp.path().join(name), vec![("text", text), ("label", label)], &[("huggingface", names)])
    };
    file("train-00000-of-00002.parquet", strings(&["a", "b"]), integers(&[0, 2]));
    file(
        "train-00001-of-00002.parquet",
        Arc::new(LargeStringArray::from(vec!["c"])),
        Arc::new(Float64Array::from(vec![2.0])),
    );
    file("validation.parquet", strings(&["d"]), integers(&[0]));
    let loaded = temp.load("", &DatasetOptions::default()).expect("a data set");
    assert_eq!(loaded.label_names, ["bad", "mixed", "good"]);
    assert_eq!(texts(&loaded.train), [("a", Some(0)), ("b", Some(2)), ("c", Some(2))]);
    assert!(loaded.notes.iter().any(|note| note.starts_with("no training row is labeled \"mixed\"")));

    // Fault 10: shards of different schema.
    file("train-00001-of-00002.parquet", strings(&["c"]), strings(&["2"]));
    assert_eq!(
        temp.load("", &DatasetOptions::default()).expect_err("two types"),
        "train-00001-of-00002.parquet: row 1, column \"label\": \"2\" is text; 0 is a number at \
         train-00000-of-00002.parquet: row 1 (hint: write every label the same way)"
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)])]);
    assert!(matches!(arrow::array::Array::data_type(&lists), DataType::List(_)));
    file("train-00001-of-00002.parquet", strings(&["c"]), Arc::new(lists));
    assert!(
        temp.load("", &DatasetOptions::default())
            .expect_err("a list")
            .starts_with("train-00001-of-00002.parquet: column \"label\" holds lists: several labels a text are not")
    );
    file("train-00001-of-00002.parquet", integers(&[1]), integers(&[1]));
    assert!(
        temp.load("", &DatasetOptions::default()).expect_err("no text").contains("column \"text\" is Int64, not text")
    );
}

/// Its labels are numbers whose names only the manifest knows.
#[test]
fn prepared_data_is_no_source() {
    let temp = TempDataset::new();
    temp.write("manifest.json", "{}");
    temp.write("train.arrow", "");
    let hint = |error: String| error.contains("this data is prepared already (hint: train with --data ");
    assert!(!hint(temp.load("train.arrow", &DatasetOptions::default()).expect_err("an empty file")));
    temp.write("audit.json", "{}");
    for name in ["train.arrow", "."] {
        assert!(hint(temp.load(name, &DatasetOptions::default()).expect_err("prepared data")), "{name}");
    }
}

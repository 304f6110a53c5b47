//! Parquet files of the Hub's schemas, written here and read as the Hub's are.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::source::hub;
use crate::treebank::Classes;

fn parquet(path: PathBuf, columns: Vec<(&str, ArrayRef)>, metadata: &[(&str, &str)]) -> PathBuf {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let batch =
        RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).expect("a batch");
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).expect("a file"), schema, Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn the_treebank_of_the_hub() {
    let desk = Desk::new();
    let file = |split: &str, trees: &[&str]| {
        parquet(desk.path().join(format!("ptb/{split}/0000.parquet")), vec![("ptb_tree", strings(trees))], &[])
    };
    let files = [
        file("train", &["(4 (3 good) (2 film))", "(2 so)"]),
        file("validation", &["(0 (2 -LRB-) (1 bad))"]),
        file("test", &["(3 fine)"]),
    ];
    let trees = hub::trees(files.clone(), "the Hub".into()).expect("trees");
    let loaded = trees.load(Classes::Five, &DatasetOptions::default(), Vec::new()).expect("a data set");
    assert_eq!(texts(&loaded.train), [("good film", Some(4)), ("so", Some(2))]);
    assert_eq!(texts(&loaded.validation), [("( bad", Some(0))]);
    let names: Vec<&str> = loaded.source_sha256.keys().map(String::as_str).collect();
    assert_eq!(names, ["test/0000.parquet", "train/0000.parquet", "validation/0000.parquet"]);
    file("validation", &["(0 bad)", "(0 (9 bad))"]);
    let error = hub::trees(files, "the Hub".into()).expect_err("a broken tree").to_string();
    assert_eq!(
        desk.plain(&error),
        "ptb/validation/0000.parquet: row 2, column \"ptb_tree\": column 5: \"9\" where a label, 0 to 4, belongs"
    );
}

#[test]
fn glue_of_the_hub() {
    let desk = Desk::new();
    let file = |split: &str, labels: &[i64]| {
        let sentences: Vec<String> = labels.iter().enumerate().map(|(i, _)| format!("{split} sentence {i} ")).collect();
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let index = Int32Array::from_iter_values(0..labels.len() as i32);
        let columns =
            vec![("idx", Arc::new(index) as ArrayRef), ("sentence", strings(&sentences)), ("label", integers(labels))];
        parquet(desk.path().join(format!("data/{split}-00000-of-00001.parquet")), columns, &[])
    };
    let files = [file("train", &[0, 1, 1]), file("validation", &[1, 0]), file("test", &[-1, -1])];
    let loaded = hub::glue_files(files.clone(), "the Hub".into(), false).expect("a data set");
    assert_eq!(loaded.label_names, ["negative", "positive"]);
    let labels = |records: &[Record]| records.iter().map(|record| record.label).collect::<Vec<_>>();
    assert_eq!(labels(&loaded.train), [Some(0), Some(1), Some(1)]);
    assert_eq!(labels(&loaded.test), [None, None]);
    let disambiguation = loaded.disambiguation.expect("GLUE's form is told apart");
    for figure in ["67,349 phrases", "872", "1,821", "labels are hidden", "6,920", "8,544"] {
        assert!(disambiguation.contains(figure), "{figure} is not in {disambiguation}");
    }
    assert!(loaded.variant.starts_with("GLUE SST-2: 3 training phrases, 2 validation sentences, 2 unlabelled test"));
    file("train", &[0, 1, 2]);
    let error = hub::glue_files(files, "the Hub".into(), false).expect_err("2 is no label of GLUE's").to_string();
    assert_eq!(
        desk.plain(&error),
        "data/train-00000-of-00001.parquet: row 3, column \"label\": label \"2\" is not one of 0, 1 (hint: --label-map)"
    );
}

#[test]
fn a_persons_parquet_with_declared_names_and_shards() {
    let desk = Desk::new();
    let names = r#"{"info": {"features": {"label": {"names": ["bad", "mixed", "good"], "_type": "ClassLabel"}}}}"#;
    let file = |name: &str, text: ArrayRef, label: ArrayRef| {
        parquet(desk.path().join(name), vec![("text", text), ("label", label)], &[("huggingface", names)])
    };
    file("train-00000-of-00002.parquet", strings(&["a", "b"]), integers(&[0, 2]));
    file(
        "train-00001-of-00002.parquet",
        Arc::new(LargeStringArray::from(vec!["c"])),
        Arc::new(Float64Array::from(vec![2.0])),
    );
    file("validation.parquet", strings(&["d"]), integers(&[0]));
    let loaded = desk.load("", &DatasetOptions::default()).expect("a data set");
    assert_eq!(loaded.label_names, ["bad", "mixed", "good"]);
    assert_eq!(texts(&loaded.train), [("a", Some(0)), ("b", Some(2)), ("c", Some(2))]);
    assert!(loaded.notes.iter().any(|note| note.starts_with("no training row is labelled \"mixed\"")));

    // Fault 10: shards of different schema.
    file("train-00001-of-00002.parquet", strings(&["c"]), strings(&["2"]));
    assert_eq!(
        desk.load("", &DatasetOptions::default()).expect_err("two types"),
        "train-00001-of-00002.parquet: row 1, column \"label\": \"2\" is text; 0 is a number at \
         train-00000-of-00002.parquet: row 1 (hint: write every label the same way)"
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)])]);
    assert!(matches!(arrow::array::Array::data_type(&lists), DataType::List(_)));
    file("train-00001-of-00002.parquet", strings(&["c"]), Arc::new(lists));
    assert_eq!(
        desk.load("", &DatasetOptions::default()).expect_err("a list"),
        "train-00001-of-00002.parquet: column \"label\" is List(Int64), not text, a number or a boolean (hint: \
         --label-column)"
    );
    file("train-00001-of-00002.parquet", integers(&[1]), integers(&[1]));
    assert!(
        desk.load("", &DatasetOptions::default()).expect_err("no text").contains("column \"text\" is Int64, not text")
    );
}

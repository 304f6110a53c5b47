//! Files as people bring them: what their columns and labels mean, or why they are refused.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::datatypes::Int64Type;
use table::ReadOptions;

use crate::label_map::LabelMap;
use crate::load_options::DatasetOptions;
use crate::record::Record;
use crate::source::tests::{TempDataset, integers, parquet, strings, texts};

/// Rows of a CSV file, `row` making one of its number.
fn csv(header: &str, rows: usize, row: impl Fn(usize) -> String) -> String {
    let rows: String = (0..rows).map(|at| row(at) + "\n").collect();
    format!("{header}\n{rows}")
}

fn labels<'a>(records: &[Record], names: &'a [String]) -> Vec<Option<&'a str>> {
    records.iter().map(|record| record.label.map(|label| names[label as usize].as_str())).collect()
}

fn map(flag: &str) -> DatasetOptions {
    DatasetOptions { label_map: Some(LabelMap::from_flag(flag).expect(flag)), ..DatasetOptions::default() }
}

#[test]
fn columns_are_found_by_name_and_said_in_one_note() {
    let temp = TempDataset::new();
    temp.write("train.csv", "id,Review,sentiment\n1,good,pos\n2,bad,neg\n");
    temp.write("validation.csv", "id,Review,sentiment\n1,fine,pos\n");
    temp.write("test.csv", "id,text\n1,what\n");
    let loaded = temp.load("", &DatasetOptions::default()).expect("a data set");
    let said: Vec<&String> = loaded.notes.iter().filter(|note| note.contains("column")).collect();
    assert_eq!(
        said,
        [
            "found by name: the text is column \"Review\", the label is column \"sentiment\"; in test.csv the text is column \
          \"text\" (hint: --text-column, --label-column)"
        ]
    );
    let temp = TempDataset::new();
    temp.accepted("a.csv", "1,2,3\nx,good,pos\ny,bad,neg\n".replace("1,2,3", "a,text,label"));
    let named =
        DatasetOptions { text_column: Some("2".into()), label_column: Some("3".into()), ..temp.beside_validation() };
    temp.write("other/validation.csv", "a,text,label\nx,fine,pos\n");
    let loaded = temp.load("a.csv", &named).expect("by number");
    assert_eq!(texts(&loaded.train), [("good", Some(1)), ("bad", Some(0))]);
    assert!(!loaded.notes.iter().any(|note| note.contains("column")), "{:?}", loaded.notes);
}

#[test]
fn texts_of_several_columns_are_joined() {
    let temp = TempDataset::new();
    let content = "title,body,label\nGreat,I loved it,pos\n,It dragged,neg\nNo, ,neg\n";
    temp.write("a.csv", content);
    temp.write("other/validation.csv", "title,body,label\na,b,pos\n");
    let file = temp.path().join("other/validation.csv");
    let options = |separator: Option<&str>| DatasetOptions {
        text_column: Some("title,body".into()),
        text_separator: separator.map(str::to_owned),
        validation_file: vec![file.clone()],
        ..DatasetOptions::default()
    };
    let loaded = temp.load("a.csv", &options(None)).expect("joined");
    assert_eq!(texts(&loaded.train), [("Great I loved it", Some(1)), ("It dragged", Some(0)), ("No", Some(0))]);
    let note = "columns title,body are joined with \" \" to one text; found by name: the label is column \"label\" (hint: \
                --label-column)";
    assert!(loaded.notes.contains(&note.to_owned()), "{:?}", loaded.notes);
    assert_eq!(temp.load("a.csv", &options(Some(" | "))).expect("joined").train[0].text, "Great | I loved it");
    temp.write("a.csv", format!("{content} ,,neg\n"));
    let refused = temp.load("a.csv", &options(None)).expect_err("a row without a text");
    assert!(refused.contains("column \"title,body\": null or empty text in 1 of 4 rows: row 4"), "{refused}");
}

#[test]
fn pairs_of_sentences_are_joined_only_if_asked_for() {
    let temp = TempDataset::new();
    let content = csv("sentence1,sentence2,label", 60, |row| format!("first {row},second {row},{}", row % 2));
    temp.write("pairs.csv", content);
    assert_eq!(
        temp.load("pairs.csv", &DatasetOptions::default()).expect_err("a pair"),
        "pairs.csv: columns \"sentence1\" and \"sentence2\" hold two texts a row, and pairs of texts are not supported; \
         columns found: sentence1, sentence2, label (hint: --text-column sentence1,sentence2 joins them, --text-column \
         sentence1 takes one)"
    );
    for (columns, text) in [("sentence1,sentence2", "first 0 second 0"), ("sentence1", "first 0")] {
        let options = DatasetOptions { text_column: Some(columns.into()), ..DatasetOptions::default() };
        let loaded = temp.load("pairs.csv", &options).expect("one text a row");
        let all = loaded.splits().iter().flat_map(|(_, records)| records.iter()).any(|record| record.text == text);
        assert!(all, "{columns}");
    }
}

#[test]
fn a_table_without_a_header_is_refused_with_the_flags_that_read_it() {
    let temp = TempDataset::new();
    let row = |row: usize| format!("\"{}\",\"9\",\"b\",\"text {row}\"", row % 2 * 4);
    temp.write("tweets.csv", csv("\"4\",\"1\",\"a\",\"so good\"", 60, row));
    let refused = temp.load("tweets.csv", &DatasetOptions::default()).expect_err("no such names");
    assert!(refused.contains("--no-header if the first row is data, --text-column NAME or NUMBER"), "{refused}");
    let options = DatasetOptions {
        text_column: Some("4".into()),
        label_column: Some("1".into()),
        split_ratio: Some(0.2),
        read: ReadOptions { no_header: true, ..ReadOptions::default() },
        ..map("0=negative,4=positive")
    };
    let loaded = temp.load("tweets.csv", &options).expect("with flags");
    assert_eq!(loaded.splits().iter().map(|(_, records)| records.len()).sum::<usize>(), 61, "the first row is data");
    assert_eq!(loaded.label_names, ["negative", "positive"]);
}

#[test]
fn class_names_count_for_the_file_that_declares_them() {
    let temp = TempDataset::new();
    let file = |name: &str, classes: Option<&str>, rows: &[(&str, i64)]| -> PathBuf {
        let (texts, numbers): (Vec<&str>, Vec<i64>) = rows.iter().copied().unzip();
        let info = |names: &str| {
            format!(r#"{{"info": {{"features": {{"label": {{"names": [{names}], "_type": "ClassLabel"}}}}}}}}"#)
        };
        let metadata: Vec<(String, String)> =
            classes.map(|names| ("huggingface".to_owned(), info(names))).into_iter().collect();
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        parquet(temp.path().join(name), vec![("text", strings(&texts)), ("label", integers(&numbers))], &metadata)
    };
    file("train-0.parquet", Some(r#""neg", "pos""#), &[("bad", 0), ("good", 1)]);
    file("train-1.parquet", Some(r#""pos", "neg""#), &[("fine", 0), ("poor", 1)]);
    file("validation.parquet", Some(r#""pos", "neg""#), &[("nice", 0)]);
    file("test.parquet", Some(r#""pos", "neg""#), &[("dull", 1), ("what", -1)]);
    let loaded = temp.load("", &DatasetOptions::default()).expect("mapped by name");
    assert_eq!(loaded.label_names, ["neg", "pos"]);
    assert_eq!(labels(&loaded.train, &loaded.label_names), [Some("neg"), Some("pos"), Some("pos"), Some("neg")]);
    assert_eq!(labels(&loaded.validation, &loaded.label_names), [Some("pos")]);
    assert_eq!(labels(&loaded.test, &loaded.label_names), [Some("neg"), None], "-1 marks a row without a label");
    let note = "train-1.parquet, validation.parquet, test.parquet: the classes are in another order there; labels are \
                matched by their names";
    assert!(loaded.notes.contains(&note.to_owned()), "{:?}", loaded.notes);

    // A map says it by name or by the numbers of the first file.
    for flag in ["neg=bad,pos=good", "0=bad,1=good"] {
        let loaded = temp.load("", &map(flag)).expect(flag);
        assert_eq!(labels(&loaded.train, &loaded.label_names), [Some("bad"), Some("good"), Some("good"), Some("bad")]);
    }

    file("validation.parquet", None, &[("nice", 1)]);
    let loaded = temp.load("", &DatasetOptions::default()).expect("numbers of the first file");
    assert_eq!(labels(&loaded.validation, &loaded.label_names), [Some("pos")]);
    let note = "validation.parquet: no names of classes there; its numbers are read as those of train-0.parquet";
    assert!(loaded.notes.contains(&note.to_owned()), "{:?}", loaded.notes);

    file("validation.parquet", Some(r#""neg", "neutral", "pos""#), &[("nice", 2)]);
    assert_eq!(
        temp.load("", &DatasetOptions::default()).expect_err("other classes"),
        "validation.parquet: its classes are neg, neutral, pos, those of train-0.parquet are neg, pos (hint: files of one \
         data set have the same classes)"
    );
    file("validation.parquet", Some(r#""neg", "pos""#), &[("nice", -1)]);
    let refused = temp.load("", &DatasetOptions::default()).expect_err("validation is scored");
    assert!(refused.contains("label -1, which marks a row as unlabeled"), "{refused}");
}

#[test]
fn several_labels_a_text_are_refused() {
    let temp = TempDataset::new();
    let why = "several labels a text are not supported (hint: keep one label a text, or train a model for each label";
    let jsonl = "{\"text\": \"a\", \"labels\": [\"funny\", \"long\"]}\n{\"text\": \"b\", \"labels\": [\"dull\"]}\n";
    let refused = temp.refusal("many.jsonl", jsonl);
    assert!(refused.starts_with("many.jsonl: row 1, column \"labels\"") && refused.contains(why), "{refused}");
    let refused = temp.refusal("many.csv", "text,label\na,dull\nb,\"['funny', 'long']\"\n");
    assert!(refused.starts_with("many.csv: row 2 (line 3), column \"label\"") && refused.contains(why), "{refused}");
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)])]);
    parquet(
        temp.path().join("many.parquet"),
        vec![("text", strings(&["a"])), ("label", Arc::new(lists) as ArrayRef)],
        &[],
    );
    let refused = temp.load("many.parquet", &DatasetOptions::default()).expect_err("lists");
    assert!(refused.contains("column \"label\" holds lists") && refused.contains(why), "{refused}");
}

#[test]
fn scores_are_no_classes() {
    let temp = TempDataset::new();
    temp.write("scores.csv", csv("text,label", 60, |row| format!("text {row},{}", row as f64 / 100.0)));
    let refused = temp.load("scores.csv", &DatasetOptions::default()).expect_err("scores");
    assert!(
        refused.starts_with("scores.csv: row 2 (line 3), column \"label\": \"0.01\" is one of 59 different"),
        "{refused}"
    );
    assert!(refused.contains("these are scores, not classes"), "{refused}");
}

#[test]
fn labels_with_commas_are_mapped_by_flag_or_file() {
    let temp = TempDataset::new();
    let names = ["Credit reporting", "\"Credit reporting, credit repair\"", "Debt"];
    temp.write(
        "a.csv",
        csv("Consumer complaint narrative,Product", 90, |row| format!("text {row},{}", names[row % 3])),
    );
    let columns = |options: DatasetOptions| DatasetOptions {
        text_column: Some("Consumer complaint narrative".into()),
        label_column: Some("Product".into()),
        ..options
    };
    let flag = "Credit reporting=credit,\"Credit reporting, credit repair\"=credit,Debt=debt";
    let loaded = temp.load("a.csv", &columns(map(flag))).expect("by flag");
    assert_eq!(loaded.label_names, ["credit", "debt"]);
    let file =
        temp.write("names.csv", "Debt,debt\nCredit reporting,credit\n\"Credit reporting, credit repair\",credit\n");
    let loaded = temp.load("a.csv", &columns(map(&file.display().to_string()))).expect("by file");
    assert_eq!(loaded.label_names, ["debt", "credit"]);
}

#[test]
fn numbers_from_1_are_taken_by_one_flag() {
    let temp = TempDataset::new();
    let content = csv("text,label", 60, |row| format!("text {row},{}", row % 3 + 1));
    temp.write("a.csv", &content);
    let refused = temp.load("a.csv", &DatasetOptions::default()).expect_err("from 1");
    assert!(
        refused.contains("the smallest label is 1") && refused.contains("(hint: --labels-from 1, or --label-map"),
        "{refused}"
    );
    let from = |first: u32| DatasetOptions { labels_from: Some(first), ..DatasetOptions::default() };
    let loaded = temp.load("a.csv", &from(1)).expect("from 1");
    assert_eq!(loaded.label_names, ["1", "2", "3"]);
    let texts_of_0: Vec<&Record> = loaded.train.iter().filter(|record| record.label == Some(0)).collect();
    assert!(
        !texts_of_0.is_empty() && texts_of_0.iter().all(|record| content.contains(&format!("{},1\n", record.text)))
    );
    for (first, reason) in [(2, "label 1 is smaller than 2"), (0, "the smallest label is 1")] {
        let refused = temp.load("a.csv", &from(first)).expect_err("another first number");
        assert!(refused.contains(reason), "{refused}");
    }
    let both = DatasetOptions { labels_from: Some(1), ..map("1=a,2=b,3=c") };
    assert_eq!(
        temp.load("a.csv", &both).expect_err("two statements"),
        "--labels-from 1 beside --label-map (hint: leave --labels-from out)"
    );
    temp.write("words.csv", csv("text,label", 60, |row| format!("text {row},{}", ["a", "b"][row % 2])));
    let refused = temp.load("words.csv", &from(1)).expect_err("words");
    assert!(refused.contains("is a word, and --labels-from 1 is for numbers"), "{refused}");
}

#[test]
fn spelling_is_refused_alike_with_every_seed() {
    let temp = TempDataset::new();
    let label = |row: usize| if row == 43 { "Positive" } else { ["positive ", "negative"][row % 2] };
    temp.write("a.csv", csv("text,label", 80, |row| format!("text {row},{}", label(row))));
    for seed in 0..20 {
        let options = DatasetOptions { seed: Some(seed), ..DatasetOptions::default() };
        assert_eq!(
            temp.load("a.csv", &options).expect_err("a spelling"),
            "a.csv: row 1 (line 2), column \"label\": label \"positive\" differs from \"Positive\" (row 44) only in case (hint: \
             use one spelling, or --label-map positive=NAME,Positive=NAME,...)"
        );
    }
    // Also where only another file spells it otherwise.
    let refused = temp.refusal("b.csv", "text,label\ngood,Pos\nbad,neg\n");
    assert!(refused.contains("label \"pos\" differs from \"Pos\" (b.csv row 1) only in case"), "{refused}");
}

#[test]
fn folders_of_splits_and_patterns() {
    let temp = TempDataset::new();
    for (split, from) in [("train", 0), ("test", 30)] {
        for at in from..from + 30 {
            temp.write(&format!("imdb/{split}/{}/{at}_7.txt", ["neg", "pos"][at % 2]), format!("text {at}"));
        }
    }
    temp.write("imdb/train/unsup/1_0.txt", "what");
    temp.write("imdb/train/urls_pos.txt", "an address");
    temp.write("imdb/README", "about");
    temp.write("imdb/extra/a.txt", "more");
    let loaded =
        temp.load("imdb", &DatasetOptions { split_ratio: Some(0.2), ..DatasetOptions::default() }).expect("IMDb");
    assert_eq!((loaded.label_names.as_slice(), loaded.test.len()), (&["neg".to_owned(), "pos".to_owned()][..], 30));
    assert_eq!(loaded.train.len() + loaded.validation.len(), 30);
    let notes: Vec<String> = loaded.notes.iter().map(|note| temp.plain(note)).collect();
    assert!(notes.contains(&"imdb: extra not used, not being train, validation or test".to_owned()), "{notes:?}");
    assert!(notes.contains(&"imdb/train: 1 text without a label left out".to_owned()), "{notes:?}");
    // One folder of classes is split by hash.
    let loaded = temp.load("imdb/test", &DatasetOptions::default()).expect("one table");
    assert_eq!(loaded.splits().iter().map(|(_, records)| records.len()).sum::<usize>(), 30);
    let before = loaded.source_sha256.clone();
    temp.write("imdb/test/pos/31_7.txt", "another text");
    assert_ne!(temp.load("imdb/test", &DatasetOptions::default()).expect("changed").source_sha256, before);

    for (name, from) in
        [("shards/a-1.csv", 0), ("shards/a-2.csv", 40), ("shards/dev-1.csv", 80), ("shards/dev-2.csv", 90)]
    {
        let count = if name.contains("dev") { 10 } else { 40 };
        temp.write(name, csv("text,label", count, |row| format!("text {},{}", from + row, row % 2)));
    }
    let dev = temp.path().join("shards/dev-*.csv");
    let options = DatasetOptions { validation_file: vec![dev], ..DatasetOptions::default() };
    let loaded = temp.load("shards/a-*.csv", &options).expect("two shards each");
    assert_eq!((loaded.train.len(), loaded.validation.len()), (80, 20));
    let files = ["shards/dev-1.csv", "shards/dev-2.csv"].map(|name| temp.path().join(name)).to_vec();
    let repeated = DatasetOptions { validation_file: files.clone(), ..DatasetOptions::default() };
    assert_eq!(temp.load("shards/a-1.csv", &repeated).expect("repeated").validation.len(), 20);
    let twice =
        DatasetOptions { validation_file: vec![files[0].clone(), files[0].clone()], ..DatasetOptions::default() };
    assert!(temp.load("shards/a-1.csv", &twice).expect_err("twice").contains("dev-1.csv: named twice as validation"));
    assert!(temp.load("shards/none-*.csv", &DatasetOptions::default()).expect_err("nothing").contains("none-*.csv"));
}

#[test]
fn a_folder_that_names_its_splits_in_a_file_is_read_split_by_split() {
    let temp = TempDataset::new();
    for (split, texts) in [("train", ["a", "b"]), ("test", ["c", "d"])] {
        for (class, text) in ["neg", "pos"].into_iter().zip(texts) {
            temp.write(&format!("saved/{split}/{class}/1.txt"), text.repeat(9));
        }
    }
    temp.write("saved/dataset_dict.json", "{\"splits\": [\"train\", \"test\", \"unlabeled\"]}");
    fs::create_dir_all(temp.path().join("saved/unlabeled")).expect("a folder");
    let file = temp.write("validation.csv", "text,label\nfine,pos\n");
    let refused = temp.load("saved", &DatasetOptions { validation_file: vec![file], ..DatasetOptions::default() });
    assert!(refused.expect_err("splits of its own").contains("is a folder"));
    let error = temp.load("saved", &DatasetOptions::default()).expect_err("two rows are too few to split");
    assert!(error.contains("2 rows are too few"), "{error}");
}

#[test]
fn a_number_column_beside_declared_names_is_read_by_its_own_file() {
    let temp = TempDataset::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
    let names = r#"{"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}"#;
    parquet(
        temp.path().join("train.parquet"),
        vec![("text", strings(&["a", "b"])), ("label", numbers)],
        &[("huggingface", names)],
    );
    parquet(temp.path().join("validation.parquet"), vec![("text", strings(&["c"])), ("label", integers(&[2]))], &[]);
    let refused = temp.load("", &DatasetOptions::default()).expect_err("a third class");
    assert!(refused.contains("label \"2\" is not one of 0, 1"), "{refused}");
    let from = DatasetOptions { labels_from: Some(1), ..DatasetOptions::default() };
    parquet(temp.path().join("validation.parquet"), vec![("text", strings(&["c"])), ("label", integers(&[1]))], &[]);
    let refused = temp.load("", &from).expect_err("names are there");
    assert_eq!(refused, "--labels-from 1: the data names its classes already: no, yes (hint: leave it out)");
}

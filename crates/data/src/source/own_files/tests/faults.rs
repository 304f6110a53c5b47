//! The faults of data, numbered as the project's list numbers them.

use crate::label_map::LabelMap;
use crate::load_options::DatasetOptions;
use crate::record::Split;
use crate::source::tests::{TempDataset, texts};

const SOUND: &str = "text,label\ngood,pos\nbad,neg\n";

fn parsed(map: &str) -> LabelMap {
    LabelMap::from_flag(map).expect("VALUE=NAME")
}

fn mapped(temp: &TempDataset, map: &str) -> DatasetOptions {
    DatasetOptions { label_map: Some(parsed(map)), ..temp.beside_validation() }
}

#[test]
fn fault_1_labels_out_of_range() {
    let temp = TempDataset::new();
    assert_eq!(
        temp.refusal("minus.csv", "text,label\ngood,1\nbad,-1\nugly,-1\n"),
        "minus.csv: row 2 (line 3), column \"label\": label -1, which marks a row as unlabeled, in 2 of 3 rows of \
         train: rows 2, 3 (hint: label the rows or remove them; where -1 is a class, --label-map \
         -1=negative,1=positive)"
    );
    assert_eq!(
        temp.refusal("one.csv", "text,label\ngood,2\nbad,1\n"),
        "one.csv: row 2 (line 3), column \"label\": the smallest label is 1; labels found: 1, 2; numbers must be 0, 1, \
         2, ... (hint: --labels-from 1, or --label-map 1=NAME,2=NAME,...)"
    );
    assert_eq!(
        temp.refusal("gap.csv", "text,label\ngood,4\nbad,0\n"),
        "gap.csv: row 1 (line 2), column \"label\": label 1 is missing; labels found: 0, 4; numbers must be 0, 1, 2, \
         ... (hint: --label-map 0=NAME,4=NAME,...)"
    );
    assert_eq!(
        temp.refusal("gone.csv", "text,label\ngood,pos\nbad,\n"),
        "gone.csv: row 2 (line 3), column \"label\": no label in 1 of 2 rows of train: row 2 (hint: label the rows or \
         remove them)"
    );
    temp.write("own.csv", "text,label\ngood,1\nbad,-1\n");
    temp.write("validation.csv", "text,label\nfine,1\npoor,-1\n");
    let options = DatasetOptions {
        validation_file: vec![temp.path().join("validation.csv")],
        ..mapped(&temp, "-1=negative,1=positive")
    };
    let loaded = temp.load("own.csv", &options).expect("-1 is a class here");
    assert_eq!(loaded.label_names, ["negative", "positive"]);
    assert_eq!(texts(&loaded.train), [("good", Some(1)), ("bad", Some(0))]);
    temp.write("odd.csv", "text,label\ngood,1\nbad,-1\nugly,3\n");
    assert_eq!(
        temp.load("odd.csv", &options).expect_err("3 isn't mapped"),
        "odd.csv: row 3 (line 4), column \"label\": label \"3\" is not one of -1, 1 (hint: --label-map)"
    );
}

#[test]
fn fault_1_a_test_split_without_labels_can_be_predicted_a_validation_split_cannot_be_scored() {
    let temp = TempDataset::new();
    temp.write("train.csv", "text,label\ngood,1\nbad,0\n");
    temp.write("validation.csv", "text,label\nfine,1\n");
    temp.write("test.csv", "text,label\nwhat,-1\nwho,-1\n");
    let loaded = temp.load("", &DatasetOptions::default()).expect("accepted");
    assert_eq!(texts(&loaded.test), [("what", None), ("who", None)]);
    assert!(loaded.notes.contains(&"test: 2 rows without a label; they can be predicted, not scored".to_string()));
    temp.write("test.csv", "id,text\n1,what\n");
    assert_eq!(texts(&temp.load("", &DatasetOptions::default()).expect("accepted").test), [("what", None)]);
    temp.write("test.csv", "text,label\nwhat,-1\nwho,1\n");
    assert!(temp.load("", &DatasetOptions::default()).expect_err("partly labeled").contains("in 1 of 2 rows of test"));
    temp.write("test.csv", "text,label\nwhat,1\n");
    temp.write("validation.csv", "text,label\nfine,-1\n");
    assert!(temp.load("", &DatasetOptions::default()).expect_err("unlabeled").contains("1 of 1 rows of validation"));
}

#[test]
fn fault_2_null_or_empty_text() {
    let temp = TempDataset::new();
    let content = "{\"text\": null, \"label\": \"pos\"}\n{\"text\": \" \\t\\u200b\", \"label\": \"neg\"}\n\
                   {\"text\": \"good\", \"label\": \"pos\"}\n{\"text\": \"bad\", \"label\": \"neg\"}\n";
    assert_eq!(
        temp.refusal("blank.jsonl", content),
        "blank.jsonl: row 1, column \"text\": null or empty text in 2 of 4 rows: rows 1, 2 (hint: --drop-empty)"
    );
    let options = DatasetOptions { drop_empty: true, ..temp.beside_validation() };
    let loaded = temp.load("blank.jsonl", &options).expect("dropped");
    assert_eq!(texts(&loaded.train), [("good", Some(1)), ("bad", Some(0))]);
    assert_eq!(
        temp.plain(&loaded.notes[0]),
        "blank.jsonl: 2 of 4 rows dropped, their text is null or empty: rows 1, 2"
    );
    let many = format!("text,label\n{}", "\"\",pos\n".repeat(14));
    assert!(
        temp.refusal("many.csv", many).ends_with("rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more (hint: --drop-empty)")
    );
}

#[test]
fn fault_2_dropped_rows_are_counted_and_the_others_keep_their_numbers() {
    let temp = TempDataset::new();
    temp.write("train.csv", "text,label\n\"\",pos\ngood,pos\n \t,neg\nbad,neg\n");
    temp.write("validation.csv", "text,label\n\u{200b},neg\nfine,pos\n");
    temp.write("test.csv", "text,label\npoor,neg\n");
    let loaded =
        temp.load("", &DatasetOptions { drop_empty: true, ..DatasetOptions::default() }).expect("the rest is sound");
    assert_eq!(loaded.empty_dropped, 3);
    assert_eq!(texts(&loaded.train), [("good", Some(1)), ("bad", Some(0))]);
    let places = [0, 1].map(|record| loaded.places.name(Split::Train, record));
    assert_eq!(places, ["train.csv row 2", "train.csv row 4"]);
    assert_eq!(loaded.places.name(Split::Validation, 0), "validation.csv row 2");
    temp.write("validation.csv", "text,label\n\"\",neg\n");
    assert_eq!(
        temp.load("", &DatasetOptions { drop_empty: true, ..DatasetOptions::default() }).expect_err("nothing is left"),
        "validation.csv: no row has a text (hint: --text-column)"
    );
}

#[test]
fn fault_4_byte_order_mark_line_ends_and_case_of_the_header_are_accepted() {
    let temp = TempDataset::new();
    let loaded = temp.accepted("windows.csv", b"\xEF\xBB\xBFText , LABEL\r\ngood,pos\r\nbad,neg\r\n");
    assert_eq!(texts(&loaded.train), [("good", Some(1)), ("bad", Some(0))]);
    let options = DatasetOptions { text_column: Some("tExT".into()), ..temp.beside_validation() };
    assert_eq!(temp.load("windows.csv", &options).expect("accepted").train, loaded.train);
    let loaded = temp.accepted(
        "mark.jsonl",
        b"\xEF\xBB\xBF{\"text\":\"good\",\"label\":\"pos\"}\r\n\r\n{\"text\":\"bad\",\"label\":\"neg\"}",
    );
    assert_eq!(loaded.train.len(), 2);
    assert_eq!(temp.accepted("tabs.tsv", "sentence\tlabel\na, b\tpos\nbad\tneg\n").train[0].text, "a, b");
}

#[test]
fn fault_4_a_missing_or_ambiguous_column_lists_the_columns() {
    let temp = TempDataset::new();
    assert_eq!(
        temp.refusal("a.csv", "id,words,label\n1,good,pos\n"),
        "a.csv: no column is called text, sentence, review, phrase, content, comment, document, tweet, message, body; \
         columns found: id, words, label (hint: --text-column NAME)"
    );
    assert_eq!(
        temp.refusal("b.csv", "text,review,label\ngood,fine,pos\n"),
        "b.csv: columns \"text\" and \"review\" could each be the text; columns found: text, review, label (hint: \
         --text-column NAME)"
    );
    assert_eq!(
        temp.refusal("c.csv", "text:label\ngood;pos\n"),
        "c.csv: no column is called text, sentence, review, phrase, content, comment, document, tweet, message, body; \
         columns found: text:label (hint: --text-column NAME)"
    );
    // Too few rows agree on the semicolon for it to be taken as the separator.
    assert_eq!(
        temp.refusal("c.csv", "text;label\n\ngood\nfine;pos\n"),
        "c.csv: no column is called text, sentence, review, phrase, content, comment, document, tweet, message, body; \
         columns found: text;label (hint: the columns seem to be separated by ';', which --separator ';' says)"
    );
    assert!(temp.refusal("d.csv", "text,stars\ngood,5\n").starts_with("d.csv: no column is called label, labels,"));
    assert!(temp.refusal("e.csv", "text,label,label\ngood,1,0\n").starts_with("e.csv: 2 columns are called \"label\""));
    let options = DatasetOptions { text_column: Some("txt".into()), ..DatasetOptions::default() };
    temp.write("f.csv", SOUND);
    assert_eq!(
        temp.load("f.csv", &options).expect_err("no such column"),
        "f.csv: no column \"txt\"; columns found: text, label (hint: --text-column NAME)"
    );
}

#[test]
fn fault_1_a_label_that_the_declared_classes_do_not_have() {
    let temp = TempDataset::new();
    let options = mapped(&temp, "0=negative,1=positive");
    temp.write("own.csv", "text,label\ngood,1\nbad,0\nugly,2\n");
    assert_eq!(
        temp.load("own.csv", &options).expect_err("out of range"),
        "own.csv: row 3 (line 4), column \"label\": label \"2\" is not one of 0, 1 (hint: --label-map)"
    );
    temp.write("own.jsonl", "{\"text\":\"good\",\"label\":1}\n{\"text\":\"bad\",\"label\":99999999999999999999}\n");
    assert_eq!(
        temp.load("own.jsonl", &options).expect_err("out of any range"),
        "own.jsonl: row 2, column \"label\": label 100000000000000000000 is too large for a label (hint: is \
         --label-column right?)"
    );
}

#[test]
fn fault_5_forty_one_rows_of_an_unknown_label() {
    let temp = TempDataset::new();
    temp.write("train.csv", SOUND);
    let neutral: String = (0..41).map(|row| format!("meh {row},neutral\n")).collect();
    temp.write("validation.csv", format!("text,label\nfine,pos\n{neutral}"));
    let message = temp.load("", &DatasetOptions::default()).expect_err("unlearned");
    assert!(message.contains("label \"neutral\" (41 rows) only in validation; train has neg, pos"), "{message}");
    temp.write("validation.csv", "text,label\nfine,pos\n");
    temp.write("test.csv", format!("text,label\nfine indeed,pos\n{neutral}"));
    let message = temp.load("", &DatasetOptions::default()).expect_err("unlearned");
    assert!(message.contains("label \"neutral\" (41 rows) only in test; train has neg, pos"), "{message}");
}

#[test]
fn fault_5_a_label_that_training_never_has() {
    let temp = TempDataset::new();
    temp.write("train.csv", SOUND);
    temp.write("validation.csv", "text,label\nmeh,neutral\nso,pos\nhm,neutral\n");
    assert_eq!(
        temp.load("", &DatasetOptions::default()).expect_err("unlearned"),
        "validation.csv: row 1 (line 2), column \"label\": label \"neutral\" (2 rows) only in validation; train has \
         neg, pos (hint: add training rows with this label, or map it with --label-map)"
    );
    let options =
        DatasetOptions { label_map: Some(parsed("neg=neg,neutral=mixed,pos=pos")), ..DatasetOptions::default() };
    assert_eq!(
        temp.load("", &options).expect_err("unlearned"),
        "label \"mixed\" (2 rows) only in validation; no training row has it (hint: add training rows with this \
         label, or map it to another name with --label-map)"
    );
}

#[test]
fn fault_6_one_mapping_for_labels_that_mean_the_same() {
    let temp = TempDataset::new();
    temp.write("train.csv", "text,label\na,\"1\"\nb, 0.0\nc,1.0\n");
    temp.write("validation.jsonl", "{\"text\":\"d\",\"label\":1.0}\n{\"text\":\"e\",\"label\":0}\n");
    let loaded = temp.load("", &DatasetOptions::default()).expect("accepted");
    assert_eq!(texts(&loaded.train), [("a", Some(1)), ("b", Some(0)), ("c", Some(1))]);
    assert_eq!(texts(&loaded.validation), [("d", Some(1)), ("e", Some(0))]);
    assert_eq!(loaded.notes[1], "labels: 0 = 0 (from \"0\", 1 row); 1 = 1 (from \"1\", 2 rows)");
    let loaded = temp.accepted("spaced.csv", "text,label\na, pos \nb,pos\nc,\" neg\"\n");
    assert_eq!(texts(&loaded.train), [("a", Some(1)), ("b", Some(1)), ("c", Some(0))]);
    assert_eq!(
        temp.refusal("mixed.csv", "text,label\ngood,1\nbad,0\nugly,neg\n"),
        "mixed.csv: row 3 (line 4), column \"label\": \"neg\" is a word; \"1\" is a number at mixed.csv: row 1 (line \
         2) (hint: write every label the same way)"
    );
    assert_eq!(
        temp.refusal("half.csv", "text,label\ngood,0.5\nbad,1\n"),
        "half.csv: row 1 (line 2), column \"label\": \"0.5\" is not a whole number (hint: convert ratings into \
         classes first)"
    );
    assert_eq!(
        temp.refusal("case.csv", "text,label\ngood,Pos\nbad,pos\n"),
        "case.csv: row 2 (line 3), column \"label\": label \"pos\" differs from \"Pos\" (row 1) only in case (hint: \
         use one spelling, or --label-map pos=NAME,Pos=NAME,...)"
    );
}

#[test]
fn fault_7_a_class_missing_from_a_split_moves_no_index() {
    let temp = TempDataset::new();
    temp.write("train.csv", "text,label\na,bad\nb,good\nc,mixed\n");
    temp.write("validation.csv", "text,label\nd,mixed\ne,mixed\n");
    let loaded = temp.load("", &DatasetOptions::default()).expect("accepted");
    assert_eq!(loaded.label_names, ["bad", "good", "mixed"]);
    assert_eq!(texts(&loaded.validation), [("d", Some(2)), ("e", Some(2))]);
}

#[test]
fn fault_9_quotes_line_ends_and_length() {
    let temp = TempDataset::new();
    let loaded = temp.accepted("sound.csv", "text,label\n\"two\nlines, \"\"quoted\"\"\",pos\n5\" disc,neg\n");
    assert_eq!(texts(&loaded.train), [("two\nlines, \"quoted\"", Some(1)), ("5\" disc", Some(0))]);
    assert_eq!(
        temp.refusal("open.csv", "text,label\ngood,pos\n\"bad,neg\nugly,neg\n"),
        "open.csv: line 3: a quote opens here and is never closed (line 5) (hint: inside a quoted field a quote is \
         written twice, \"\"; where quotes are characters, --quoting none)"
    );
    assert_eq!(
        temp.refusal("middle.csv", "text,label\n\"bad,neg\nso \"ugly\",neg\n"),
        "middle.csv: line 2: a quote opens here and closes in the middle of its field (line 3) (hint: inside a quoted \
         field a quote is written twice, \"\"; where quotes are characters, --quoting none)"
    );
    assert_eq!(
        temp.refusal("fields.csv", "text,label\n\"a\nb\",pos\nwell, no,neg\n"),
        "fields.csv: line 4: 3 fields where the header has 2 (hint: a text that holds the separator must be in quotes)"
    );
    let huge = format!("text,label\ngood,pos\n{},neg\n", "x".repeat(5 << 20));
    assert_eq!(
        temp.refusal("huge.csv", huge),
        "huge.csv: line 3: a record of more than 4194304 bytes, the most that is read (hint: split the text)"
    );
    let huge = format!("text,label\ngood,pos\n\"{}", "x,y\n".repeat(2 << 20));
    assert!(temp.refusal("huge.csv", huge).starts_with("huge.csv: line 3: a quote opens here and is still open after"));
    let huge = format!("{{\"text\":\"good\",\"label\":\"pos\"}}\n{{\"text\":\"{}\"}}\n", "x".repeat(5 << 20));
    assert_eq!(
        temp.refusal("huge.jsonl", huge),
        "huge.jsonl: line 2: longer than 4194304 bytes, the most that is read (hint: is a line end missing?)"
    );
}

#[test]
fn fault_10_a_type_that_changes() {
    let temp = TempDataset::new();
    assert_eq!(
        temp.refusal("label.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":\"0\"}\n"),
        "label.jsonl: row 2, column \"label\": \"0\" is text; 1 is a number at label.jsonl: row 1 (hint: write every \
         label the same way)"
    );
    assert_eq!(
        temp.refusal("text.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":17,\"label\":0}\n"),
        "text.jsonl: row 2, column \"text\": \"17\", a number here, text in row 1 (hint: --text-column)"
    );
    assert_eq!(
        temp.refusal("gone.jsonl", "{\"text\":\"a\",\"label\":1}\n\n{\"text\":\"b\",\"rating\":0}\n"),
        "gone.jsonl: row 2 (line 3) has no column \"label\", row 1 has; columns found: text, rating (hint: write null where a \
         row has no value)"
    );
    assert_eq!(
        temp.refusal("deep.jsonl", format!("{}1{}\n", "{\"text\":".repeat(200_000), "}".repeat(200_000))),
        "deep.jsonl: line 1: not a JSON object, column 1017: nested deeper than 128 (hint: only the text and the \
         label are read)"
    );
    assert_eq!(
        temp.refusal("twice.jsonl", "{\"text\":\"a\",\"text\":\"b\",\"label\":1}\n"),
        "twice.jsonl: line 1: not a JSON object, column 22: the name \"text\" occurs twice (hint: one object a line, as \
         json.dumps writes it)"
    );
    assert!(temp.refusal("array.jsonl", "[{\"text\":\"a\"}]").starts_with("array.jsonl: line 1: a JSON array;"));
}

#[test]
fn fault_11_encodings() {
    let temp = TempDataset::new();
    assert_eq!(
        temp.refusal("latin.csv", b"text,label\ngood,pos\ncaf\xE9,neg\n"),
        "latin.csv: byte 23 (line 3): 0xE9 is not UTF-8 (hint: --encoding windows-1252)"
    );
    let utf16: Vec<u8> = SOUND.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xFF\xFE".as_slice(), &utf16].concat();
    let loaded = temp.accepted("marked.csv", marked);
    assert!(
        loaded.notes.iter().any(|note| note.ends_with("marked.csv: UTF-16 (little-endian), by its byte-order mark"))
    );
    assert!(temp.refusal("bare.csv", utf16).contains("every second byte is 0, as in UTF-16"));
    assert!(temp.refusal("cut.csv", b"text,label\ngood,pos\xE2\x82").contains("byte 19 (line 2): 0xE2 is not UTF-8"));
    let mut long = b"text,label\n".to_vec();
    long.extend("\u{20ac}".repeat(50_000).bytes());
    long.extend(b",pos\n\xFF,neg\n");
    assert!(temp.refusal("late.csv", long).contains("byte 150016 (line 3): 0xFF is not UTF-8"));
    let odd = ["a\u{0}b", "\u{301}lone", "👩\u{200d}👧 ❤", "שלום עולם", "bell\u{7}"];
    let content = format!("text,label\n{}good,neg\n", odd.map(|text| format!("{text},pos\n")).concat());
    let loaded = temp.accepted("odd.csv", content);
    assert_eq!(loaded.train[..5].iter().map(|record| record.text.as_str()).collect::<Vec<_>>(), odd);
}

#[test]
fn fault_12_too_little() {
    let temp = TempDataset::new();
    assert_eq!(temp.refusal("empty.csv", ""), "empty.csv: the file is empty (0 bytes)");
    assert_eq!(temp.refusal("empty.parquet", ""), "empty.parquet: the file is empty (0 bytes)");
    assert_eq!(temp.refusal("header.csv", "text,label\n"), "header.csv: no rows, only the names of its columns");
    assert_eq!(temp.refusal("blank.jsonl", "\n \n"), "blank.jsonl: only blank lines");
    assert_eq!(
        temp.refusal("one.csv", "text,label\ngood,pos\nfine,pos\n"),
        "one.csv: train has one class, \"pos\" (2 rows); at least two are needed (hint: is --label-column right?)"
    );
    temp.write("few.csv", SOUND);
    assert_eq!(
        temp.load("few.csv", &DatasetOptions::default()).expect_err("too few"),
        "few.csv: 2 rows are too few to take validation and test from at --split-ratio 0.1 (hint: more rows, a larger \
         ratio, another seed, or --validation-file and --test-file)"
    );
    assert!(temp.refusal("notes.ini", "hello").starts_with("notes.ini: expected a name that ends in .csv, "));
    assert!(
        temp.load("absent.csv", &DatasetOptions::default())
            .expect_err("absent")
            .starts_with("absent.csv: No such file")
    );
}

#[test]
fn a_text_that_swallowed_rows_is_refused_with_its_line() {
    let temp = TempDataset::new();
    let content = "text,label\ngood film,pos\n\"so it begins,neg\nanother one,pos\nthe end\",neg\nbad film,neg\n";
    let swallowed = temp.refusal("swallowed.csv", content);
    assert!(swallowed.contains("line 3") && swallowed.contains("--quoting none"), "{swallowed}");
    let tsv = "label\ttext\npos\t\"so\nneg\tbegins\"\nneg\tbad film\npos\tgood film\n";
    assert_eq!(temp.accepted("quotes.tsv", tsv).train.len(), 4, "quotes are characters here");

    let lines = "text,label\n\"a film, really\nbut not, pos or so\",pos\n\"bad\n\nfilm\",neg\n";
    assert_eq!(temp.accepted("lines.csv", lines).train.len(), 2, "lines of a text are no rows");
}

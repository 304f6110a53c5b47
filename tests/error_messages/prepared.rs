//! Prepared folders: damaged, half copied, or changed by hand.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

const LINE: &str = "train --data data";
const MANIFEST: &str = "data/manifest.json";
const ARROW: &str = "data/train.arrow";

#[test]
fn damaged_prepared_data_is_refused_in_these_words() {
    let mut all = MessageGroup::new("prepared_data", "Prepared folders", Sandbox::prepared());
    all.fails("a missing folder", "train --data nowhere");
    all.fails("no --data and no prepared data", "train");
    all.fails("a CSV file instead of a folder", "train --data reviews.csv");
    all.fails("a model folder instead of prepared data", "train --data tiny");
    all.fails_with("no manifest", MANIFEST, Edit::Delete, LINE);
    all.fails_with("a truncated manifest", MANIFEST, Edit::Truncate(200), LINE);
    all.fails_with("an empty manifest", MANIFEST, Edit::Content(b""), LINE);
    all.fails_with("a manifest that is a list", MANIFEST, Edit::Content(b"[1, 2]"), LINE);
    all.fails_with(
        "a manifest in Latin-1",
        MANIFEST,
        Edit::Content(b"{\"format\": 2, \"dataset\": \"caf\xE9\"}"),
        LINE,
    );
    let manifest = String::from_utf8(all.sandbox().read(MANIFEST)).expect("UTF-8");
    let value: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for (name, from, to) in [
        ("an unknown format version", "\"format\": 2", "\"format\": 99"),
        ("a format that is a string", "\"format\": 2", "\"format\": \"one\""),
        ("no format", "\"format\": 2,", ""),
        ("an unknown field", "\"format\": 2", "\"format\": 2, \"colour\": \"red\""),
        ("a missing field", "\"dataset\"", "\"data_set\""),
    ] {
        all.fails_with(name, MANIFEST, Edit::Replace(from, to), LINE);
    }
    // One value of the manifest in another's place.
    let changed = |pointer: &str, to: serde_json::Value| {
        let mut value = value.clone();
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {manifest}")) = to;
        value.to_string()
    };
    let mut more = value.clone();
    more["splits"]["../train"] = value["splits"]["train"].clone();
    all.fails_with("an unknown split", MANIFEST, Edit::Content(more.to_string().as_bytes()), LINE);
    for (name, pointer, to) in [
        ("fewer rows than the file has", "/splits/train/rows", 7.into()),
        ("fewer bytes than the file has", "/splits/train/bytes", 7.into()),
        ("a vocab_size below the ids in the file", "/vocab_size", 9.into()),
        ("a max_length below the lengths in the file", "/max_length", 4.into()),
        ("one label name for two labels", "/label_names", ["negative"].as_slice().into()),
        ("no label names", "/label_names", serde_json::json!([])),
        ("a negative number of rows", "/splits/train/rows", (-1).into()),
        ("training rows without labels", "/splits/train/labelled", 3.into()),
        ("no splits", "/splits", serde_json::json!({})),
        ("the hash of a different tokenizer", "/tokenizer_sha256", "0".repeat(64).into()),
        ("a model that no longer exists", "/model/name", "./gone".into()),
    ] {
        all.fails_with(name, MANIFEST, Edit::Content(changed(pointer, to).as_bytes()), LINE);
    }
    let length = all.sandbox().read(ARROW).len();
    all.fails_with("a split's file is missing", "data/validation.arrow", Edit::Delete, LINE);
    all.fails_with("a split's file is truncated", ARROW, Edit::Truncate(length - 1), LINE);
    all.fails_with("a split's file is empty", ARROW, Edit::Content(b""), LINE);
    all.fails_with("Arrow: the signature overwritten", ARROW, Edit::Overwrite(0, b"NOTHIN"), LINE);
    all.fails_with("Arrow: the footer overwritten", ARROW, Edit::Overwrite(length - 60, &[0x55; 40]), LINE);
    all.fails_with(
        "Arrow: a footer longer than the file",
        ARROW,
        Edit::Overwrite(length - 10, &i32::MAX.to_le_bytes()),
        LINE,
    );
    all.fails_with(
        "Arrow: a negative footer length",
        ARROW,
        Edit::Overwrite(length - 10, &(-1_i32).to_le_bytes()),
        LINE,
    );
    let arrow = all.sandbox().read(ARROW);
    // A row has ten tokens, from [CLS], which is 2, to [SEP], which is 3.
    let is = |at: usize, id: u32| arrow[at..at + 4] == id.to_le_bytes();
    let row = (0..length - 40).find(|&at| is(at, 2) && is(at + 36, 3) && is(at + 40, 2)).expect("a row");
    all.fails_with("Arrow: an id beyond the vocabulary", ARROW, Edit::Overwrite(row + 4, &77_u32.to_le_bytes()), LINE);
    let marks: Vec<usize> = (0..length - 8).filter(|&at| arrow[at..at + 4] == [0xFF; 4]).collect();
    all.fails_with("Arrow: a record batch header overwritten", ARROW, Edit::Overwrite(marks[1] + 8, &[0x7F; 64]), LINE);
    all.fails_with("Arrow: a continuation marker overwritten", ARROW, Edit::Overwrite(marks[1], &[0; 4]), LINE);
    all.fails_with("Arrow: garbage after the signature", ARROW, Edit::Overwrite(8, &vec![b'x'; length - 8]), LINE);
    all.finish();
}

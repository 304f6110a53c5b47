//! Prepared folders: damaged, half copied, or changed by hand.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

const LINE: &str = "train --data data";
const MANIFEST: &str = "data/manifest.json";
const ARROW: &str = "data/train.arrow";

#[test]
fn damaged_prepared_data_is_refused_in_these_words() {
    let mut all = MessageGroup::new("prepared_data", "Prepared folders", Sandbox::prepared());
    all.fails("no such folder", "train --data nowhere");
    all.fails("no prepared data at all", "train");
    all.fails("a table instead of a folder", "train --data reviews.csv");
    all.fails("a model instead of data", "train --data tiny");
    all.with("no manifest", MANIFEST, Edit::Gone, LINE);
    all.with("a manifest that is cut off", MANIFEST, Edit::Cut(200), LINE);
    all.with("an empty manifest", MANIFEST, Edit::Is(b""), LINE);
    all.with("a manifest that is a list", MANIFEST, Edit::Is(b"[1, 2]"), LINE);
    all.with("a manifest in Latin-1", MANIFEST, Edit::Is(b"{\"format\": 2, \"dataset\": \"caf\xE9\"}"), LINE);
    let manifest = String::from_utf8(all.sandbox().read(MANIFEST)).expect("UTF-8");
    let value: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for (name, from, to) in [
        ("a manifest of another program", "\"format\": 2", "\"format\": 99"),
        ("a format in words", "\"format\": 2", "\"format\": \"one\""),
        ("no format", "\"format\": 2,", ""),
        ("a field that nobody knows", "\"format\": 2", "\"format\": 2, \"colour\": \"red\""),
        ("a field that is missing", "\"dataset\"", "\"data_set\""),
    ] {
        all.with(name, MANIFEST, Edit::Swap(from, to), LINE);
    }
    // One value of the manifest in another's place.
    let changed = |pointer: &str, to: serde_json::Value| {
        let mut value = value.clone();
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {manifest}")) = to;
        value.to_string()
    };
    let mut more = value.clone();
    more["splits"]["../train"] = value["splits"]["train"].clone();
    all.with("a split that nobody knows", MANIFEST, Edit::Is(more.to_string().as_bytes()), LINE);
    for (name, pointer, to) in [
        ("fewer rows than the file has", "/splits/train/rows", 7.into()),
        ("fewer bytes than the file has", "/splits/train/bytes", 7.into()),
        ("a vocabulary smaller than the ids", "/vocab_size", 9.into()),
        ("shorter texts than the file's", "/max_length", 4.into()),
        ("one label name for two labels", "/label_names", ["negative"].as_slice().into()),
        ("no label names", "/label_names", serde_json::json!([])),
        ("negative rows", "/splits/train/rows", (-1).into()),
        ("training rows without labels", "/splits/train/labelled", 3.into()),
        ("no splits", "/splits", serde_json::json!({})),
        ("another tokenizer", "/tokenizer_sha256", "0".repeat(64).into()),
        ("a model that is gone", "/model/name", "./gone".into()),
    ] {
        all.with(name, MANIFEST, Edit::Is(changed(pointer, to).as_bytes()), LINE);
    }
    let length = all.sandbox().read(ARROW).len();
    all.with("a split's file is missing", "data/validation.arrow", Edit::Gone, LINE);
    all.with("a split's file is cut off", ARROW, Edit::Cut(length - 1), LINE);
    all.with("a split's file is empty", ARROW, Edit::Is(b""), LINE);
    all.with("Arrow: its signature overwritten", ARROW, Edit::Over(0, b"NOTHIN"), LINE);
    all.with("Arrow: its footer overwritten", ARROW, Edit::Over(length - 60, &[0x55; 40]), LINE);
    all.with("Arrow: a footer longer than the file", ARROW, Edit::Over(length - 10, &i32::MAX.to_le_bytes()), LINE);
    all.with("Arrow: a negative footer", ARROW, Edit::Over(length - 10, &(-1_i32).to_le_bytes()), LINE);
    let arrow = all.sandbox().read(ARROW);
    // A row has ten tokens, from [CLS], which is 2, to [SEP], which is 3.
    let is = |at: usize, id: u32| arrow[at..at + 4] == id.to_le_bytes();
    let row = (0..length - 40).find(|&at| is(at, 2) && is(at + 36, 3) && is(at + 40, 2)).expect("a row");
    all.with("Arrow: an id beyond the vocabulary", ARROW, Edit::Over(row + 4, &77_u32.to_le_bytes()), LINE);
    let marks: Vec<usize> = (0..length - 8).filter(|&at| arrow[at..at + 4] == [0xFF; 4]).collect();
    all.with("Arrow: its header overwritten", ARROW, Edit::Over(marks[1] + 8, &[0x7F; 64]), LINE);
    all.with("Arrow: its mark overwritten", ARROW, Edit::Over(marks[1], &[0; 4]), LINE);
    all.with("Arrow: nothing behind its signature", ARROW, Edit::Over(8, &vec![b'x'; length - 8]), LINE);
    all.finish();
}

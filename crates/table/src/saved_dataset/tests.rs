//! Folders as `save_to_disk` writes them, and what is refused in one.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use tempfile::TempDir;

use super::dataset_dict_splits;
use crate::tests::{read, texts_of};
use crate::{ReadOptions, Table};

const INFO: &str = r#"{"features": {"text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["bad", "good"], "_type": "ClassLabel"}}, "splits": null}"#;

fn shard(folder: &Path, name: &str, label: &str, texts: &[&str]) {
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![1; texts.len()]));
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("text", texts), (label, labels)]).unwrap();
    let mut writer = StreamWriter::try_new(fs::File::create(folder.join(name)).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

fn saved(state: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    shard(folder.path(), "data-00000-of-00003.arrow", "label", &["a", "b"]);
    shard(folder.path(), "data-00001-of-00003.arrow", "label", &[]);
    shard(folder.path(), "data-00002-of-00003.arrow", "label", &["c"]);
    shard(folder.path(), "other.arrow", "stars", &["d"]);
    fs::write(folder.path().join("state.json"), state).unwrap();
    fs::write(folder.path().join("dataset_info.json"), INFO).unwrap();
    folder
}

fn state(names: &[&str]) -> String {
    let files: Vec<String> = names.iter().map(|name| format!("{{\"filename\": \"{name}\"}}")).collect();
    format!(
        "{{\"_data_files\": [{}], \"_fingerprint\": \"x\", \"_format_type\": null, \"_split\": null}}",
        files.join(",")
    )
}

fn refusal(state: &str) -> String {
    read(saved(state).path()).unwrap_err().to_string()
}

#[test]
fn its_files_are_read_in_their_order() {
    let names = ["data-00002-of-00003.arrow", "data-00001-of-00003.arrow", "data-00000-of-00003.arrow"];
    let folder = saved(&state(&names));
    let rows = read(folder.path()).unwrap();
    assert!(rows.iter().map(|row| row.number).eq(1..=3));
    assert_eq!(texts_of(rows), ["c", "a", "b"]);
    let table = Table::open(folder.path(), &ReadOptions::default()).unwrap();
    let label = table.columns()[1].declared.clone().unwrap();
    assert_eq!(label.class_names.unwrap(), ["bad", "good"]);
    fs::remove_file(folder.path().join("dataset_info.json")).unwrap();
    let table = Table::open(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(table.columns()[1].declared.clone().unwrap().class_names, None);
}

#[test]
fn what_would_be_read_wrongly_is_refused() {
    let first = "data-00000-of-00003.arrow";
    let indices =
        state(&[first]).replace("\"_split\"", "\"_indices_files\": [{\"filename\": \"indices.arrow\"}], \"_split\"");
    let taken = state(&[first]).replace("\"}", "\", \"skip\": 1, \"take\": 1}");
    for (state, expected) in [
        (indices.as_str(), "state.json: its rows are selected by files of indices (hint: `.flatten_indices()`"),
        (&taken, "state.json: a part of \"data-00000-of-00003.arrow\" (hint"),
        (&state(&["../data.arrow"]), "state.json: the file \"../data.arrow\" is not in its folder"),
        (&state(&["/etc/passwd"]), "is not in its folder"),
        (&state(&[".."]), "is not in its folder"),
        (&state(&[]), "state.json: no data files (hint"),
        (&state(&["none.arrow"]), "none.arrow: "),
        (
            &state(&[first, "other.arrow"]),
            "other.arrow: column 2: expected \"label\" of type Int64 with the classes bad, good as in ",
        ),
        ("{}", "state.json: not as `save_to_disk` writes it: missing field `_data_files`"),
        ("[", "state.json: not as `save_to_disk` writes it"),
    ] {
        let message = refusal(state);
        assert!(message.contains(expected), "{message}");
    }
    let empty =
        state(&[first]).replace("\"_split\"", "\"_indices_files\": [], \"_indices_data_files\": null, \"_split\"");
    assert_eq!(read(saved(&empty).path()).unwrap().len(), 2);
}

#[test]
fn a_folder_of_splits_names_them() {
    let folder = TempDir::new().unwrap();
    assert!(dataset_dict_splits(folder.path()).is_none());
    let path = folder.path().join("dataset_dict.json");
    fs::write(&path, "{\"splits\": [\"train\", \"test\"]}").unwrap();
    assert_eq!(dataset_dict_splits(folder.path()).unwrap().unwrap(), ["train", "test"]);
    let message = read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("a data set with the splits train, test (hint: name one of them, such as "), "{message}");
    for (json, expected) in [
        ("{\"splits\": [\"../x\"]}", "the split \"../x\" is not in its folder"),
        ("{\"splits\": []}", "no splits"),
        ("{}", "missing field"),
    ] {
        fs::write(&path, json).unwrap();
        let message = dataset_dict_splits(folder.path()).unwrap().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(read(folder.path()).is_err());
    }
}

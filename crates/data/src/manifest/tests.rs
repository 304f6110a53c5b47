//! Opening prepared data: whatever differs from the manifest is refused.

use std::fs;

use super::*;
use crate::audit::{AuditLimits, TokenizedRows, TokenizedTexts, audit};
use crate::loaded::{Loaded, Places};
use crate::record::{Record, Split};
use crate::store::Writer;
use tokenize::{Encoded, IdsHash, Inspection};

/// A prepared directory with two training rows, after an edit of its manifest.
fn prepared(edit: impl FnOnce(&mut Manifest)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&dir.path().join("train.arrow")).unwrap();
    writer.push("good", Some(1), &[2, 5, 3]).unwrap();
    writer.push("bad", Some(0), &[2, 6, 3]).unwrap();
    let written = writer.finish().unwrap();
    let train = SplitManifest {
        rows: 2,
        labeled: 2,
        label_counts: vec![1, 1],
        tokens: 6,
        longest: 3,
        truncated: 0,
        truncated_share: 0.0,
        bytes: written.bytes,
        sha256: written.sha256,
    };
    let mut manifest = Manifest {
        format: FORMAT,
        fingerprint: "f".into(),
        dataset: "own".into(),
        variant: "two rows".into(),
        source: "own.csv".into(),
        license: "unknown".into(),
        source_sha256: BTreeMap::from([("own.csv".into(), "00".into())]),
        model: ModelSource {
            name: "tiny".into(),
            origin: fetch::ModelOrigin::Hub { revision: "main".into() },
            note: None,
        },
        tokenizer_sha256: "t".into(),
        lower_case: None,
        vocab_size: 7,
        max_length: 8,
        label_names: vec!["negative".into(), "positive".into()],
        label_values: BTreeMap::from([("0".into(), "negative".into()), ("1".into(), "positive".into())]),
        splits: BTreeMap::from([("train".into(), train)]),
        audit_sha256: small_audit().write(dir.path()).unwrap(),
        notes: vec!["a note".into()],
    };
    edit(&mut manifest);
    manifest.write(dir.path()).unwrap();
    dir
}

fn small_audit() -> Audit {
    let loaded = Loaded {
        dataset: "own".into(),
        variant: "two rows".into(),
        disambiguation: None,
        source: "own.csv".into(),
        license: "unknown".into(),
        source_sha256: BTreeMap::new(),
        label_names: vec!["negative".into(), "positive".into()],
        label_values: BTreeMap::new(),
        train: vec![Record::labeled("good", 1), Record::labeled("bad", 0)],
        validation: Vec::new(),
        test: Vec::new(),
        places: Places::default(),
        empty_dropped: 0,
        notes: Vec::new(),
    };
    let mut rows = TokenizedRows::default();
    for id in [5, 6] {
        let encoded = Encoded { ids: vec![2, id, 3], truncated: false, untruncated_len: 3, unknown: 0 };
        rows.push(&Inspection { encoded, tokens: 1, ids_hash: IdsHash::new(&[id]), long_words: 0 });
    }
    let splits = BTreeMap::from([(Split::Train, rows)]);
    audit(&loaded, &TokenizedTexts { max_length: 8, max_word_chars: 100, splits }, AuditLimits::default(), false)
}

fn edit_text(dir: &Path, from: &str, to: &str) {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
}

fn refusal(dir: &Path) -> String {
    Prepared::open(dir).unwrap_err().to_string()
}

fn split_refusal(edit: impl FnOnce(&mut Manifest)) -> String {
    let dir = prepared(edit);
    Prepared::open(dir.path()).unwrap().split("train").unwrap_err().to_string()
}

#[test]
fn a_written_manifest_can_be_opened() {
    let mut kept = None;
    let dir = prepared(|manifest| kept = Some(manifest.clone()));
    let prepared = Prepared::open(dir.path()).unwrap();
    assert_eq!(Some(&prepared.manifest), kept.as_ref());
    prepared.verify().unwrap();
    let train = prepared.split("train").unwrap();
    assert_eq!(
        (train.len(), train.text(1).unwrap(), train.label(1), train.input_ids(1).unwrap()),
        (2, "bad", Some(0), [2, 6, 3].as_slice())
    );
    let message = prepared.split("test").unwrap_err().to_string();
    assert!(message.contains("no split \"test\", only train"), "{message}");
}

#[test]
fn an_unfinished_directory_is_no_prepared_data() {
    let dir = prepared(|_| {});
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    assert!(refusal(dir.path()).contains("has no manifest.json, so it is not prepared data"));
    assert!(refusal(&dir.path().join("nowhere")).contains("doesn't exist"));
}

#[test]
fn other_manifests_are_refused() {
    let dir = prepared(|_| {});
    edit_text(dir.path(), "\"format\": 2", "\"later\": true, \"format\": 3");
    assert!(refusal(dir.path()).contains("has format 3, but this program reads format 2"));
    // Form 1 was never released; its manifests hold the audit.
    let dir = prepared(|_| {});
    edit_text(dir.path(), "\"format\": 2", "\"audit\": {\"train\": {\"rows\": 2}}, \"format\": 1");
    let message = refusal(dir.path());
    let (start, end) = ("has format 1, but this program reads format 2 (hint: cargo xtask prepare-data ", " --output ");
    assert!(message.contains(start) && message.contains(end), "{message}");
    let dir = prepared(|_| {});
    edit_text(dir.path(), "\"format\": 2", "\"surprise\": 3, \"format\": 2");
    assert!(refusal(dir.path()).contains("surprise"));
    let dir = prepared(|manifest| {
        let train = manifest.splits.remove("train").unwrap();
        manifest.splits.insert("../train".into(), train);
    });
    assert!(refusal(dir.path()).contains("\"../train\""));
    let dir = prepared(|_| {});
    let cut = fs::read(dir.path().join(MANIFEST)).unwrap();
    fs::write(dir.path().join(MANIFEST), &cut[..cut.len() / 2]).unwrap();
    assert!(refusal(dir.path()).contains("is not a manifest"));
}

#[test]
fn the_audit_is_read_back() {
    let dir = prepared(|_| {});
    assert_eq!(Prepared::open(dir.path()).unwrap().audit().unwrap(), small_audit());
    let path = dir.path().join(AUDIT);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"rows\": 2", "\"rows\": 3", 1)).unwrap();
    let changed = Prepared::open(dir.path()).unwrap();
    for message in [changed.audit().unwrap_err(), changed.verify().unwrap_err()].map(|error| error.to_string()) {
        assert!(message.contains("audit.json: sha256 is") && message.contains("prepare the data again"), "{message}");
    }
    fs::remove_file(path).unwrap();
    assert!(refusal(dir.path()).contains("has no audit.json (hint: prepare the data again)"));
}

#[test]
fn sizes_and_hashes_are_held_against_the_files() {
    let dir = prepared(|manifest| manifest.splits.get_mut("train").unwrap().bytes += 1);
    assert!(refusal(dir.path()).contains("prepare the data again"));
    let dir = prepared(|_| {});
    let path = dir.path().join("train.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"goodbad").unwrap();
    bytes[at] = b'f';
    fs::write(&path, bytes).unwrap();
    let message = Prepared::open(dir.path()).unwrap().verify().unwrap_err().to_string();
    assert!(message.contains("train.arrow") && message.contains("sha256"), "{message}");
}

#[test]
fn a_split_holds_what_the_manifest_says() {
    assert!(
        split_refusal(|manifest| manifest.splits.get_mut("train").unwrap().rows = 3)
            .contains("has 2 rows, not the manifest's 3")
    );
    let few_words = prepared(|manifest| manifest.vocab_size = 6);
    let train = Prepared::open(few_words.path()).unwrap().split("train").unwrap();
    assert!(train.input_ids(1).unwrap_err().to_string().contains("train.arrow: row 1: token id 6"));
    assert!(split_refusal(|manifest| manifest.max_length = 2).contains("row 0: expected 1 to 2 tokens, found 3"));
    let fewer = prepared(|manifest| drop(manifest.label_names.pop()));
    assert!(refusal(fewer.path()).contains("manifest.json: train: counts 2 labels and names 1"));
    let fewer_labels = |manifest: &mut Manifest| {
        manifest.label_names.pop();
        manifest.splits.values_mut().for_each(|split| split.label_counts.truncate(1));
    };
    assert!(split_refusal(fewer_labels).contains("row 0: label 1"));
}

#[test]
fn the_newest_finished_directory_is_found() {
    let root = tempfile::tempdir().unwrap();
    let message = newest_under(&root.path().join("none")).unwrap_err().to_string();
    assert!(message.contains("cargo xtask prepare-data"), "{message}");
    let finish = |name: &str, age: u64| {
        let dir = root.path().join(name);
        fs::create_dir(&dir).unwrap();
        let file = File::create(dir.join(MANIFEST)).unwrap();
        file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        dir
    };
    finish("older", 100);
    let newest = finish("newest", 50);
    finish(".newest.partial-7", 1);
    fs::create_dir(root.path().join("unfinished")).unwrap();
    assert_eq!(newest_under(root.path()).unwrap(), newest);
}

#[test]
fn data_is_found_where_it_was_or_beside_a_run_that_moved_with_it() {
    let place = tempfile::tempdir().unwrap();
    let new_data = |path: &str, fingerprint: &str| {
        let made = prepared(|manifest| manifest.fingerprint = fingerprint.into());
        let path = place.path().join(path);
        fs::create_dir_all(&path).unwrap();
        for entry in fs::read_dir(made.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
        }
        path
    };
    let run = place.path().join("project/runs/first");
    fs::create_dir_all(&run).unwrap();
    let data = new_data("project/data/prepared/own", "mine");
    assert_eq!(locate(&data, &run, "mine"), data);
    // A path of the working directory, from another one; and one of another machine or place.
    for recorded in ["data/prepared/own", "/nowhere/project/data/prepared/own", "../data/prepared/own"] {
        let found = locate(Path::new(recorded), &run, "mine");
        assert_eq!(found.canonicalize().unwrap(), data.canonicalize().unwrap(), "{recorded}");
    }
    // Only the very data: what has the name and another fingerprint is passed over.
    let other = new_data("project/runs/data/prepared/own", "another");
    assert_eq!(locate(&other, &run, "mine"), data);
    assert_eq!(locate(Path::new("gone/own"), &run, "neither"), Path::new("gone/own"));
}

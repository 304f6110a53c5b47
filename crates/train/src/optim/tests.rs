//! Tests of all optimizers, and their helpers. The comparison of an optimizer with its reference is in the optimizer's
//! own file.

mod checkpoint;
mod equivalence;
mod flat;
#[cfg(target_os = "linux")]
mod out_of_memory;
mod table_rows;

use std::collections::HashMap;

use model::SequenceClassifier;
use serde_json::Value;
use tch::{Device, Kind};

use super::*;
use crate::error::TrainError;
use crate::options::{Choice, TrainArgs, TrainConfig};

const CPU: Device = Device::Cpu;
const TABLE: &str = "bert.embeddings.word_embeddings.weight";

/// The role of a parameter in these tests, and whether transformers applies weight decay to it.
fn role_and_decay(name: &str) -> (Role, bool) {
    let role = match name {
        TABLE => Role::Embedding,
        _ if name.contains("encoder.layer.0.") => Role::Layer(0),
        _ => Role::Head,
    };
    (role, !name.contains("bias") && !name.contains("LayerNorm"))
}

impl Optimizer {
    /// A step of weights without a model, which leaves no row behind.
    fn step_weights(&mut self, weights: &[Weight], gradients: &[Option<Gradient>], scale: &StepScale) -> Result<()> {
        self.update(weights, gradients, scale)?;
        self.catch_up_weights(weights, None)
    }
}

/// Parameters without a model.
struct Model {
    names: Vec<String>,
    masters: Vec<Tensor>,
    /// Empty in fp32.
    computes: Vec<Tensor>,
}

impl Model {
    fn new(parameters: Vec<(String, Tensor)>, precision: Kind) -> Self {
        let (names, masters): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
        let computes =
            if precision == Kind::Float { vec![] } else { masters.iter().map(|m| m.to_kind(precision)).collect() };
        Self { names, masters, computes }
    }

    fn weights(&self) -> Vec<Weight<'_>> {
        let weight = |(index, (name, master))| Weight { name, master, compute: self.computes.get(index) };
        self.names.iter().map(String::as_str).zip(&self.masters).enumerate().map(weight).collect()
    }

    fn optimizer(&self, settings: &OptimizerSettings) -> Optimizer {
        self.optimizer_with(settings, Backend::Kernels)
    }

    /// An optimizer for which each parameter is a span of its own.
    fn optimizer_with(&self, settings: &OptimizerSettings, backend: Backend) -> Optimizer {
        let roles: Vec<Role> = self.names.iter().map(|name| role_and_decay(name).0).collect();
        let multipliers = layer_decay::lr_multipliers(&roles, settings.layer_decay);
        let (mut states, mut named) = (Vec::new(), Vec::new());
        for ((name, master), lr_multiplier) in self.names.iter().zip(&self.masters).zip(multipliers) {
            let shape = master.size();
            let weight_decay = if role_and_decay(name).1 { settings.weight_decay } else { 0.0 };
            let mut tensors = Vec::new();
            for (state, shape) in (settings.kind.0.state)(&shape) {
                let zeros = Tensor::zeros(&shape, (Kind::Float, CPU));
                named.push((format!("{name}.{state}"), zeros.shallow_clone()));
                tensors.push(zeros);
            }
            let (name, rows) = (name.clone(), TableRows::new(&shape));
            states.push(SpanState { name, weight_decay, lr_multiplier, tensors, rows });
        }
        Optimizer { settings: *settings, backend, steps: 0, spans: Vec::new(), states, named }
    }

    /// A table of 3,000 rows, which is split into three jobs, and a vector whose length isn't a multiple of the block
    /// size.
    fn table_and_bias(precision: Kind) -> Self {
        let table = (TABLE.to_owned(), generated(0, &[3000, 48]));
        Self::new(vec![table, ("classifier.bias".to_owned(), generated(1, &[77]))], precision)
    }
}

fn kind(name: &str) -> OptimizerKind {
    *OPTIMIZERS.iter().find(|kind| kind.name() == name).expect("an optimizer")
}

/// An optimizer with its default options, and weight decay.
fn settings(kind: OptimizerKind) -> OptimizerSettings {
    let mut args = TrainArgs::default();
    args.set("optimizer", &kind.name()).expect("an optimizer");
    args.set("weight_decay", "0.1").expect("a number");
    TrainConfig::from_args(&args).expect("a configuration").optimizer.settings()
}

fn scale(step: u64) -> StepScale {
    StepScale { learning_rate: 0.001 * (1 + step % 5) as f64, gradient_scale: 0.5 }
}

/// `weight(stream, shape)` of tests/fixtures/bert/generator.py, which states the rule.
pub(super) fn generated(stream: u64, shape: &[i64]) -> Tensor {
    let value = |index: u64| {
        let mut bits = (stream * 1_000_003 + index).wrapping_add(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((bits >> 40) as f32 * 2.0_f32.powi(-24) - 0.5) * 0.4
    };
    let count = shape.iter().product::<i64>() as u64;
    Tensor::from_slice(&(0..count).map(value).collect::<Vec<f32>>()).view(shape)
}

fn dense(gradient: Tensor) -> Option<Gradient> {
    Some(Gradient::Dense(gradient))
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_kind(Kind::Float).view(-1)).expect("values")
}

fn assert_same_bits(ours: &Tensor, theirs: &Tensor, what: &str) {
    let (ours, theirs) = (values(ours), values(theirs));
    assert_eq!(ours.len(), theirs.len());
    let differ = ours.iter().zip(&theirs).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(differ, None, "{what}: first difference at this element");
}

/// The largest difference is at most 1e-6 of the largest value.
pub(super) fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-6 * largest, "{what}: {a} against {b}, largest {largest}");
    }
}

/// Row gradients of a step. Some rows have a gradient in many steps, some in one, most in none.
fn row_gradient(step: u64) -> (Tensor, Tensor) {
    let ids: Vec<i64> = (0..40).map(|index| index * 71 + (index % 3) * (step as i64 % 4)).collect();
    let values = generated(1000 + step, &[ids.len() as i64, 48]) * 0.05;
    (Tensor::from_slice(&ids), values)
}

/// Compares twenty steps of an optimizer, by each backend, with those of tests/fixtures/optimizers/make_optimizers.py.
pub(super) fn assert_twenty_steps_equal_the_reference(name: &str) {
    twenty_steps_equal_the_reference(name, Backend::Kernels);
    twenty_steps_equal_the_reference(name, Backend::Libtorch);
}

fn twenty_steps_equal_the_reference(name: &str, backend: Backend) {
    let fixture: Value = test_support::fixture("optimizers/optimizers.json");
    let shapes: Vec<(String, Vec<i64>)> = fixture["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|entry| {
            let shape =
                entry["shape"].as_array().expect("a shape").iter().map(|n| n.as_i64().expect("a size")).collect();
            (entry["name"].as_str().expect("a name").to_owned(), shape)
        })
        .collect();
    let reference = &fixture["optimizers"][name];
    let start = |(index, (name, shape)): (usize, &(String, Vec<i64>))| (name.clone(), generated(index as u64, shape));
    let model = Model::new(shapes.iter().enumerate().map(start).collect(), Kind::Float);
    let mut optimizer = model.optimizer_with(&settings(kind(name)), backend);
    let mut compared = 0;
    for step in 0..20 {
        let gradient = |index: usize| generated(100 * (step + 1) + index as u64, &shapes[index].1) * 0.05;
        let gradients: Vec<_> = (0..shapes.len()).map(|index| dense(gradient(index))).collect();
        optimizer.step_weights(&model.weights(), &gradients, &scale(step)).expect("a step");
        let Some(expected) = reference[(step + 1).to_string()].as_object() else {
            continue;
        };
        let mut found: HashMap<String, Vec<f32>> =
            optimizer.state().into_iter().map(|(name, tensor)| (name, values(tensor))).collect();
        found.extend(model.names.iter().cloned().zip(model.masters.iter().map(values)));
        assert_eq!(found.len(), expected.len(), "weights and state");
        for (name, numbers) in expected {
            let numbers: Vec<f32> =
                numbers.as_array().expect("numbers").iter().map(|n| n.as_f64().expect("a number") as f32).collect();
            assert_close(&found[name], &numbers, &format!("step {}, {name}", step + 1));
        }
        compared += 1;
    }
    assert_eq!((optimizer.steps, compared), (20, 2));
}

/// The weights of one parameter of two elements, 1 and -2, after each step with the gradients 0.5 and -0.25, then 0.25
/// and 1. The learning rate is 0.1, and weight decay 0.1.
pub(super) fn two_steps(name: &str) -> [Vec<f32>; 2] {
    let start = Tensor::from_slice(&[1.0_f32, -2.0]);
    let model = Model::new(vec![("classifier.weight".to_owned(), start)], Kind::Float);
    let mut optimizer = model.optimizer(&settings(kind(name)));
    [[0.5_f32, -0.25], [0.25, 1.0]].map(|gradient| {
        let scale = StepScale { learning_rate: 0.1, gradient_scale: 1.0 };
        optimizer.step_weights(&model.weights(), &[dense(Tensor::from_slice(&gradient))], &scale).expect("a step");
        values(&model.masters[0])
    })
}

#[test]
fn the_average_of_a_row_without_further_gradients_becomes_zero() {
    let model = Model::table_and_bias(Kind::Float);
    let mut optimizer = model.optimizer(&settings(kind("adamw")));
    for step in 0..900 {
        let id = Tensor::from_slice(&[if step == 0 { 5_i64 } else { 6 }]);
        let rows = Gradient::Rows { ids: id, values: generated(step, &[1, 48]) };
        optimizer.step_weights(&model.weights(), &[Some(rows), None], &scale(step)).expect("a step");
    }
    let exp_avg = optimizer.state()[0].1;
    assert!(values(&exp_avg.get(5)).iter().all(|average| *average == 0.0));
    assert!(values(&exp_avg.get(6)).iter().all(|average| average.abs() > 1e-6));
}

/// A tiny BERT, whose widths leave gaps in the flat buffers.
fn tiny(precision: model::Precision, backend: Backend) -> SequenceClassifier {
    let json = r#"{"model_type": "bert", "vocab_size": 90, "hidden_size": 12, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 20, "max_position_embeddings": 8}"#;
    let config = model::Config::from_json(json, std::path::Path::new("config.json")).expect("parses");
    let mut model = SequenceClassifier::random(config, CPU, precision, 1);
    model.parameters_mut().set_backend(backend);
    model
}

fn gradients_of(model: &SequenceClassifier, step: u64) -> Gradients {
    let ids: Vec<i64> = (0..7).map(|index| (index * 13 + step as i64 * 5) % 90).collect();
    let inputs = model::Inputs::new(&ids, &[0, 4, 7], CPU);
    let (logits, tape) = model.forward_train(&inputs, &model::DropoutStream::new(1, step));
    model.backward(tape, &logits.ones_like())
}

/// A tiny BERT and the gradients of a pass.
pub(super) fn tiny_pass(precision: model::Precision, backend: Backend) -> (SequenceClassifier, Gradients) {
    let model = tiny(precision, backend);
    let gradients = gradients_of(&model, 0);
    (model, gradients)
}

#[test]
fn frozen_parameters_have_no_state_and_reject_gradients() {
    let (mut model, gradients) = tiny_pass(model::Precision::Fp32, Backend::Kernels);
    let frozen = |role| matches!(role, Role::Embedding | Role::Layer(1));
    model.parameters_mut().freeze(frozen);
    let mut optimizer = Optimizer::new(model.parameters(), &settings(kind("adamw"))).expect("an optimizer");
    let trainable = |model: &SequenceClassifier| model.parameters().iter().filter(|one| one.trainable()).count();
    assert_eq!(optimizer.state().len(), 2 * trainable(&model));
    let before: Vec<Tensor> = model.parameters().iter().map(|one| one.master().copy()).collect();

    let error = optimizer.step(model.parameters_mut(), &gradients, &scale(0)).expect_err("gradients of all");
    assert!(error.to_string().contains("expected one of every trainable parameter"), "{error}");
    let gradients = gradients_of(&model, 0);
    optimizer.step(model.parameters_mut(), &gradients, &scale(0)).expect("a step");
    for (parameter, before) in model.parameters().iter().zip(&before) {
        assert_eq!(parameter.master().equal(before), frozen(parameter.role()), "{}", parameter.name());
    }

    model.parameters_mut().freeze(|_| false);
    let gradients = gradients_of(&model, 0);
    let error = optimizer.step(model.parameters_mut(), &gradients, &scale(1)).expect_err("others are trainable");
    assert!(error.to_string().contains("the trainable parameters"), "{error}");
    assert_eq!(optimizer.steps, 1);
}

#[test]
fn mismatched_gradients_are_rejected() {
    let model = Model::table_and_bias(Kind::Float);
    let mut optimizer = model.optimizer(&settings(kind("adamw")));
    let rows = |ids: &[i64], width| {
        let values = Tensor::zeros([ids.len() as i64, width], (Kind::Float, CPU));
        Some(Gradient::Rows { ids: Tensor::from_slice(ids), values })
    };
    let cases = [
        dense(Tensor::zeros([48, 3000], (Kind::Float, CPU))),
        dense(Tensor::zeros([48, 3000], (Kind::Float, CPU)).tr()),
        dense(Tensor::zeros([3000, 48], (Kind::Half, CPU))),
        rows(&[1, 2], 47),
        rows(&[2, 1], 48),
        rows(&[2, 2], 48),
        rows(&[-1, 2], 48),
        rows(&[2, 3000], 48),
    ];
    for gradient in cases {
        let what = format!("{gradient:?}");
        let error = optimizer.step_weights(&model.weights(), &[gradient, None], &scale(0)).expect_err(&what);
        assert!(error.to_string().contains(TABLE), "{error}");
    }
    let error = optimizer.step_weights(&model.weights(), &[None], &scale(0)).expect_err("one gradient for two");
    assert!(error.to_string().contains("2 of weights with 1 gradients"), "{error}");
}

#[test]
fn lower_layers_change_less_with_layer_decay() {
    let names = [TABLE, "bert.encoder.layer.0.output.dense.weight", "classifier.weight"];
    let model =
        Model::new(names.map(|name| (name.to_owned(), Tensor::zeros([2, 2], (Kind::Float, CPU)))).into(), Kind::Float);
    let mut optimizer = model.optimizer(&OptimizerSettings { layer_decay: 0.5, ..settings(kind("sgd")) });
    let gradients = names.map(|_| dense(Tensor::ones([2, 2], (Kind::Float, CPU))));
    let scale = StepScale { learning_rate: 1.0, gradient_scale: 1.0 };
    optimizer.step_weights(&model.weights(), &gradients, &scale).expect("a step");
    let changes: Vec<f64> = model.masters.iter().map(|master| master.double_value(&[0, 0])).collect();
    assert_eq!(changes, [-0.25, -0.5, -1.0]);
}

/// Takes one step of SGD on a real model with all gradients 1, and checks how much the parameters of each role change.
#[test]
fn layer_decay_weight_decay_and_freezing_apply_by_role() {
    let mut model = tiny(model::Precision::Fp32, Backend::Kernels);
    model.parameters_mut().freeze(|role| role == Role::Layer(0));
    for parameter in model.parameters().iter() {
        let _ = parameter.master().shallow_clone().fill_(1.0);
    }
    let settings = OptimizerSettings { layer_decay: 0.5, weight_decay: 0.5, ..settings(kind("sgd")) };
    let mut optimizer = Optimizer::new(model.parameters(), &settings).expect("an optimizer");
    let gradients = Gradients::sums(model.parameters());
    gradients.flat().for_each(|buffer| drop(buffer.shallow_clone().fill_(1.0)));
    let scale = StepScale { learning_rate: 1.0, gradient_scale: 1.0 };
    optimizer.step(model.parameters_mut(), &gradients, &scale).expect("a step");
    for parameter in model.parameters().iter() {
        let learning_rate = match parameter.role() {
            Role::Embedding => 0.0625,
            Role::Layer(0) => 0.0,
            Role::Layer(1) => 0.25,
            Role::Layer(_) => 0.5,
            Role::Head => 1.0,
        };
        let is_norm_or_bias = parameter.name().ends_with("bias") || parameter.name().contains("LayerNorm");
        let change = learning_rate * if is_norm_or_bias { 1.0 } else { 1.5 };
        assert!(parameter.master().eq(1.0 - change).all().int64_value(&[]) == 1, "{}", parameter.name());
    }
}

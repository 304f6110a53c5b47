//! A tiny BERT: logits, losses, every parameter's gradient, and fifty steps of AdamW, by each backend.

use std::collections::BTreeMap;

use model::{Backend, DropoutStream, Gradients, Inputs, Precision, SequenceClassifier};
use serde_json::Value;
use tch::{Device, Kind, Tensor};
use test_support::{fixture, fixture_path};
use train::loss::Loss;
use train::optim::{Optimizer, StepScale, clip};
use train::options::{OptimizerOptions, ScheduleOptions};

use crate::generator::{self, Batch};
use crate::{floats, max_difference};

/// Whether the gradient of a parameter is zero except for rounding errors: adding a constant to all attention scores
/// doesn't change their softmax.
fn has_zero_gradient(name: &str) -> bool {
    name.ends_with("attention.self.key.bias")
}

const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Libtorch];

fn tiny(base: &Value, changes: &Value, backend: Backend) -> (SequenceClassifier, Vec<String>) {
    let config = generator::config(base, changes);
    let mut model = SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 1);
    model.parameters_mut().set_backend(backend);
    let names = generator::fill(&model);
    (model, names)
}

fn inputs(batch: &Batch) -> Inputs {
    let mut cu_seqlens = vec![0];
    for sentence in &batch.sentences {
        cu_seqlens.push(cu_seqlens[cu_seqlens.len() - 1] + sentence.len() as i64);
    }
    Inputs::new(&batch.sentences.concat(), &cu_seqlens, Device::Cpu)
}

fn list(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("numbers")
}

fn pass(model: &SequenceClassifier, batch: &Batch, loss: &Loss) -> (Vec<f64>, f64, Gradients) {
    let inputs = inputs(batch);
    let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 1));
    let (value, dlogits) = loss.forward_backward(&logits, &batch.labels, loss.total_weight(&batch.labels));
    (list(&logits), f64::try_from(&value).expect("a number"), model.backward(tape, &dlogits))
}

/// Every gradient as a dense tensor, by name.
fn by_name(model: &SequenceClassifier, gradients: &Gradients) -> BTreeMap<String, Tensor> {
    let parameters = model.parameters().iter().zip(gradients.iter());
    parameters
        .map(|(parameter, gradient)| {
            let gradient = gradient.unwrap_or_else(|| panic!("{} has no gradient", parameter.name()));
            (parameter.name().to_owned(), gradient.to_dense(&parameter.master().size()))
        })
        .collect()
}

fn norm(tensor: &Tensor) -> f64 {
    f64::try_from(tensor.to_kind(Kind::Double).norm()).expect("a number")
}

#[test]
fn logits_losses_and_gradients() {
    BACKENDS.into_iter().for_each(logits_losses_and_gradients_of);
}

fn logits_losses_and_gradients_of(backend: Backend) {
    let training: Value = fixture("bert/training.json");
    let base = &training["base"];
    let (model, names) = tiny(&base["config"], &Value::Null, backend);
    let expected: Vec<&str> = base["names"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert_eq!(names, expected);
    let batch = generator::batch(0, 3);
    assert_eq!(serde_json::json!(batch.sentences), base["batch_0"]["input_ids"]);
    assert_eq!(serde_json::json!(batch.labels), base["batch_0"]["labels"]);

    let (logits, loss, gradients) = pass(&model, &batch, &Loss::new(None, 0.0));
    let difference = max_difference(&logits, &floats(&base["logits"]));
    assert!(difference <= 1e-6, "{backend:?}: logits: {difference:e}");
    assert!((loss - base["loss"].as_f64().expect("loss")).abs() <= 1e-6, "{backend:?}: loss {loss}");
    assert!(
        max_difference(&list(&model.forward(&inputs(&batch))), &logits) <= 1e-6,
        "forward and forward_train differ"
    );

    let weights = Some(floats(&base["class_weights"]));
    for (key, loss) in [
        ("loss_label_smoothing_0.1", Loss::new(None, 0.1)),
        ("loss_class_weights", Loss::new(weights.clone(), 0.0)),
        ("loss_both", Loss::new(weights, 0.1)),
    ] {
        let (_, value, _) = pass(&model, &batch, &loss);
        assert!((value - base[key].as_f64().expect("loss")).abs() <= 1e-6, "{backend:?}, {key}: {value}");
    }

    let ours = by_name(&model, &gradients);
    let theirs = Tensor::read_safetensors(fixture_path("bert/gradients.safetensors")).expect("reads");
    assert_eq!(theirs.len(), ours.len());
    for (name, theirs) in theirs {
        let difference = norm(&(&ours[&name] - &theirs));
        if has_zero_gradient(&name) {
            assert!(difference <= 1e-6, "{backend:?}, {name}: {difference:e}");
        } else {
            let relative = difference / norm(&theirs);
            assert!(relative <= 1e-4, "{backend:?}, {name}: {relative:e}");
        }
    }
}

#[test]
fn the_gradient_of_every_loss_equals_autograd() {
    let logits = generator::weight(3, &[4, 3]) * 5.0;
    let labels = [0, 2, 1, 2];
    for loss in [Loss::new(None, 0.0), Loss::new(Some(vec![1.0, 2.0, 0.5]), 0.1)] {
        let total = loss.total_weight(&labels);
        let (_, gradient) = loss.forward_backward(&logits, &labels, total);
        let leaf = logits.copy().set_requires_grad(true);
        loss.forward_backward(&leaf, &labels, total).0.backward();
        assert!(max_difference(&list(&gradient), &list(&leaf.grad())) <= 1e-6);
    }
}

#[test]
fn other_configurations() {
    let training: Value = fixture("bert/training.json");
    let base = &training["base"]["config"];
    let variants = training["variants"].as_object().expect("variants");
    assert!(variants.len() >= 11);
    for ((variant, expected), backend) in variants.iter().flat_map(|variant| BACKENDS.map(|backend| (variant, backend)))
    {
        let (model, names) = tiny(base, &expected["changes"], backend);
        let batch = generator::batch(0, model.config().id2label.len() as u64);
        let (logits, loss, gradients) = pass(&model, &batch, &Loss::new(None, 0.0));
        let difference = max_difference(&logits, &floats(&expected["logits"]));
        assert!(difference <= 1e-5, "{backend:?}, {variant}: logits {difference:e}");
        assert!((loss - expected["loss"].as_f64().expect("loss")).abs() <= 1e-5, "{backend:?}, {variant}: loss {loss}");
        let ours = by_name(&model, &gradients);
        for (k, name) in (0..).zip(&names).filter(|(_, name)| !has_zero_gradient(name)) {
            let gradient = list(&ours[name]);
            let probe = generator::uniform(20_000 + k, gradient.len());
            let dot: f64 = gradient.iter().zip(probe).map(|(g, u)| g * f64::from(u - 0.5)).sum();
            let expected = floats(&expected["gradients"][name]);
            let (gradient_norm, scale) = (norm(&ours[name]), expected[0]);
            assert!(
                (gradient_norm - expected[0]).abs() <= 1e-4 * scale,
                "{backend:?}, {variant}, {name}: norm {gradient_norm}"
            );
            // The tolerance is relative to the gradient's norm times that of the probe, about sqrt(n / 12).
            let allowed = 1e-4 * scale * (gradient.len() as f64 / 12.0).sqrt();
            assert!((dot - expected[1]).abs() <= allowed, "{backend:?}, {variant}, {name}: probe {dot}");
        }
    }
}

#[test]
fn fifty_steps_of_adamw() {
    BACKENDS.into_iter().for_each(fifty_steps_of_adamw_of);
}

fn fifty_steps_of_adamw_of(backend: Backend) {
    let training: Value = fixture("bert/training.json");
    let (mut model, expected) = (tiny(&training["base"]["config"], &Value::Null, backend).0, &training["training"]);
    let start: BTreeMap<String, Tensor> =
        model.parameters().iter().map(|p| (p.name().to_owned(), p.master().copy())).collect();
    let schedule = ScheduleOptions { warmup_steps: 5, ..Default::default() }.schedule(1e-3, 50);
    let mut optimizer =
        Optimizer::new(model.parameters(), &OptimizerOptions::default().settings()).expect("an optimizer");
    let (losses, norms) = (floats(&expected["losses"]), floats(&expected["gradient_norms"]));
    let rates = floats(&expected["learning_rates"]);
    for step in 0..50 {
        let (_, loss, gradients) = pass(&model, &generator::batch(step, 3), &Loss::new(None, 0.0));
        let norm = clip::global_norm(&gradients, backend).expect("a norm");
        let (index, learning_rate) = (step as usize, schedule.lr(step));
        assert!(
            (loss - losses[index]).abs() <= 1e-4,
            "{backend:?}, step {step}: loss {loss}, expected {}",
            losses[index]
        );
        assert!(
            (norm - norms[index]).abs() <= 1e-3 * norms[index],
            "{backend:?}, step {step}: norm {norm}, expected {}",
            norms[index]
        );
        assert!(
            (learning_rate - rates[index]).abs() <= 1e-12,
            "{backend:?}, step {step}: learning rate {learning_rate}"
        );
        let scale = StepScale { learning_rate, gradient_scale: clip::coefficient(norm, 1.0) };
        optimizer.step(model.parameters_mut(), &gradients, &scale).expect("a step");
    }
    let (logits, ..) = pass(&model, &generator::batch(0, 3), &Loss::new(None, 0.0));
    let difference = max_difference(&logits, &floats(&expected["final_logits"]));
    assert!(difference <= 1e-4, "{backend:?}, final logits: {difference:e}");
    for parameter in model.parameters().iter().filter(|p| !has_zero_gradient(p.name())) {
        let distance = norm(&(parameter.master() - &start[parameter.name()]));
        let theirs = expected["distances"][parameter.name()].as_f64().expect("a distance");
        assert!(
            (distance - theirs).abs() <= 1e-3 * theirs,
            "{backend:?}, {}: distance {distance}, expected {theirs}",
            parameter.name()
        );
    }
}

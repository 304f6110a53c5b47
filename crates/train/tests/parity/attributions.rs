//! Integrated gradients of a tiny BERT against Captum's, by each backend.

use std::ops::ControlFlow;

use explain::{PathSteps, token_attributions};
use model::{Backend, Precision, SequenceClassifier};
use serde_json::Value;
use tch::Device;
use test_support::fixture;

use crate::{floats, generator, max_difference};

fn tiny(backend: Backend) -> SequenceClassifier {
    let training: Value = fixture("bert/training.json");
    let config = generator::config(&training["base"]["config"], &Value::Null);
    let mut model = SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 1);
    model.parameters_mut().set_backend(backend);
    generator::fill(&model);
    model
}

fn ids(case: &Value) -> Vec<u32> {
    floats(&case["input_ids"]).into_iter().map(|id| id as u32).collect()
}

/// `[PAD]` in place of every token but the first and the last.
fn baseline(ids: &[u32]) -> Vec<u32> {
    let mut baseline = ids.to_vec();
    baseline[1..ids.len() - 1].fill(0);
    baseline
}

#[test]
fn attributions_are_captums() {
    let theirs: Value = fixture("bert/attributions.json");
    let cases = theirs["cases"].as_array().expect("cases");
    assert!(cases.len() > 5, "{}", cases.len());
    for (backend, tokens_per_pass) in [(Backend::Kernels, 1000), (Backend::Kernels, 30), (Backend::Libtorch, 100)] {
        let model = tiny(backend);
        let mut worst = 0f64;
        for case in cases {
            let (ids, steps) = (ids(case), case["steps"].as_u64().expect("a number") as usize);
            let steps = PathSteps { first: steps, most: steps, tokens_per_pass };
            let mut weights = [0.0; 3];
            weights[case["class"].as_u64().expect("a number") as usize] = 1.0;
            let sequences = [&ids[..], &baseline(&ids)];
            let mut passes = 0;
            let mut pause = || {
                passes += 1;
                ControlFlow::Continue(())
            };
            let (values, completeness) =
                token_attributions(&model, sequences, &weights, steps, &mut pause).expect("attributions");
            assert_eq!(passes, steps.first.div_ceil((tokens_per_pass / ids.len()).max(1)));
            assert_eq!(completeness.steps, steps.first);
            worst = worst.max(max_difference(&values, &floats(&case["attributions"])));
            let logits = [completeness.logit, completeness.baseline_logit];
            worst = worst.max(max_difference(
                &logits,
                &[&case["logit"], &case["baseline_logit"]].map(|value| value.as_f64().expect("a number")),
            ));
            let delta = completeness.sum - (completeness.logit - completeness.baseline_logit);
            worst = worst.max((delta - case["delta"].as_f64().expect("a number")).abs());
        }
        println!("{backend:?}: {worst:e}");
        assert!(worst < 1e-5, "{backend:?}: {worst:e}");
    }
}

#[test]
fn steps_are_doubled_until_the_sum_is_complete() {
    let theirs: Value = fixture("bert/attributions.json");
    let (model, forever) = (tiny(Backend::Kernels), PathSteps { first: 1, most: 512, tokens_per_pass: 1000 });
    let mut doubled = 0;
    for case in theirs["cases"].as_array().expect("cases") {
        let ids = ids(case);
        let sequences = [&ids[..], &baseline(&ids)];
        let of = |steps, pause: &mut dyn FnMut() -> ControlFlow<()>| {
            token_attributions(&model, sequences, &[1.0, -0.5, 0.25], steps, pause)
        };
        let mut go_on = || ControlFlow::Continue(());
        let (_, completeness) = of(forever, &mut go_on).expect("attributions");
        assert!(completeness.is_complete() && completeness.relative_error <= 0.01, "{completeness:?}");
        if completeness.steps > 1 {
            doubled += 1;
            let most = completeness.steps / 2;
            let (_, before) = of(PathSteps { most, ..forever }, &mut go_on).expect("attributions");
            assert!(before.steps == most && !before.is_complete(), "{before:?}");
        }
        let given_up = of(forever, &mut || ControlFlow::Break(())).expect_err("it is given up").to_string();
        assert!(given_up.contains("given up"), "{given_up}");
    }
    assert!(doubled > 2, "{doubled} cases need more than one step");
}

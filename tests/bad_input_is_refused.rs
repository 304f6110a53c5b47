//! Invalid input that must be refused before a training starts, and the error messages.

use test_support::skipped;

use crate::support::Sandbox;

#[test]
fn data_that_does_not_fit_the_model_is_refused() {
    let sandbox = Sandbox::prepared();
    sandbox.write_model("other", &["another"]);
    assert_eq!(
        sandbox.fails("train --data data --model other"),
        "error: data doesn't fit the model other: it was tokenized for tiny, whose tokenizer is another one (hint: cargo \
         xtask prepare-data --dataset reviews.csv --model other --max-length 32)"
    );
    // The same texts, but a model with a smaller vocabulary.
    std::fs::copy(sandbox.path("tiny/vocab.txt"), sandbox.path("other/vocab.txt")).expect("copies");
    let config = String::from_utf8(sandbox.read("other/config.json")).expect("UTF-8");
    sandbox.write("other/config.json", &config.replace("\"vocab_size\": 32", "\"vocab_size\": 9"));
    let error = sandbox.fails("train --data data --model other");
    assert!(error.contains("its token ids go up to 30, and the model knows 9"), "{error}");
}

#[test]
fn missing_or_wrong_weights_are_refused() {
    let sandbox = Sandbox::prepared();
    let weights = sandbox.read("tiny/model.safetensors");
    std::fs::remove_file(sandbox.path("tiny/model.safetensors")).expect("removes");
    sandbox.write("tiny/pytorch_model.bin", "pickle");
    let error = sandbox.fails("train --data data --model tiny");
    assert!(error.contains("pickle can run any program") && error.contains("safetensors"), "{error}");
    std::fs::remove_file(sandbox.path("tiny/pytorch_model.bin")).expect("removes");
    std::fs::write(sandbox.path("tiny/model.safetensors"), &weights[..weights.len() / 2]).expect("writes");
    let error = sandbox.fails("train --data data --model tiny");
    assert!(error.contains("model.safetensors: not a usable safetensors file"), "{error}");
    assert!(!sandbox.path("runs").exists(), "nothing was begun");
}

#[test]
fn a_loss_that_is_not_a_number_stops_before_the_update() {
    let sandbox = Sandbox::prepared();
    let model = sandbox.write_model("tiny", &[]);
    let parameter =
        model.parameters().iter().find(|parameter| parameter.name() == "bert.pooler.dense.bias").expect("a pooler");
    let _ = parameter.master().shallow_clone().fill_(f64::NAN);
    model.save(&sandbox.path("tiny")).expect("saves");
    let error = sandbox.fails("train --data data --model tiny --output run");
    assert!(error.contains("step 1: the loss is NaN") && error.contains("Training rows of this step"), "{error}");
    assert!(!sandbox.path("run/model.safetensors").exists(), "no model is kept of it");
}

#[test]
fn a_missing_gpu_is_never_silently_replaced_by_the_cpu() {
    if tch::Cuda::is_available() {
        skipped("this machine has a usable GPU");
        return;
    }
    let sandbox = Sandbox::prepared();
    let error = sandbox.fails("train --data data --device cuda");
    assert!(error.starts_with("error: --device cuda is not available:"), "{error}");
    assert!(error.contains("cargo xtask setup --cuda") || error.contains("driver"), "{error}");
}

#[test]
fn folders_that_are_not_empty_are_never_overwritten() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds("train --data data --max-steps 1 --output run");
    let error = sandbox.fails("train --data data --max-steps 1 --output run");
    assert!(error.starts_with("error: run already holds a trained model"), "{error}");
    sandbox.write("home/thesis.txt", "years of work");
    let error = sandbox.fails("train --data data --output home");
    assert!(error.contains("home isn't empty") && error.contains("thesis.txt"), "{error}");
}

#[test]
fn invalid_values_are_named_with_what_is_allowed() {
    let sandbox = Sandbox::prepared();
    for (flags, word) in [
        ("--learning-rate nan", "--learning-rate"),
        ("--batch-size 0", "--batch-size 0"),
        ("--epochs 0", "--epochs 0"),
        ("--hidden-dropout 1", "--hidden-dropout 1"),
        ("--freeze-layers 2 --reinit-layers 1", "--reinit-layers 1"),
        ("--class-weights 1,2,3", "--class-weights"),
        ("--warmup-steps 5 --warmup-ratio 0.5", "--warmup-ratio"),
    ] {
        let error = sandbox.fails(&format!("train --data data {flags}"));
        assert!(error.contains(word) && error.contains("hint:"), "{flags}: {error}");
    }
    sandbox.write("bad.toml", "learning_rat = 1e-5\n");
    let error = sandbox.fails("train --data data --config bad.toml");
    assert!(error.contains("bad.toml, line 1") && error.contains("did you mean \"learning_rate\"?"), "{error}");
}

#[test]
fn unlabeled_splits_can_be_predicted_and_not_scored() {
    let sandbox = Sandbox::new();
    sandbox.write_reviews("train.csv", 60);
    sandbox.write("test.csv", "text\nthe film is lovely\nthe plot is awful\n");
    let output =
        sandbox.run("prepare --dataset train.csv --test-file test.csv --model tiny --max-length 32 --output data");
    assert_eq!(output.code, 0, "{}", output.err);
    sandbox.succeeds("train --data data --max-steps 2 --output run");
    let error = sandbox.fails("evaluate --run run --split test");
    assert!(error.contains("split \"test\": 2 of 2 rows have no label"), "{error}");
    assert_eq!(sandbox.succeeds("predict --run run --split test").lines().count(), 2);
}

#[test]
fn fewer_rows_than_a_batch_are_refused() {
    let sandbox = Sandbox::prepared();
    let error = sandbox.fails("train --data data --batch-size 500");
    assert!(
        error.contains("training rows, fewer than one batch of 500 (hint: more data, or --batch-size 1"),
        "{error}"
    );
}

#[test]
fn an_instruction_set_that_is_unknown_or_missing_is_refused_at_the_start() {
    let sandbox = Sandbox::new();
    let widest = model::Isa::available()[0].name();
    for command in ["doctor", "train --data data", "predict text"] {
        let output = sandbox.run_with(&[("VERDICT_ISA", "AVX-1024")], command);
        let error = sandbox.failure(&output).unwrap_or_else(|what| panic!("{command}: {what}"));
        assert!(error.starts_with(&format!("error: VERDICT_ISA=AVX-1024: expected one of {widest}")), "{error}");
        assert!(error.ends_with(&format!("(hint: without VERDICT_ISA, the kernels use {widest})")), "{error}");
    }
    assert!(sandbox.succeeds("doctor").starts_with(&format!("kernels of the CPU: {widest}\n")));
}

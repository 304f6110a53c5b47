//! What must be refused before any training starts, with the words it is refused with.

use crate::house::{House, skipped};

#[test]
fn data_that_does_not_fit_the_model() {
    let house = House::prepared();
    house.write_model("other", &["another"]);
    assert_eq!(
        house.refused("train --data data --model other"),
        "error: data doesn't fit the model other: it was tokenized for tiny, whose tokenizer is another one (hint: cargo \
         xtask prepare-data --dataset reviews.csv --model other --max-length 32)"
    );
    // The same words, but a model that knows fewer of them.
    std::fs::copy(house.path("tiny/vocab.txt"), house.path("other/vocab.txt")).expect("copies");
    let config = String::from_utf8(house.read("other/config.json")).expect("UTF-8");
    house.write("other/config.json", &config.replace("\"vocab_size\": 32", "\"vocab_size\": 9"));
    let error = house.refused("train --data data --model other");
    assert!(error.contains("its token ids go up to 30, and the model knows 9"), "{error}");
}

#[test]
fn weights_that_are_not_there_or_not_the_right_ones() {
    let house = House::prepared();
    let weights = house.read("tiny/model.safetensors");
    std::fs::remove_file(house.path("tiny/model.safetensors")).expect("removes");
    house.write("tiny/pytorch_model.bin", "pickle");
    let error = house.refused("train --data data --model tiny");
    assert!(error.contains("pickle can run any program") && error.contains("safetensors"), "{error}");
    std::fs::remove_file(house.path("tiny/pytorch_model.bin")).expect("removes");
    std::fs::write(house.path("tiny/model.safetensors"), &weights[..weights.len() / 2]).expect("writes");
    let error = house.refused("train --data data --model tiny");
    assert!(error.contains("model.safetensors: not a usable safetensors file"), "{error}");
    assert!(!house.path("runs").exists(), "nothing was begun");
}

#[test]
fn a_loss_that_is_not_a_number_stops_before_the_update() {
    let house = House::prepared();
    let model = house.write_model("tiny", &[]);
    let parameter =
        model.parameters().iter().find(|parameter| parameter.name() == "bert.pooler.dense.bias").expect("a pooler");
    let _ = parameter.master().shallow_clone().fill_(f64::NAN);
    model.save(&house.path("tiny")).expect("saves");
    let error = house.refused("train --data data --model tiny --output run");
    assert!(error.contains("step 1: the loss is NaN") && error.contains("Training rows of this step"), "{error}");
    assert!(!house.path("run/model.safetensors").exists(), "no model is kept of it");
}

#[test]
fn a_gpu_that_is_not_there_is_never_quietly_the_cpu() {
    if tch::Cuda::is_available() {
        skipped("this machine has a usable GPU");
        return;
    }
    let house = House::prepared();
    let error = house.refused("train --data data --device cuda");
    assert!(error.starts_with("error: --device cuda is not available:"), "{error}");
    assert!(error.contains("cargo xtask setup --cuda") || error.contains("driver"), "{error}");
}

#[test]
fn folders_that_hold_something_already() {
    let house = House::prepared();
    house.done("train --data data --max-steps 1 --output run");
    let error = house.refused("train --data data --max-steps 1 --output run");
    assert!(error.starts_with("error: run already holds a trained model"), "{error}");
    house.write("home/thesis.txt", "years of work");
    let error = house.refused("train --data data --output home");
    assert!(error.contains("home isn't empty") && error.contains("thesis.txt"), "{error}");
}

#[test]
fn values_that_make_no_sense_are_named_with_what_is_allowed() {
    let house = House::prepared();
    for (flags, word) in [
        ("--learning-rate nan", "--learning-rate"),
        ("--batch-size 0", "--batch-size 0"),
        ("--epochs 0", "--epochs 0"),
        ("--hidden-dropout 1", "--hidden-dropout 1"),
        ("--freeze-layers 2 --reinit-layers 1", "--reinit-layers 1"),
        ("--class-weights 1,2,3", "--class-weights"),
        ("--warmup-steps 5 --warmup-ratio 0.5", "--warmup-ratio"),
    ] {
        let error = house.refused(&format!("train --data data {flags}"));
        assert!(error.contains(word) && error.contains("hint:"), "{flags}: {error}");
    }
    house.write("bad.toml", "learning_rat = 1e-5\n");
    let error = house.refused("train --data data --config bad.toml");
    assert!(error.contains("bad.toml, line 1") && error.contains("did you mean \"learning_rate\"?"), "{error}");
}

#[test]
fn unlabelled_splits_can_be_predicted_and_not_scored() {
    let house = House::new();
    house.write_reviews("train.csv", 60);
    house.write("test.csv", "text\nthe film is lovely\nthe plot is awful\n");
    let said = house.run("prepare --dataset train.csv --test-file test.csv --model tiny --max-length 32 --output data");
    assert_eq!(said.code, 0, "{}", said.err);
    house.done("train --data data --max-steps 2 --output run");
    let error = house.refused("evaluate --run run --split test");
    assert!(error.contains("split \"test\": 2 of 2 rows have no label"), "{error}");
    assert_eq!(house.done("predict --run run --split test").lines().count(), 2);
}

#[test]
fn fewer_rows_than_a_batch() {
    let house = House::prepared();
    let error = house.refused("train --data data --batch-size 500");
    assert!(
        error.contains("training rows, fewer than one batch of 500 (hint: more data, or --batch-size 1"),
        "{error}"
    );
}

#[test]
fn damaged_prepared_data_is_refused() {
    let house = House::prepared();
    let arrow = house.read("data/train.arrow");
    std::fs::write(house.path("data/train.arrow"), &arrow[..arrow.len() - 1]).expect("writes");
    let error = house.refused("train --data data");
    assert!(error.contains("train.arrow") && error.contains("prepare the data again"), "{error}");
    let error = house.refused("train --data nowhere");
    assert!(error.contains("nowhere: doesn't exist") && error.contains("prepare-data"), "{error}");
}

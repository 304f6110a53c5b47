//! Tests of the range of every option, with values just inside and just outside it.

use super::*;

fn config(flags: &[(&str, &str)]) -> Result<TrainConfig, OptionsError> {
    let mut args = TrainArgs::default();
    flags.iter().try_for_each(|(key, text)| args.set(key, text))?;
    TrainConfig::from_args(&args)
}

/// The error for these options; the others have their defaults.
fn refused(flags: &[(&str, &str)]) -> String {
    match config(flags) {
        Ok(_) => panic!("accepted: {flags:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_defaults_are_valid() {
    let saved = TrainConfig::default().to_table();
    assert!(saved.iter().all(|(key, value)| check(key, value) == Ok(())), "{saved}");
}

#[test]
fn the_error_names_flag_value_range_and_hint() {
    assert_eq!(
        refused(&[("learning_rate", "-2e-5")]),
        "--learning-rate -2e-5 is not allowed: it must be a number above 0 and up to 1 \
         (hint: 2e-5 is the default; 1e-5 to 5e-5 suit most models)"
    );
}

#[test]
fn counts_of_zero_are_refused() {
    for key in [
        "epochs",
        "batch_size",
        "eval_batch_size",
        "gradient_accumulation_steps",
        "max_steps",
        "eval_steps",
        "early_stopping_patience",
        "save_every",
        "save_total",
        "threads",
    ] {
        let message = refused(&[(key, "0")]);
        let start = format!("--{} 0 is not allowed: it must be a whole number", key.replace('_', "-"));
        assert!(message.starts_with(&start) && message.contains("1"), "{message}");
        config(&[(key, "1")]).unwrap();
    }
    assert!(refused(&[("threads", "1025")]).starts_with("--threads 1025 "));
    assert!(refused(&[("seed", "9223372036854775808")]).starts_with("--seed 9223372036854775808 is not allowed"));
    assert!(refused(&[("seed", "9223372036854775808")]).contains("from 0 to 2^63 - 1"));
    config(&[("seed", "9223372036854775807")]).unwrap();
}

/// Each float option with invalid values and with valid values near the bounds.
#[test]
fn floats_outside_their_range_are_refused() {
    let rows: [(&str, &[&str], &[&str]); 14] = [
        ("learning_rate", &["0", "-1", "1.1"], &["1e-9", "1"]),
        ("weight_decay", &["-0.01", "1.1"], &["0", "1"]),
        ("beta1", &["-0.1", "1"], &["0", "0.99"]),
        ("beta2", &["-0.1", "1"], &["0", "0.9999"]),
        ("epsilon", &["0", "-1e-8"], &["1e-30"]),
        ("momentum", &["-0.1", "1"], &["0", "0.99"]),
        ("max_grad_norm", &["-1"], &["0", "100"]),
        ("layer_decay", &["0", "-0.5", "1.01"], &["0.1", "1"]),
        ("warmup_ratio", &["-0.1", "1.1"], &["0", "1"]),
        ("polynomial_power", &["0", "-1"], &["0.5", "3"]),
        ("hidden_dropout", &["-0.1", "1"], &["0", "0.9"]),
        ("attention_dropout", &["-0.1", "1"], &["0", "0.9"]),
        ("classifier_dropout", &["-0.1", "1"], &["0", "0.9"]),
        ("label_smoothing", &["-0.1", "1"], &["0", "0.9"]),
    ];
    for (key, bad, good) in rows {
        // A setting with which the option is read.
        let reader = match key {
            "momentum" => ("optimizer", "sgd"),
            "polynomial_power" => ("schedule", "polynomial"),
            _ => ("optimizer", "adamw"),
        };
        for &value in bad.iter().chain(&["nan", "inf", "-inf"]) {
            let message = refused(&[reader, (key, value)]);
            let start = format!("--{} {value} is not allowed: it must be a", key.replace('_', "-"));
            assert!(message.starts_with(&start), "{message}");
        }
        for &value in good {
            config(&[reader, (key, value)]).unwrap();
        }
    }
}

#[test]
fn class_weights_are_finite_not_negative_and_not_all_zero() {
    for weights in ["", "1", "1,nan", "1,inf", "1,-1", "0,0"] {
        let message = refused(&[("class_weights", weights)]);
        assert!(message.starts_with(&format!("--class-weights {weights} is not allowed")), "{message}");
    }
    let config = config(&[("class_weights", "1,2,0")]).unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    config.regularization.check_labels(&names(&["negative", "neutral", "positive"])).unwrap();
    let error = config.regularization.check_labels(&names(&["negative", "positive"])).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("--class-weights 1,2,0 is not allowed: it must be 2 numbers"), "{message}");
    assert!(message.contains("negative, positive"), "{message}");
}

#[test]
fn the_warm_up_is_given_once_and_is_not_longer_than_the_run() {
    let message = refused(&[("warmup_steps", "100"), ("warmup_ratio", "0.1")]);
    assert!(message.starts_with("--warmup-steps 100 and --warmup-ratio 0.1 can't both be given"), "{message}");
    let message = refused(&[("warmup_steps", "100"), ("max_steps", "50")]);
    assert!(message.starts_with("--warmup-steps 100 ") && message.contains("50"), "{message}");
}

#[test]
fn frozen_and_reinitialized_layers_must_exist_and_not_overlap() {
    let options =
        |freeze_layers, reinit_layers| RegularizationOptions { freeze_layers, reinit_layers, ..Default::default() };
    options(4, 2).check_layers(6).unwrap();
    options(6, 0).check_layers(6).unwrap();
    let message = |freeze, reinit| options(freeze, reinit).check_layers(6).unwrap_err().to_string();
    assert!(message(7, 0).starts_with("--freeze-layers 7 is not allowed: it must be from 0 to the model's 6"));
    assert!(message(0, 7).starts_with("--reinit-layers 7 is not allowed"));
    assert!(message(5, 2).starts_with("--freeze-layers 5 and --reinit-layers 2 can't both be given"));
}

#[test]
fn class_weights_are_above_0_for_a_label_that_occurs() {
    let regularization = config(&[("class_weights", "0,1,0")]).unwrap().regularization;
    regularization.check_label_counts(&[5, 1, 0]).unwrap();
    let error = regularization.check_label_counts(&[5, 0, 1]).unwrap_err().to_string();
    assert!(error.contains("--class-weights 0,1,0") && error.contains("at least one label"), "{error}");
    config(&[("class_weights", "balanced")]).unwrap().regularization.check_label_counts(&[0, 0]).unwrap();
}

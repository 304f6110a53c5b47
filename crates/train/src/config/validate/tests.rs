//! Every range, by the values just outside and just inside it.

use super::*;

const NAN: f64 = f64::NAN;
const INFINITE: f64 = f64::INFINITY;

/// What is said about the defaults after one change.
fn refused(change: impl FnOnce(&mut TrainConfig)) -> String {
    let mut config = TrainConfig::default();
    change(&mut config);
    match config.validate() {
        Ok(()) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_defaults_are_good() {
    TrainConfig::default().validate().unwrap();
}

#[test]
fn a_refusal_names_flag_value_range_and_way_out() {
    assert_eq!(
        refused(|config| config.learning_rate = -2e-5),
        "--learning-rate -0.00002 is not allowed: it must be a number above 0 and up to 1 \
         (hint: 2e-5 is the default; 1e-5 to 5e-5 suit most models)"
    );
}

#[test]
fn counts_of_zero_are_refused() {
    let refusals = [
        (refused(|config| config.epochs = 0), "--epochs 0 "),
        (refused(|config| config.batch_size = 0), "--batch-size 0 "),
        (refused(|config| config.eval_batch_size = 0), "--eval-batch-size 0 "),
        (refused(|config| config.gradient_accumulation_steps = 0), "--gradient-accumulation-steps 0 "),
        (refused(|config| config.max_steps = Some(0)), "--max-steps 0 "),
        (refused(|config| config.eval_steps = Some(0)), "--eval-steps 0 "),
        (refused(|config| config.early_stopping_patience = Some(0)), "--early-stopping-patience 0 "),
        (refused(|config| config.threads = Some(0)), "--threads 0 "),
    ];
    for (message, start) in refusals {
        assert!(message.starts_with(start) && message.contains("1"), "{message}");
    }
    assert!(refused(|config| config.threads = Some(1025)).starts_with("--threads 1025 "));
    assert!(refused(|config| config.seed = 1 << 63).starts_with("--seed 9223372036854775808 "));
}

/// Each number with the values it refuses and the extreme ones it takes.
#[test]
fn numbers_outside_their_range_are_refused_and_the_borders_kept() {
    type Set = fn(&mut TrainConfig, f64);
    let rows: [(&str, Set, &[f64], &[f64]); 14] = [
        ("learning-rate", |config, x| config.learning_rate = x, &[0.0, -1.0, 1.1], &[1e-9, 1.0]),
        ("weight-decay", |config, x| config.weight_decay = x, &[-0.01, 1.1], &[0.0, 1.0]),
        ("beta1", |config, x| config.beta1 = x, &[-0.1, 1.0], &[0.0, 0.99]),
        ("beta2", |config, x| config.beta2 = x, &[-0.1, 1.0], &[0.0, 0.9999]),
        ("epsilon", |config, x| config.epsilon = x, &[0.0, -1e-8], &[1e-30]),
        ("momentum", |config, x| config.momentum = x, &[-0.1, 1.0], &[0.0, 0.99]),
        ("max-grad-norm", |config, x| config.max_grad_norm = x, &[-1.0], &[0.0, 100.0]),
        ("layer-decay", |config, x| config.layer_decay = x, &[0.0, -0.5, 1.01], &[0.1, 1.0]),
        ("warmup-ratio", |config, x| config.warmup_ratio = x, &[-0.1, 1.1], &[0.0, 1.0]),
        ("polynomial-power", |config, x| config.polynomial_power = x, &[0.0, -1.0], &[0.5, 3.0]),
        ("hidden-dropout", |config, x| config.hidden_dropout = Some(x), &[-0.1, 1.0], &[0.0, 0.9]),
        ("attention-dropout", |config, x| config.attention_dropout = Some(x), &[-0.1, 1.0], &[0.0, 0.9]),
        ("classifier-dropout", |config, x| config.classifier_dropout = Some(x), &[-0.1, 1.0], &[0.0, 0.9]),
        ("label-smoothing", |config, x| config.label_smoothing = x, &[-0.1, 1.0], &[0.0, 0.9]),
    ];
    for (flag, set, bad, good) in rows {
        for &value in bad.iter().chain(&[NAN, INFINITE, -INFINITE]) {
            let message = refused(|config| set(config, value));
            assert!(message.starts_with(&format!("--{flag} {value} is not allowed")), "{message}");
        }
        for &value in good {
            let mut config = TrainConfig::default();
            set(&mut config, value);
            assert!(config.validate().is_ok(), "--{flag} {value}");
        }
    }
}

#[test]
fn class_weights_are_finite_not_negative_and_not_all_zero() {
    for weights in [vec![], vec![1.0], vec![1.0, NAN], vec![1.0, INFINITE], vec![1.0, -1.0], vec![0.0, 0.0]] {
        let message = refused(|config| config.class_weights = ClassWeights::Values(weights));
        assert!(message.starts_with("--class-weights "), "{message}");
    }
    let config = TrainConfig { class_weights: ClassWeights::Values(vec![1.0, 2.0, 0.0]), ..TrainConfig::default() };
    config.validate().unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    config.validate_labels(&names(&["negative", "neutral", "positive"])).unwrap();
    let message = config.validate_labels(&names(&["negative", "positive"])).unwrap_err().to_string();
    assert!(message.starts_with("--class-weights 1,2,0 is not allowed: it must be 2 numbers"), "{message}");
    assert!(message.contains("negative, positive"), "{message}");
}

#[test]
fn the_warm_up_has_one_length_and_fits_the_run() {
    let message = refused(|config| (config.warmup_steps, config.warmup_ratio) = (100, 0.1));
    assert!(message.starts_with("--warmup-steps 100 and --warmup-ratio 0.1 can't both be given"), "{message}");
    let message = refused(|config| (config.warmup_steps, config.max_steps) = (100, Some(50)));
    assert!(message.starts_with("--warmup-steps 100 ") && message.contains("50"), "{message}");
}

#[test]
fn frozen_and_redrawn_layers_fit_the_model_and_do_not_overlap() {
    let config = |freeze_layers, reinit_layers| TrainConfig { freeze_layers, reinit_layers, ..Default::default() };
    config(4, 2).validate_layers(6).unwrap();
    config(6, 0).validate_layers(6).unwrap();
    let message = |freeze, reinit| config(freeze, reinit).validate_layers(6).unwrap_err().to_string();
    assert!(message(7, 0).starts_with("--freeze-layers 7 is not allowed: it must be from 0 to the model's 6"));
    assert!(message(0, 7).starts_with("--reinit-layers 7 is not allowed"));
    assert!(message(5, 2).starts_with("--freeze-layers 5 and --reinit-layers 2 can't both be given"));
}

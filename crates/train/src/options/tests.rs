//! Tests of flags, file and defaults together: precedence, saving and error messages.

mod bounds;
mod guide;

use clap::{Args, FromArgMatches, ValueEnum};

use metrics::Metric;

use model::{DeviceChoice, PrecisionChoice};

use super::*;
use crate::optim::OptimizerKind;
use crate::schedule::ScheduleKind;

fn command() -> clap::Command {
    TrainArgs::augment_args(clap::Command::new("train"))
}

/// The arguments of a command line.
fn flags(line: &str) -> Result<TrainArgs, clap::Error> {
    let words = std::iter::once("train").chain(line.split_whitespace());
    command().try_get_matches_from(words).and_then(|matches| TrainArgs::from_arg_matches(&matches))
}

fn config(line: &str) -> Result<TrainConfig, OptionsError> {
    TrainConfig::from_args(&flags(line).unwrap())
}

fn optimizer(name: &str) -> OptimizerKind {
    value::OptionValue::from_text(name).unwrap()
}

/// A configuration file that is deleted when the returned value is dropped.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn no_flags_give_the_defaults() {
    assert_eq!(config("").unwrap(), TrainConfig::default());
}

#[test]
#[expect(clippy::needless_update, reason = "new options are covered by the next test")]
fn every_flag_reaches_its_field() {
    let lines = [
        "--data d --model m --output o --epochs 2 --max-steps 90 --batch-size 8 --eval-batch-size 64 \
         --gradient-accumulation-steps 4 --group-by-length --seed 7 --precision BF16 --device CPU --threads 2 \
         --skip-memory-check \
         --optimizer Adam --learning-rate 5e-5 --weight-decay 0.1 --beta1 0.8 --beta2 0.98 --epsilon 1e-6 \
         --max-grad-norm 0 --layer-decay 0.9 --schedule Polynomial --warmup-steps 10 \
         --polynomial-power 2 --hidden-dropout 0.2 --attention-dropout 0.3 --classifier-dropout 0.4 \
         --label-smoothing 0.1 --class-weights 1,2 --freeze-embeddings --freeze-layers 3 --reinit-layers 1 \
         --eval-steps 30 --best-metric macro-f1 --early-stopping-patience 5 --save-every 7 --save-total 2 --tensorboard=true",
        "--optimizer SGD --momentum 0.5 --warmup-ratio 0.25",
    ];
    let found = config(lines[0]).unwrap();
    let expected = TrainConfig {
        data: Some("d".into()),
        model: Some("m".to_owned()),
        output: Some("o".into()),
        epochs: 2,
        max_steps: Some(90),
        batch_size: 8,
        eval_batch_size: 64,
        gradient_accumulation_steps: 4,
        group_by_length: true,
        seed: 7,
        precision: PrecisionChoice::Bf16,
        device: DeviceChoice::Cpu,
        threads: Some(2),
        skip_memory_check: true,
        optimizer: OptimizerOptions {
            kind: optimizer("adam"),
            learning_rate: 5e-5,
            weight_decay: 0.1,
            beta1: 0.8,
            beta2: 0.98,
            epsilon: 1e-6,
            max_grad_norm: 0.0,
            layer_decay: 0.9,
            ..OptimizerOptions::default()
        },
        schedule: ScheduleOptions {
            kind: ScheduleKind::Polynomial,
            warmup_steps: 10,
            polynomial_power: 2.0,
            ..ScheduleOptions::default()
        },
        regularization: RegularizationOptions {
            hidden_dropout: Some(0.2),
            attention_dropout: Some(0.3),
            classifier_dropout: Some(0.4),
            label_smoothing: 0.1,
            class_weights: ClassWeights::Values(vec![1.0, 2.0]),
            freeze_embeddings: true,
            freeze_layers: 3,
            reinit_layers: 1,
            ..RegularizationOptions::default()
        },
        evaluation: EvaluationOptions {
            eval_steps: Some(30),
            best_metric: Metric::F1(metrics::Average::Macro),
            early_stopping_patience: Some(5),
            tensorboard: true,
            ..EvaluationOptions::default()
        },
        checkpoint: CheckpointOptions { save_every: Some(7), save_total: 2, ..CheckpointOptions::default() },
        ..TrainConfig::default()
    };
    assert_eq!(found, expected);
    let rest = config(lines[1]).unwrap();
    assert_eq!((rest.optimizer.kind, rest.optimizer.momentum), (optimizer("sgd"), 0.5));
    assert_eq!(rest.schedule.warmup_ratio, 0.25);

    // The saved configuration is the same, except for the folder of the run.
    let saved = file(&found.to_toml());
    assert_eq!(TrainConfig::load(saved.path()).unwrap(), TrainConfig { output: None, ..expected });
}

/// Sets every option of the table to a value that isn't the default, by flag and by file.
#[test]
fn every_option_can_be_set_by_flag_and_by_file() {
    for option in table::options() {
        let choices = option.choices.iter().map(|choice| choice.get_name().to_owned());
        let texts = choices.chain(["7", "0.5", "f1", "1,2"].map(str::to_owned));
        let other = |text: &String| {
            let value = option.parse(text)?;
            ((option.rule.is_allowed)(&value) && Some(&value) != option.value_in(&Table::new()).as_ref())
                .then_some(value)
        };
        let (text, value) = texts.into_iter().find_map(|text| Some((text.clone(), other(&text)?))).unwrap();
        let mut args = TrainArgs::default();
        args.set(option.key, &text).unwrap();
        if let spec::Reader::TrainingWith(other, values) = &option.rule.reader {
            args.set(other, &values[0]).unwrap();
        }
        let config = TrainConfig::from_args(&args).unwrap();
        let mut written = Table::new();
        config.write(&mut written);
        assert_eq!(written.get(option.key), Some(&value), "{}", option.key);
        let loaded = TrainConfig::load(file(&config.to_toml()).path()).unwrap();
        assert_eq!(loaded == config, option.rule.saved, "{}", option.key);
    }
}

/// Configurations saved by earlier versions are read with the same meaning and written in the same way.
#[test]
fn the_saved_format_is_unchanged() {
    let text = "epochs = 3\nbatch_size = 16\neval_batch_size = 32\ngradient_accumulation_steps = 1\n\
        group_by_length = false\nseed = 42\nprecision = \"auto\"\ndevice = \"auto\"\noptimizer = \"adamw\"\n\
        learning_rate = 0.00002\nweight_decay = 0.01\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 0.00000001\nmomentum = 0.9\n\
        max_grad_norm = 1.0\nlayer_decay = 1.0\nschedule = \"linear\"\nwarmup_steps = 0\nwarmup_ratio = 0.0\n\
        polynomial_power = 1.0\nlabel_smoothing = 0.0\nclass_weights = \"none\"\nfreeze_embeddings = false\n\
        freeze_layers = 0\nreinit_layers = 0\nbest_metric = \"accuracy\"\ntensorboard = false\nsave_total = 1\n";
    let ours = TrainConfig::default().to_toml();
    assert!(text.lines().all(|line| ours.lines().any(|ours| ours == line)), "{ours}");
    assert_eq!(TrainConfig::load(file(text).path()).unwrap(), TrainConfig::default());
}

#[test]
fn the_saved_default_configuration_can_be_loaded() {
    let saved = file(&TrainConfig::default().to_toml());
    assert_eq!(TrainConfig::load(saved.path()).unwrap(), TrainConfig::default());
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = file("epochs = 5\nbatch_size = 8\ngroup_by_length = true\ntensorboard = true\n");
    let path = file.path().display();
    let found = config(&format!("--config {path} --epochs 2 --group-by-length=false")).unwrap();
    assert_eq!((found.epochs, found.batch_size, found.seed), (2, 8, 42));
    assert!(!found.group_by_length && found.evaluation.tensorboard);
}

#[test]
fn a_warm_up_given_by_flag_replaces_that_of_the_file() {
    let file = file("warmup_steps = 100\n");
    let found = config(&format!("--config {} --warmup-ratio 0.1", file.path().display())).unwrap();
    assert_eq!((found.schedule.warmup_steps, found.schedule.warmup_ratio), (0, 0.1));
    assert_eq!(found.schedule.warmup_steps(1001), 101);
    assert!(config("--warmup-steps 100 --warmup-ratio 0.1").is_err());
    assert_eq!(config("--warmup-steps 100").unwrap().schedule.warmup_steps(1001), 100);
}

#[test]
fn the_error_for_an_invalid_value_names_its_source() {
    let file = file("epochs = 5\nbatch_size = 0\n");
    let path = file.path().display();
    let message = config(&format!("--config {path}")).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{path}, line 2: batch_size = 0 is not allowed")), "{message}");
    let message = config(&format!("--config {path} --batch-size 4 --epochs 0")).unwrap_err().to_string();
    assert!(message.starts_with("--epochs 0 is not allowed"), "{message}");
}

#[test]
fn the_default_of_beta2_depends_on_the_optimizer() {
    assert_eq!(config("--optimizer lion").unwrap().optimizer.beta2, 0.99);
    assert_eq!(config("--optimizer lion --beta2 0.95").unwrap().optimizer.beta2, 0.95);
}

#[test]
fn the_keys_in_an_optimizer_spec_are_options() {
    let read = |key| match &table::option(key).unwrap().rule.reader {
        spec::Reader::TrainingWith("optimizer", values) => values.clone(),
        _ => panic!("{key} is read whatever the optimizer is"),
    };
    for kind in OptimizerKind::value_variants() {
        let keys = kind.keys();
        assert!(keys.iter().all(|key| read(key).contains(&kind.name())), "{kind:?} reads {keys:?}");
    }
}

#[test]
fn parser_errors_name_flag_and_value() {
    for (line, parts) in [
        ("--batch-size -1", ["'-1'", "--batch-size", "whole number"]),
        ("--epochs 2.5", ["'2.5'", "--epochs", "whole number of 1 or more (hint: 3 is the default"]),
        (
            "--learning-rate fast",
            ["'fast'", "--learning-rate", "must be a number above 0 and up to 1 (hint: 2e-5 is the default"],
        ),
        ("--precision fp8", ["'fp8'", "--precision", "auto, fp32, bf16"]),
        ("--optimizer adamq", ["'adamq'", "--optimizer", "similar value exists: 'adam'"]),
        ("--class-weights heavy", ["heavy", "--class-weights", "balanced"]),
        ("--best-metric f9", ["'f9'", "--best-metric", "accuracy"]),
        ("--learning-rat 1", ["--learning-rat", "similar", "--learning-rate"]),
    ] {
        let message = flags(line).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn the_error_for_a_value_of_the_wrong_type_is_the_same_for_flag_and_file() {
    let flag = flags("--epochs 2.5").unwrap_err().to_string();
    let file = file("epochs = 2.5");
    let file = config(&format!("--config {}", file.path().display())).unwrap_err().to_string();
    let expected = "it must be a whole number of 1 or more (hint: 3 is the default; --max-steps N stops earlier)";
    assert!(
        flag.contains(expected) && file.ends_with(&format!("line 1: epochs = 2.5 is not allowed: {expected}")),
        "{file}"
    );
}

#[test]
fn the_help_shows_the_actual_defaults() {
    let defaults: toml::Table = toml::from_str(&TrainConfig::default().to_toml()).unwrap();
    let mut given = 0;
    for argument in command().get_arguments() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let quoted = help.split_once("[default: ").map(|(_, rest)| rest.trim_end_matches(']'));
        match (defaults.get(argument.get_id().as_str()), quoted) {
            (Some(value), Some(quoted)) => {
                given += 1;
                let quoted = quoted.split(", ").next().unwrap();
                let same = match value {
                    toml::Value::Float(number) => quoted.parse() == Ok(*number),
                    toml::Value::String(word) => word == quoted,
                    other => other.to_string() == quoted,
                };
                assert!(same, "{}: {value} is the default, {quoted} in the help", argument.get_id());
            }
            (Some(value), None) => panic!("{}: the help doesn't show the default {value}", argument.get_id()),
            (None, _) => {}
        }
    }
    assert_eq!(given, defaults.len());
    let help = command().render_long_help().to_string();
    assert!(
        help.contains("[read by optimizer = adamw, adam, lion") && help.contains("[default: 0.999, 0.99 for lion"),
        "{help}"
    );
}

#[test]
fn options_without_effect_are_refused() {
    for (line, what, why) in [
        ("--momentum 0.8", "--momentum 0.8", "optimizer = adamw does not read it, only optimizer = sgd does"),
        ("--momentum 0.9 --optimizer Lion", "--momentum 0.9", "optimizer = lion does not read it"),
        ("--beta1 0.8 --optimizer sgd", "--beta1 0.8", "optimizer = sgd does not read it"),
        (
            "--beta2 0.8 --optimizer adafactor",
            "--beta2 0.8",
            "optimizer = adafactor does not read it, only optimizer = adamw, adam, lion",
        ),
        ("--epsilon 1e-6 --optimizer sgd", "--epsilon 1e-6", "optimizer = sgd does not read it"),
        (
            "--epsilon 1e-6 --optimizer lion",
            "--epsilon 1e-6",
            "optimizer = lion does not read it, only optimizer = adamw, adam",
        ),
        (
            "--polynomial-power 2",
            "--polynomial-power 2",
            "schedule = linear does not read it, only schedule = polynomial",
        ),
    ] {
        let message = config(line).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{what} has no effect: ")) && message.contains(why), "{message}");
    }
    for line in ["--momentum 0.8 --optimizer sgd", "--optimizer adam --epsilon 1e-6", "--optimizer lion --beta2 0.9"] {
        config(line).unwrap();
    }
}

#[test]
fn a_file_may_contain_options_without_effect_only_with_their_defaults() {
    // The saved configuration of a run with each optimizer can be passed to `--config`.
    for optimizer in OptimizerKind::value_variants() {
        let run = file(&config(&format!("--optimizer {}", optimizer.name())).unwrap().to_toml());
        config(&format!("--config {}", run.path().display())).unwrap();
    }
    let other = file("seed = 1\nmomentum = 0.8\n");
    let path = other.path().display();
    let message = config(&format!("--config {path}")).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{path}, line 2: momentum = 0.8 has no effect: optimizer = adamw")),
        "{message}"
    );
    config(&format!("--config {path} --optimizer sgd")).unwrap();
    // In the `run.toml` of a run, an option without effect is allowed.
    assert_eq!(TrainConfig::load(other.path()).unwrap().optimizer.momentum, 0.8);
}

#[test]
fn the_error_for_conflicting_options_names_their_sources() {
    let both = file("warmup_steps = 5\n\nwarmup_ratio = 0.10\n");
    let path = both.path().display();
    let message = config(&format!("--config {path}")).unwrap_err().to_string();
    let expected =
        format!("{path}, line 1: warmup_steps = 5 and {path}, line 3: warmup_ratio = 0.10 can't both be given");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_resumed_run_distinguishes_saved_options_from_given_ones() {
    let saved = |line: &str| {
        let map = serde_json::to_value(config(line).unwrap().to_table()).unwrap();
        GivenOptions::from_json(map.as_object().unwrap()).unwrap()
    };
    let resume = |asked: &str, before: &str| {
        flags(asked).unwrap().with_fallback(saved(before)).and_then(|given| TrainConfig::new(&given))
    };
    assert_eq!(resume("", "--optimizer sgd --momentum 0.8").unwrap().optimizer.momentum, 0.8);
    // A saved option that has no effect with another optimizer is not an error.
    assert_eq!(
        resume("--optimizer adamw", "--optimizer sgd --momentum 0.8").unwrap().optimizer.kind,
        optimizer("adamw")
    );
    let message = resume("--momentum 0.8", "").unwrap_err().to_string();
    assert!(message.starts_with("--momentum 0.8 has no effect"), "{message}");
    let given = flags("--reinit-layers 1").unwrap().with_fallback(saved("--freeze-layers 2")).unwrap();
    let error = TrainConfig::new(&given).unwrap().regularization.check_layers(2).unwrap_err();
    let message = given.locate(error).to_string();
    assert!(message.starts_with("the saved configuration: freeze_layers = 2 and --reinit-layers 1 can't"), "{message}");
}

#[test]
fn evaluation_options_need_a_validation_split() {
    let given = |line| flags(line).unwrap().with_fallback(GivenOptions::default()).unwrap();
    given("--epochs 2").refuse_evaluation_options().unwrap();
    let message = given("--early-stopping-patience 2").refuse_evaluation_options().unwrap_err().to_string();
    assert!(
        message.contains("--early-stopping-patience 2 has no effect: the data has no labeled validation"),
        "{message}"
    );
}

#[test]
fn a_single_value_is_checked_by_type_and_range() {
    let check = |name, value: &str| check(name, &format!("v = {value}").parse::<toml::Table>().unwrap()["v"]);
    assert_eq!(check("learning_rate", "1e-4"), Ok(()));
    assert_eq!(check("epochs", "3"), Ok(()));
    assert!(check("epochs", "2.5").unwrap_err().contains("whole number"));
    assert!(check("learning_rate", "3").unwrap_err().starts_with("it must be a number above 0 and up to 1"));
    assert!(check("optimizer", "\"adamwx\"").unwrap_err().contains("adamw"));
    assert!(keys().any(|key| key == "layer_decay") && keys().all(|key| key != "resume"));
}

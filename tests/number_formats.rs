//! `--precision auto` is said and recorded, and stays what it was for what is continued.
//!
//! The tiny model of these tests is too small to be measured, so that `auto` is fp32 for it on every machine. What was begun in
//! bf16 shows that nothing is chosen a second time.

use std::fs;
use std::path::Path;

use model::{Config, Precision, ProductRates, SequenceClassifier};
use tch::Device;

use crate::support::{HttpServer, Sandbox, TRAIN};

/// [`TRAIN`] in another number format.
fn train_in(precision: &str) -> String {
    TRAIN.replace("--precision fp32", &format!("--precision {precision}"))
}

/// Data in `for-wide` for a model with the vocabulary of the tiny one that is large enough to be measured.
fn prepare_for_wide_model(sandbox: &Sandbox) {
    let config = String::from_utf8(sandbox.read("tiny/config.json")).expect("UTF-8");
    let mut config = Config::from_json(&config, Path::new("config.json")).expect("valid");
    (config.hidden_size, config.intermediate_size) = (64, 256);
    for file in ["vocab.txt", "tokenizer_config.json"] {
        sandbox
            .write(&format!("wide/{file}"), &String::from_utf8(sandbox.read(&format!("tiny/{file}"))).expect("UTF-8"));
    }
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 5).save(&sandbox.path("wide")).expect("saves");
    sandbox.succeeds("prepare --dataset reviews.csv --model wide --max-length 32 --output for-wide");
}

#[test]
fn the_measured_rates_are_said_recorded_and_not_measured_again() {
    let sandbox = Sandbox::prepared();
    prepare_for_wide_model(&sandbox);
    let doctor = sandbox.succeeds("doctor");
    for name in ["MiniLM-L6", "BERT-base"] {
        let line = doctor.lines().find_map(|line| line.strip_prefix(&format!("products of {name}: ")));
        let line = line.unwrap_or_else(|| panic!("{doctor}"));
        assert!(line.contains(" in fp32") && line.contains("; --precision auto is "), "{doctor}");
    }
    // A processor with neither bf16 nor what the kernels need to multiply has nothing to choose, and nothing is measured.
    let has_choice = doctor.contains("GFLOP/s in bf16, ") || doctor.contains("(by libtorch ");

    let line = format!("{} --save-every 4 --save-total 99", train_in("auto")).replace("--data data", "--data for-wide");
    let output = sandbox.run(&format!("{line} --output whole"));
    assert_eq!(output.code, 0, "{}", output.err);
    let metrics = sandbox.json("whole/metrics.json");
    let (format, rates) = (metrics["precision"].as_str().expect("a format"), &metrics["product_gflops"]);
    assert_eq!(sandbox.events("whole", "start")[0]["product_gflops"], *rates);
    if !has_choice {
        assert!(rates.is_null() && output.err.contains(" in fp32\n"), "{metrics}\n{}", output.err);
        return;
    }
    let by_name = serde_json::from_value(rates.clone()).expect("rates by name");
    let said = format!("wide in {format} ({})\n", ProductRates::from_names(&by_name).expect("all that are needed"));
    assert!(output.err.contains(&said), "expected {said}{}", output.err);

    sandbox.copy_run("whole", "resumed", 3);
    let output = sandbox.run("train --resume resumed");
    assert!(output.err.contains(&said.replace('\n', ", as before\n")), "expected {said}{}", output.err);
    sandbox.assert_same("whole", "resumed");
    assert_eq!(sandbox.json("resumed/metrics.json")["product_gflops"], *rates, "to the last digit");

    let output = sandbox.run("predict --run whole lovely");
    assert!(output.err.contains("computing in ") && output.err.contains(" GFLOP/s in "), "{}", output.err);
    let server = HttpServer::start(&sandbox, "--run whole", &[]);
    server.signal("TERM");
    let (code, lines) = server.end();
    assert!(code == Some(0) && lines.iter().any(|line| line.contains(" GFLOP/s in ")), "{lines:?}");
}

#[test]
fn a_resumed_run_keeps_the_format_of_its_checkpoint_or_its_log() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{} --max-steps 1 --output auto", train_in("auto")));
    assert_eq!(sandbox.json("auto/metrics.json")["precision"], "fp32", "what would be chosen again");

    let line = train_in("bf16");
    sandbox.succeeds(&format!("{line} --save-every 4 --save-total 99 --output whole"));
    sandbox.copy_run("whole", "resumed", 2);
    sandbox.succeeds("train --resume resumed --precision auto");
    sandbox.assert_same("whole", "resumed");
    assert_eq!(sandbox.json("resumed/metrics.json")["precision"], "bf16");
    assert!(sandbox.succeeds("evaluate --run resumed").contains("computed   in bf16, as in training on cpu"));

    // Without a checkpoint it begins again, as its log says. On a busy machine it may save before it is killed.
    let long = line.replacen("--epochs 3", "--epochs 300", 1);
    sandbox.train_and_kill(&format!("{long} --output killed"), "killed", 2);
    let checkpoints = sandbox.path("killed/checkpoints");
    assert!(!checkpoints.exists() || fs::remove_dir_all(checkpoints).is_ok());
    sandbox.succeeds("train --resume killed --precision auto --epochs 1");
    assert_eq!(sandbox.json("killed/metrics.json")["precision"], "bf16");

    // Another format than the checkpoint's is refused as before.
    sandbox.copy_run("whole", "changed", 2);
    let error = sandbox.fails("train --resume changed --precision fp32");
    assert!(error.contains("the precision was \"bf16\", and is \"fp32\""), "{error}");
}

/// Two trainings that measured for themselves would at least record other rates.
#[test]
fn verify_resume_chooses_once_for_all_its_trainings() {
    let sandbox = Sandbox::prepared();
    prepare_for_wide_model(&sandbox);
    let line = "verify-resume --data for-wide --precision auto --threads 1 --epochs 1 --save-every 2 --kills 1";
    sandbox.succeeds(line);
}

#[test]
fn all_trials_of_a_study_compute_in_one_format() {
    let sandbox = Sandbox::prepared();
    sandbox.write("space.toml", "learning_rate = { low = 1e-4, high = 1e-2, log = true }\nepochs = 1\n");
    let line = "tune --data data --space space.toml --sampler random --pruner none --study s --trials";
    let output = sandbox.run(&format!("{line} 1"));
    assert!(output.code == 0 && output.err.contains(", in fp32\n"), "{}", output.err);
    let precision = |file: &str| {
        let text = String::from_utf8(sandbox.read(&format!("s/{file}"))).expect("UTF-8");
        text.lines().find(|line| line.starts_with("precision")).map(str::to_owned)
    };
    assert_eq!(precision("trials/0000.toml").as_deref(), Some("precision = \"fp32\""));
    assert_eq!(precision("best.toml").as_deref(), Some("precision = \"fp32\""));

    // As if it had been begun where bf16 is faster.
    let journal = String::from_utf8(sandbox.read("s/study.jsonl")).expect("UTF-8");
    let (stored, other) = ("\"format\":\"fp32\"", "\"format\":\"bf16\"");
    assert_eq!(journal.matches(stored).count(), 1, "{journal}");
    sandbox.write("s/study.jsonl", &journal.replace(stored, other));
    let output = sandbox.run(&format!("{line} 2"));
    assert!(output.code == 0 && output.err.contains(", in bf16, 1 trials finished before"), "{}", output.err);
    assert_eq!(precision("trials/0001.toml").as_deref(), Some("precision = \"bf16\""));
    assert_eq!(sandbox.json("s/trials/0001/metrics.json")["precision"], "bf16");
}

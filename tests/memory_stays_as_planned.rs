//! The memory of long trainings on texts of very different lengths, against the estimate that is checked before they
//! start.
//!
//! `VERDICT_STEPS` says how many steps a training has (200).

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use model::{Config, Precision, SequenceClassifier};
use tch::Device;
use test_support::{Random, setting};

use crate::support::Sandbox;

/// The most that a run may need beyond its estimate, as a share of the estimate.
const BEYOND_ESTIMATE: f64 = 0.05;

/// The longest text in tokens.
const LONGEST: usize = 512;

/// A random BERT that reads long texts, and `rows` texts whose lengths are spread evenly from 1 word to as many as it
/// reads.
fn sandbox_with_long_texts(rows: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let words: Vec<String> = (0..500).map(|word| format!("w{word}")).collect();
    let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    sandbox.write("long/vocab.txt", &([&vocabulary[..], &words].concat().join("\n") + "\n"));
    sandbox.write("long/tokenizer_config.json", r#"{"do_lower_case": true}"#);
    let config = format!(
        r#"{{"model_type": "bert", "vocab_size": 505, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 256, "max_position_embeddings": {LONGEST}}}"#
    );
    let config = Config::from_json(&config, Path::new("config.json")).expect("valid");
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 5).save(&sandbox.path("long")).expect("saves");
    let mut random = Random::new(1);
    let mut csv = "text,label\n".to_owned();
    for row in 0..rows {
        // [CLS] and [SEP] are added.
        let length = 1 + row * (LONGEST - 2) / rows;
        let text: Vec<&str> = (0..length).map(|_| words[random.below(words.len())].as_str()).collect();
        csv += &format!("{},{}\n", text.join(" "), ["negative", "positive"][row % 2]);
    }
    sandbox.write("long.csv", &csv);
    sandbox.succeeds(&format!("prepare --dataset long.csv --model long --max-length {LONGEST} --output data"));
    sandbox
}

#[test]
fn memory_stays_within_the_estimate_over_steps_of_varied_lengths() {
    let steps: usize = setting("VERDICT_STEPS").unwrap_or(200);
    let sandbox = sandbox_with_long_texts(1200);
    for precision in ["fp32", "bf16"] {
        let line = format!(
            "train --data data --output {precision} --precision {precision} --threads 1 --epochs 999 --max-steps {steps}"
        );
        let began = Instant::now();
        let mut command = sandbox.command(&line);
        // The estimate is that of the kernels, also where all other tests run without them.
        command.env("VERDICT_KERNELS", "on");
        let stderr = fs::File::create(sandbox.path("stderr")).expect("a file");
        command.env("RUST_LOG", "warn,train=debug").stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        assert!(command.status().expect("the program starts").success());
        let messages = String::from_utf8(sandbox.read("stderr")).expect("UTF-8");
        let estimate = messages.lines().find_map(|line| line.split_once("memory at most: ")?.1.split_once('('));
        let estimate = estimate.and_then(|(_, bytes)| bytes.strip_suffix(" bytes)")?.parse::<u64>().ok());
        let estimate = estimate.unwrap_or_else(|| panic!("no estimate in {messages}"));
        let peak = sandbox.json(&format!("{precision}/metrics.json"))["peak_memory_bytes"].as_u64().expect("Linux");
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let of_estimate = peak as f64 / estimate as f64;
        let figures = format!(
            "{precision}: peak {:.1} MiB in {steps} steps; estimate {:.1} MiB; peak over estimate {of_estimate:.3}; {:.0} s",
            mib(peak),
            mib(estimate),
            began.elapsed().as_secs_f64()
        );
        if std::env::var_os("VERDICT_STEPS").is_some() {
            let _ = writeln!(std::io::stderr(), "{figures}");
        }
        assert!(of_estimate <= 1.0 + BEYOND_ESTIMATE, "more than estimated: {figures}");
    }
}

//! A temporary folder with a tiny model and small data, in which tests run the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use model::{Config, Precision, SequenceClassifier};
use tch::Device;

const POSITIVE_WORDS: [&str; 6] = ["lovely", "great", "tender", "funny", "superb", "warm"];
const NEGATIVE_WORDS: [&str; 6] = ["awful", "dull", "cold", "clumsy", "boring", "weak"];
const NEUTRAL_WORDS: [&str; 12] =
    ["the", "film", "is", "a", "story", "actor", "with", "an", "and", "plot", "scene", "ending"];

/// A temporary working directory with a tiny model, removed at the end of the test.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// The output of a process.
pub(crate) struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Output {
    pub(crate) fn of(output: process::Output) -> Self {
        let process::Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().expect("a folder") };
        sandbox.write_model("tiny", &[]);
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("writes");
    }

    /// A random BERT of 4,000 weights with a vocabulary of the words above and `words`.
    pub(crate) fn write_model(&self, name: &str, words: &[&str]) -> SequenceClassifier {
        let mut vocabulary = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ","];
        vocabulary.extend(POSITIVE_WORDS.iter().chain(&NEGATIVE_WORDS).chain(&NEUTRAL_WORDS).chain(words));
        let config = format!(
            r#"{{"model_type": "bert", "vocab_size": {}, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32,
            "initializer_range": 0.2}}"#,
            vocabulary.len()
        );
        self.write(&format!("{name}/vocab.txt"), &(vocabulary.join("\n") + "\n"));
        self.write(&format!("{name}/tokenizer_config.json"), r#"{"do_lower_case": true}"#);
        let config = Config::from_json(&config, Path::new("config.json")).expect("valid");
        let model = SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 5);
        model.save(&self.path(name)).expect("saves");
        model
    }

    /// `rows` distinct sentences a class, where one positive or negative word decides the class.
    pub(crate) fn write_reviews(&self, name: &str, rows: usize) {
        let mut csv = "text,label\n".to_owned();
        for row in 0..rows {
            let word = |list: &[&'static str], step: usize| list[(row / step) % list.len()];
            for (telling, label) in [(word(&POSITIVE_WORDS, 1), "positive"), (word(&NEGATIVE_WORDS, 1), "negative")] {
                let (a, b, c) = (word(&NEUTRAL_WORDS, 1), word(&NEUTRAL_WORDS, 12), word(&NEUTRAL_WORDS, 5));
                let _ = writeln!(csv, "\"{a} {b} is {telling}, {c} {a} .\",{label}");
            }
        }
        self.write(name, &csv);
    }

    /// The program in this folder, offline and on one thread.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command.env("OMP_NUM_THREADS", "1").env("HF_HUB_OFFLINE", "1").env_remove("RUST_LOG");
        command
    }

    /// Runs the program with these additional environment variables.
    pub(crate) fn run_with(&self, set: &[(&str, &str)], line: &str) -> Output {
        Output::of(self.command(line).envs(set.iter().copied()).output().expect("the program starts"))
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.run_with(&[], line)
    }

    /// Runs a command that must succeed and returns its standard output.
    pub(crate) fn succeeds(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.code, 0, "verdict {line}\n{}{}", output.out, output.err);
        output.out
    }

    /// Runs a command that must fail and returns the error, with the path of this folder removed.
    pub(crate) fn fails(&self, line: &str) -> String {
        self.failure(&self.run(line)).unwrap_or_else(|what| panic!("verdict {line}\n{what}"))
    }

    /// The error of a command that failed as expected, with the path of this folder removed; otherwise its whole output.
    pub(crate) fn failure(&self, output: &Output) -> Result<String, String> {
        let err = output.err.replace(&format!("{}/", self.folder.path().display()), "");
        match err.find("error: ") {
            Some(start) if matches!(output.code, 1 | 2) && output.out.is_empty() => {
                Ok(err[start..].trim_end().to_owned())
            }
            _ => Err(format!("no error: exit code {}\n{}{err}", output.code, output.out)),
        }
    }

    /// The reviews, prepared for the tiny model in `data`.
    pub(crate) fn prepared() -> Self {
        let sandbox = Self::new();
        sandbox.write_reviews("reviews.csv", 100);
        sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32 --output data");
        sandbox
    }

    /// The same, with a model trained on them in `run`. After twelve epochs it tells praise from blame.
    pub(crate) fn trained(epochs: u32) -> Self {
        let sandbox = Self::prepared();
        sandbox.succeeds(&format!(
            "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs {epochs} --output run"
        ));
        sandbox
    }

    /// Prepared data in which every fifth label is wrong, and a model trained on them in `run`: one that makes mistakes. The
    /// same reviews with their right labels are `clean.csv`.
    pub(crate) fn trained_on_wrong_labels() -> Self {
        let sandbox = Self::new();
        sandbox.write_reviews("clean.csv", 200);
        let clean = String::from_utf8(sandbox.read("clean.csv")).expect("UTF-8");
        let wrong = |(row, line): (usize, &str)| match line.rsplit_once(',') {
            Some((text, "positive")) if row % 5 == 1 => format!("{text},negative\n"),
            Some((text, "negative")) if row % 5 == 1 => format!("{text},positive\n"),
            _ => format!("{line}\n"),
        };
        sandbox.write("reviews.csv", &clean.lines().enumerate().map(wrong).collect::<String>());
        sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32 --split-ratio 0.25 --output data");
        sandbox
            .succeeds("train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 6 --output run");
        sandbox
    }
}

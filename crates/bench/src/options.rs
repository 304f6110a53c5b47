//! The command-line arguments of `cargo xtask bench`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;

/// A group of measurements, in the order in which they run: those that need the same trainings stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// samples a second: Hugging Face's Trainer in all its settings, and as tutorials have it; the machine's limit
    Train,
    /// seconds from the start of the process to the end of the first step
    StartUp,
    /// peak memory of a training, its checkpoint included
    Memory,
    /// samples a second: PyTorch and ONNX Runtime in fp32, bf16 and int8
    Inference,
    /// texts a second: the Python package tokenizers
    Tokenize,
    /// 1,000 to 1,000,000 examples: preparing, starting, training, memory
    Scaling,
    /// training by two processes: PyTorch DDP, and one process; what more hosts would give. Only if named
    Processes,
}

impl Suite {
    /// The name in tables, which is that on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Suite::Train => "train",
            Suite::StartUp => "start-up",
            Suite::Memory => "memory",
            Suite::Inference => "inference",
            Suite::Tokenize => "tokenize",
            Suite::Scaling => "scaling",
            Suite::Processes => "processes",
        }
    }
}

/// The device of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Device {
    Cpu,
    Cuda,
}

impl Device {
    /// The name in both sides' flags.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }
}

/// A model to measure with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelChoice {
    /// The packaged all-MiniLM-L6-v2.
    MiniLm,
    /// bert-base-uncased's configuration with random weights.
    BertBase,
    /// A folder given by the user.
    Folder(PathBuf),
}

/// Measure this project against its Python peers, in turn, on the same data and machine.
///
/// Prints medians, ranges and ratios. Builds what it needs; the peers go into a virtual environment under target/peers
/// (6 GB, once), unless VERDICT_PEERS names another one.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
pub(crate) struct BenchArgs {
    /// What to measure [default: all but processes]
    #[arg(value_name = "SUITE")]
    suites: Vec<Suite>,
    /// Only MiniLM, fewer rounds and steps, up to 100,000 examples: five minutes on two cores
    #[arg(long)]
    pub quick: bool,
    /// How often each side is measured [default: 3, with --quick 2]
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,
    /// minilm, bert-base, or a model folder; can be given several times [default: minilm and bert-base]
    #[arg(long = "model", value_name = "NAME|DIR", value_parser = model)]
    models: Vec<ModelChoice>,
    /// Folder with the treebank's train.txt, dev.txt and test.txt [default: $VERDICT_SST]
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub data: Option<PathBuf>,
    /// The device of both sides
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: Device,
    /// Threads of both sides [default: one per physical core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Also write all raw values to this file, as to the one in target/bench
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub json: Option<PathBuf>,
}

impl BenchArgs {
    /// The chosen suites, or all that need not be named, in the order in which they run.
    pub(crate) fn suites(&self) -> Vec<Suite> {
        let is_chosen = |suite: &Suite| match self.suites.as_slice() {
            [] => *suite != Suite::Processes,
            suites => suites.contains(suite),
        };
        Suite::value_variants().iter().copied().filter(is_chosen).collect()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 2 } else { 3 }, usize::from)
    }

    pub(crate) fn models(&self) -> Vec<ModelChoice> {
        match (self.models.is_empty(), self.quick) {
            (true, true) => vec![ModelChoice::MiniLm],
            (true, false) => vec![ModelChoice::MiniLm, ModelChoice::BertBase],
            (false, _) => self.models.clone(),
        }
    }
}

fn model(value: &str) -> io::Result<ModelChoice> {
    Ok(match value {
        "minilm" => ModelChoice::MiniLm,
        "bert-base" => ModelChoice::BertBase,
        folder => ModelChoice::Folder(absolute(folder)?),
    })
}

/// The benchmark runs in the checkout's folder, wherever it was started.
fn absolute(value: &str) -> io::Result<PathBuf> {
    std::path::absolute(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        BenchArgs::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
    }

    #[test]
    fn without_arguments_everything_but_several_processes_is_measured() {
        let all = parse("").unwrap();
        assert_eq!((all.suites().len(), all.rounds(), all.device), (6, 3, Device::Cpu));
        assert!(!all.suites().contains(&Suite::Processes));
        assert_eq!(all.models(), [ModelChoice::MiniLm, ModelChoice::BertBase]);
        let quick = parse("--quick").unwrap();
        assert_eq!((quick.suites().len(), quick.rounds(), quick.models()), (6, 2, vec![ModelChoice::MiniLm]));
    }

    #[test]
    fn suites_have_the_names_of_the_command_line() {
        for suite in Suite::value_variants() {
            assert_eq!(parse(suite.name()).unwrap().suites(), [*suite]);
        }
    }

    #[test]
    fn suites_and_flags_come_in_any_order() {
        let asked = parse("scaling --rounds=5 --model bert-base train --model /m --device cuda --threads 4 --json /j");
        let asked = asked.unwrap();
        assert_eq!(asked.suites(), [Suite::Train, Suite::Scaling]);
        assert_eq!(asked.models(), [ModelChoice::BertBase, ModelChoice::Folder("/m".into())]);
        assert_eq!((asked.rounds(), asked.device, asked.threads), (5, Device::Cuda, NonZeroUsize::new(4)));
        assert_eq!(asked.json, Some("/j".into()));
        assert!(parse("start-up --data here").unwrap().data.is_some_and(|path| path.is_absolute()));
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for (line, word) in [
            ("training", "'training'"),
            ("--quickly", "'--quickly'"),
            ("--rounds", "--rounds <N>"),
            ("--rounds 0", "'--rounds <N>'"),
            ("--threads two", "'--threads <N>'"),
            ("--device gpu", "possible values: cpu, cuda"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}

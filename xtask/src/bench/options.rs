//! What a person asks of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub const HELP: &str = "\
cargo xtask bench [SUITE...] [FLAGS]

Measures this project against its Python peers, in turn, on the same data and machine, and prints medians, spread and
ratios. Builds what it needs; the peers go into a virtual environment under target/peers (6 GB, once).

  train       samples a second: Hugging Face's Trainer at its best, in fp32, and as tutorials have it; the machine's limit
  inference   samples a second: PyTorch, ONNX Runtime
  tokenize    texts a second: the Python package tokenizers
  start-up    seconds from the start of the process to the end of the first step
  memory      peak memory of a training, its checkpoint included
  scaling     1,000 to 1,000,000 examples: preparing, starting, training, memory
Without a suite: all of them.

  --quick           MiniLM alone, fewer rounds and steps, up to 100,000 examples: under five minutes on two cores
  --rounds N        how often each side is measured [default: 3, with --quick 2]
  --model NAME|DIR  minilm, bert-base, or a model folder; can be given several times [default: minilm and bert-base]
  --data DIR        the treebank's train.txt, dev.txt and test.txt [default: $VERDICT_SST, else ../shared/data/sst]
  --device cpu|cuda [default: cpu]
  --threads N       threads of both sides [default: one a physical core]
  --json FILE       all raw values, besides the file in target/bench

VERDICT_PEERS names a virtual environment to take instead of target/peers/venv.";

/// A group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    Train,
    Inference,
    Tokenize,
    StartUp,
    Memory,
    Scaling,
}

impl Suite {
    /// In the order in which they run: those that need the same trainings stand together.
    pub const ALL: [Suite; 6] =
        [Suite::Train, Suite::StartUp, Suite::Memory, Suite::Inference, Suite::Tokenize, Suite::Scaling];

    /// As it is asked for and shown.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Train => "train",
            Suite::Inference => "inference",
            Suite::Tokenize => "tokenize",
            Suite::StartUp => "start-up",
            Suite::Memory => "memory",
            Suite::Scaling => "scaling",
        }
    }
}

/// Where both sides compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Cpu,
    Cuda,
}

impl Device {
    /// As both sides' flags have it.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }
}

/// A model to measure with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelChoice {
    /// The packaged all-MiniLM-L6-v2.
    MiniLm,
    /// bert-base-uncased's configuration with random weights.
    BertBase,
    /// A person's own folder.
    Folder(PathBuf),
}

/// The flags, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub suites: Vec<Suite>,
    pub quick: bool,
    pub rounds: usize,
    pub models: Vec<ModelChoice>,
    pub data: Option<PathBuf>,
    pub device: Device,
    pub threads: Option<usize>,
    pub json: Option<PathBuf>,
}

impl Options {
    /// Reads the words after `cargo xtask bench`. Paths become absolute, because the benchmark runs in the checkout's folder.
    ///
    /// # Errors
    /// A flag or suite that isn't one, and a value that makes no sense.
    pub fn parse(arguments: &[String]) -> Result<Options> {
        let (mut suites, mut models, mut rounds) = (Vec::new(), Vec::new(), None);
        let (mut quick, mut data, mut device, mut threads, mut json) = (false, None, Device::Cpu, None, None);
        let mut rest = arguments.iter().flat_map(|argument| match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag, value],
            _ => vec![argument.as_str()],
        });
        while let Some(word) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{word} needs a value"));
            match word {
                "--quick" => quick = true,
                "--rounds" => rounds = Some(count(word, value()?)?),
                "--threads" => threads = Some(count(word, value()?)?),
                "--data" => data = Some(std::path::absolute(value()?)?),
                "--json" => json = Some(std::path::absolute(value()?)?),
                "--model" => models.push(match value()? {
                    "minilm" => ModelChoice::MiniLm,
                    "bert-base" => ModelChoice::BertBase,
                    folder => ModelChoice::Folder(std::path::absolute(folder)?),
                }),
                "--device" => {
                    device = match value()? {
                        "cpu" => Device::Cpu,
                        "cuda" => Device::Cuda,
                        other => bail!("--device {other}: it must be cpu or cuda"),
                    }
                }
                flag if flag.starts_with('-') => bail!("bench has no flag {flag:?}\n\n{HELP}"),
                name => match Suite::ALL.into_iter().find(|suite| suite.name() == name) {
                    Some(suite) => suites.push(suite),
                    None => bail!("bench has no suite {name:?}\n\n{HELP}"),
                },
            }
        }
        if models.is_empty() {
            models.push(ModelChoice::MiniLm);
            models.extend((!quick).then_some(ModelChoice::BertBase));
        }
        let asked = |suite: &Suite| suites.is_empty() || suites.contains(suite);
        let suites = Suite::ALL.into_iter().filter(asked).collect();
        let rounds = rounds.unwrap_or(if quick { 2 } else { 3 });
        Ok(Options { suites, quick, rounds, models, data, device, threads, json })
    }
}

fn count(flag: &str, value: &str) -> Result<usize> {
    let number: usize = value.parse().with_context(|| format!("{flag} {value}: it must be a whole number"))?;
    if number == 0 {
        bail!("{flag} 0 would measure nothing (hint: 1 or more)");
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_words_everything_is_measured() {
        let all = parse("").unwrap();
        assert_eq!((all.suites, all.rounds, all.device), (Suite::ALL.to_vec(), 3, Device::Cpu));
        assert_eq!(all.models, [ModelChoice::MiniLm, ModelChoice::BertBase]);
        let quick = parse("--quick").unwrap();
        assert_eq!((quick.suites.len(), quick.rounds, quick.models), (6, 2, vec![ModelChoice::MiniLm]));
    }

    #[test]
    fn suites_and_flags_come_in_any_order() {
        let asked = parse("scaling --rounds=5 --model bert-base train --model /m --device cuda --threads 4 --json /j");
        let asked = asked.unwrap();
        assert_eq!(asked.suites, [Suite::Train, Suite::Scaling]);
        assert_eq!(asked.models, [ModelChoice::BertBase, ModelChoice::Folder("/m".into())]);
        assert_eq!((asked.rounds, asked.device, asked.threads), (5, Device::Cuda, Some(4)));
        assert_eq!(asked.json, Some("/j".into()));
        assert!(parse("--data here").unwrap().data.is_some_and(|path| path.is_absolute()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, word) in [
            ("training", "no suite \"training\""),
            ("--quickly", "no flag \"--quickly\""),
            ("--rounds", "--rounds needs a value"),
            ("--rounds 0", "would measure nothing"),
            ("--threads two", "--threads two: it must be a whole number"),
            ("--device gpu", "must be cpu or cuda"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_names_every_suite() {
        for suite in Suite::ALL {
            assert!(HELP.contains(&format!("\n  {} ", suite.name())), "{}", suite.name());
        }
    }
}

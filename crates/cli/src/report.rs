//! `verdict report`: a run's report again, from the evaluations that are kept with it, or several runs beside each other on one page.

mod compared_run;
mod differing_options;
mod same_rows;
mod side_by_side;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::run_report::model_card::{self, ModelCard};
use crate::run_report::wording::shell_word;
use crate::run_report::{self, ReportInput, kept, names};
use compared_run::ComparedRun;

/// More runs can't be told apart in a picture.
const MOST_RUNS: usize = 12;
const COMPARISON: &str = "report.html";

/// The flags of `report`.
#[derive(Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs that were evaluated: of one, its report is written again; several are compared on one page
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Split, or name of a file, that was scored [default: of one run all; of several test, else validation]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// File of the page that compares runs; its pictures are written beside it [default: report.html]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes what is asked for and says where it is.
pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let written = match args.runs.as_slice() {
        [run] => {
            if let Some(output) = &args.output {
                bail!(
                    "--output {} names the page that compares runs, and a report is written into its run's folder (hint: name \
                     two runs or more, or leave --output out)",
                    output.display()
                );
            }
            again(run, args.split.as_deref())?
        }
        runs => compare(runs, args.split.as_deref(), args.output.as_deref().unwrap_or(Path::new(COMPARISON)))?,
    };
    // The pages are what was asked for; the pictures lie beside them.
    let (pages, pictures): (Vec<PathBuf>, Vec<PathBuf>) =
        written.into_iter().partition(|path| path.extension().is_some_and(|extension| extension == "html"));
    disk::print(pages.iter().map(|page| format!("{}\n", page.display())).collect::<String>())?;
    for path in pictures {
        disk::print_message(format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Writes the reports of a run again, and its model card.
fn again(run: &Path, split: Option<&str>) -> Result<Vec<PathBuf>> {
    let scored = scored(run)?;
    let wanted = match split {
        Some(split) => vec![of_split(run, &scored, split)?],
        None => scored.iter().map(String::as_str).collect(),
    };
    let mut written = Vec::new();
    for name in wanted {
        let mut result = kept::read(run, name)?;
        if kept::is_of_other_weights(&result, run) == Some(true) {
            let note = format!(
                "the weights of {} have changed since {name} was scored, and these are the scores of the former ones (hint: {})",
                run.display(),
                evaluate_again(run, name)
            );
            disk::print_message(format!("note: {note}"));
            result.notes.push(note);
        }
        let input = ReportInput { run, result: &result, rows: None, about: &kept::about(&result, run) };
        written.extend(run_report::write(&input, run)?);
        if result.judgement.is_none() {
            disk::print_message(format!(
                "note: of {name} only the plain scores are kept, so the report has no intervals (hint: {})",
                evaluate_again(run, name)
            ));
        }
    }
    match model_card::write(run)? {
        ModelCard::Written(path) => written.push(path),
        ModelCard::Kept(note) => disk::print_message(format!("note: {note}")),
        ModelCard::NotARun => {}
    }
    Ok(written)
}

/// Writes the page that compares runs.
fn compare(runs: &[PathBuf], split: Option<&str>, output: &Path) -> Result<Vec<PathBuf>> {
    ensure!(runs.len() <= MOST_RUNS, "expected at most {MOST_RUNS} runs to compare, found {}", runs.len());
    let mut seen = BTreeSet::new();
    for run in runs {
        let place = run.canonicalize().with_context(|| format!("there is no folder {}", run.display()))?;
        ensure!(seen.insert(place), "{} is named twice (hint: name each run once)", run.display());
    }
    let folder = disk::folder_of(output);
    ensure!(folder.is_dir(), "--output: the folder {} does not exist (hint: create it first)", folder.display());
    let scored = runs.iter().map(|run| scored(run)).collect::<Result<Vec<_>>>()?;
    let split = match split {
        Some(split) => split,
        None => common(runs, &scored)?,
    };
    for (run, scored) in runs.iter().zip(&scored) {
        of_split(run, scored, split)?;
    }
    let compared = runs.iter().map(|run| ComparedRun::read(run, split)).collect::<Result<Vec<_>>>()?;
    side_by_side::write(&compared, split, output)
}

/// What a run was scored on.
fn scored(run: &Path) -> Result<Vec<String>> {
    let place = run.display();
    ensure!(run.is_dir(), "there is no folder {place} (hint: `ls runs` lists the runs)");
    let found = names(run)?;
    ensure!(
        !found.is_empty(),
        "{place} has no evaluation-*.json (hint: verdict evaluate --run {})",
        shell_word(&place.to_string())
    );
    Ok(found)
}

/// The name of an evaluation that is kept.
fn of_split<'a>(run: &Path, scored: &'a [String], split: &str) -> Result<&'a str> {
    let found = scored.iter().find(|name| *name == split);
    found.map(String::as_str).with_context(|| {
        let (place, have) = (run.display(), scored.join(", "));
        format!("{place} was not scored on {split:?}, only on {have} (hint: {})", evaluate_again(run, split))
    })
}

/// The split that all runs were scored on.
fn common<'a>(runs: &[PathBuf], scored: &'a [Vec<String>]) -> Result<&'a str> {
    let by_all = |name: &&String| scored.iter().all(|names| names.contains(name));
    let found = scored.first().and_then(|first| first.iter().find(by_all));
    found.map(String::as_str).with_context(|| {
        let have = |(run, names): (&PathBuf, &Vec<String>)| format!("{} on {}", run.display(), names.join(", "));
        let have: Vec<String> = runs.iter().zip(scored).map(have).collect();
        let hint = evaluate_again(&runs[0], "validation");
        format!("the runs were scored on nothing in common: {} (hint: {hint}, and so each other run)", have.join("; "))
    })
}

fn evaluate_again(run: &Path, split: &str) -> String {
    let run = shell_word(&run.display().to_string());
    match split {
        "train" | "validation" | "test" => format!("verdict evaluate --run {run} --split {split}"),
        _ => format!("verdict evaluate --run {run} --file FILE"),
    }
}

//! `verdict evaluate`: a run's scores on a split, in the terminal, as JSON, as pictures and as one page.

use std::fmt::Write as _;
use std::path::PathBuf;

use ::predict::Predictor;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use data::manifest::{Manifest, Prepared, locate};
use disk::write_atomic;
use model::{DeviceChoice, PrecisionChoice, device_name};
use run::{DATA, EvaluationResult, RUN_TOML, RunFolder, newest_run};
use train::TrainConfig;
use train::evaluate::{Evaluation, evaluate};

use crate::run_report;

/// The flags of `evaluate`.
#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// Folder of the run [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Split to score [default: test where it has labels, else validation]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Prepared data to score on [default: the run's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also write all scores to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Examples per forward pass
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// Number format of the computation
    #[arg(long, ignore_case = true, default_value = "auto")]
    precision: PrecisionChoice,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
}

/// Scores a run on a split, prints the scores, and writes them and the report into the run's folder.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    // Checked before the evaluation, so that it isn't done in vain.
    if let Some(folder) =
        args.json.as_deref().and_then(|path| path.parent()).filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        bail!("--json: the folder {} does not exist (hint: create it first)", folder.display());
    }
    let run = match &args.run {
        Some(path) => RunFolder::open(path)?,
        None => newest_run()?,
    };
    let trained_on = manifest_of(&run)?;
    let (prepared, mut notes) = find_data(args, &run, &trained_on)?;
    let split = match &args.split {
        Some(split) => split.clone(),
        None => default_split(&prepared.manifest)?,
    };
    notes.extend(prepared.manifest.notes.iter().chain(&trained_on.model.note).cloned());
    let device = args.device.device()?;
    let precision = args.precision.on(device);
    let predictor = Predictor::open(run.path(), device, precision)?;
    let examples = prepared.split(&split)?;
    let labels = predictor.label_names();
    if labels != trained_on.label_names {
        bail!(
            "{}: expected the labels {} in config.json, found {} (hint: copy the run's config.json again)",
            run.path().display(),
            trained_on.label_names.join(", "),
            labels.join(", ")
        );
    }
    let (path, dir) = (run.path().display(), prepared.dir.display());
    disk::print_message(format!("evaluating {path} on {split} ({} rows of {dir})", examples.len()));
    let evaluation = evaluate(predictor.model(), &examples, &split, labels, usize::from(args.batch_size))?;

    let result = EvaluationResult {
        run: run.path().display().to_string(),
        data: prepared.dir.display().to_string(),
        dataset: prepared.manifest.dataset.clone(),
        source: prepared.manifest.source.clone(),
        model: trained_on.model.name.clone(),
        split: split.clone(),
        precision: precision.to_string(),
        device: device_name(device),
        loss: evaluation.loss,
        seconds: evaluation.seconds,
        first_batch_seconds: evaluation.first_batch_seconds,
        report: evaluation.report.clone(),
        label_names: labels.to_vec(),
        confusion_matrix: evaluation.confusion.counts(),
        notes: notes.clone(),
    };
    let json = result.to_json()?;
    write_atomic(&EvaluationResult::path(run.path(), &split), &json)?;
    if let Some(path) = &args.json {
        write_atomic(path, &json)?;
    }
    let written = run_report::write(&run_report::ReportInput {
        run: &run,
        split: &split,
        evaluation: &evaluation,
        labels,
        examples: &examples,
        manifest: &prepared.manifest,
        trained_on: &trained_on,
        notes: &notes,
    })?;
    disk::print(scores_text(&evaluation, labels, &prepared.manifest, &notes)?)?;
    for path in written {
        disk::print_message(format!("wrote {}", path.display()));
    }
    Ok(())
}

/// The prepared data that a run was trained on, by its saved configuration; also if both have been moved together.
pub(crate) fn data_of(run: &RunFolder) -> Result<PathBuf> {
    let config = TrainConfig::load(&run.file(RUN_TOML))?;
    let recorded = config.data.with_context(|| {
        format!(
            "{} does not name the data that the run was trained on (hint: --data DIR)",
            run.file(RUN_TOML).display()
        )
    })?;
    Ok(match manifest_of(run) {
        Ok(manifest) => locate(&recorded, run.path(), &manifest.fingerprint),
        Err(_) => recorded,
    })
}

fn manifest_of(run: &RunFolder) -> Result<Manifest> {
    let path = run.file(DATA);
    let hint = "(hint: the run is damaged or was made by another version; copy it again, or train again)";
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {} {hint}", path.display()))?;
    Manifest::from_json(&text).map_err(|what| anyhow!("{} {what} {hint}", path.display()))
}

/// The data to score on, with notes for the report.
fn find_data(args: &EvaluateArgs, run: &RunFolder, trained_on: &Manifest) -> Result<(Prepared, Vec<String>)> {
    let dir = match &args.data {
        Some(dir) => dir.clone(),
        None => data_of(run)?,
    };
    let prepared = Prepared::open(&dir)?;
    let manifest = &prepared.manifest;
    if manifest.tokenizer_sha256 != trained_on.tokenizer_sha256 || manifest.label_names != trained_on.label_names {
        bail!(
            "{}: the tokenizer or the labels ({}) differ from those of the run ({}) (hint: prepare it with --model {})",
            dir.display(),
            manifest.label_names.join(", "),
            trained_on.label_names.join(", "),
            run.path().display()
        );
    }
    if manifest.fingerprint == trained_on.fingerprint {
        return Ok((prepared, Vec::new()));
    }
    if args.data.is_none() {
        bail!(
            "{} has been prepared again since this run was trained on it, so its splits may differ (hint: prepare it with \
             the same options as before, or score on it as it is with --data {})",
            dir.display(),
            dir.display()
        );
    }
    let note = format!("scored on {}, which is not the data that the model was trained on", dir.display());
    Ok((prepared, vec![note]))
}

fn default_split(manifest: &Manifest) -> Result<String> {
    let is_labeled = |name: &&str| manifest.splits.get(*name).is_some_and(|split| split.labeled == split.rows);
    match ["test", "validation"].iter().find(|name| is_labeled(name)) {
        Some(name) => Ok((*name).to_owned()),
        None => bail!("the data has neither a labeled test nor a labeled validation split (hint: --split train)"),
    }
}

fn scores_text(evaluation: &Evaluation, labels: &[String], manifest: &Manifest, notes: &[String]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "data       {} ({})", manifest.variant, manifest.source)?;
    writeln!(out, "examples   {}", evaluation.report.examples)?;
    writeln!(out, "loss       {:.4}", evaluation.loss)?;
    for (name, value) in evaluation.scores().iter().take(4) {
        let average = if name == "accuracy" { "" } else { "  (weighted)" };
        writeln!(out, "{name:<10} {value:.4}{average}")?;
    }
    writeln!(out, "\n{}\n{}", evaluation.report, evaluation.confusion.render(labels)?)?;
    for note in notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(out)
}

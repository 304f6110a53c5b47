//! `verdict evaluate`: a run's scores on a split or on labeled files, in the terminal, as JSON, as pictures and as one page.

mod int8;
mod labeled_files;
mod prepared_split;
mod run_precision;
mod scored_data;
mod written;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ::predict::Predictor;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use data::LabelMap;
use data::manifest::Manifest;
use disk::write_atomic;
use metrics::{ScoredSplit, implausible_scores};
use model::{DeviceChoice, InferencePrecisionChoice, device_name};
use run::{DATA, EvaluationResult, RUN_TOML, newest_run};
use table::{FileFormat, ReadOptions, parse_text_separator};
use train::evaluate::{Evaluation, evaluate};

use crate::chosen_device;
use crate::run_report::ReportInput;
pub(crate) use int8::int8_notes;
pub(crate) use prepared_split::data_of;
use run_precision::run_precision;
use scored_data::ScoredData;

/// The flags of `evaluate`.
#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// Folder of the run, or with --file any model folder [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Split to score [default: test where it has labels, else validation]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Prepared data to score on [default: the run's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "data"], help = format!(
        "Score on a labelled file ({}), a folder or a pattern such as 'part-*.csv'; may be given several times",
        FileFormat::names()))]
    file: Vec<String>,
    /// Column of --file with the text, or several: title,body [default: found by its name, as prepare does]
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    #[arg(long, value_name = "TEXT", value_parser = parse_text_separator, help =
        "What stands between the texts of several columns; \\n is a line end, \\t a tab [default: a space]")]
    text_separator: Option<String>,
    /// Column of --file with the label [default: found by its name, as prepare does]
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// What --file calls the model's labels: bad=negative,good=positive [default: as in training, else their names]
    #[arg(long, value_name = "VALUE=NAME,...|FILE", value_parser = LabelMap::from_flag, allow_hyphen_values = true)]
    label_map: Option<LabelMap>,
    /// Leave out rows of --file without a text and count them, instead of failing
    #[arg(long)]
    drop_empty: bool,
    /// Folder for the scores and the report [default: the run's]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Also write all scores to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Examples per forward pass
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// Number format of the computation [default: that of the training]
    #[arg(long, ignore_case = true)]
    precision: Option<InferencePrecisionChoice>,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten, next_help_heading = "How --file is read")]
    read: ReadOptions,
}

/// Scores a run, prints the scores, and writes them and the report into the run's folder or another one.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    check(args)?;
    let run = match &args.run {
        Some(path) => path.clone(),
        None => newest_run()?.path().to_owned(),
    };
    let device = chosen_device(args.device)?;
    let open_predictor = || -> Result<_> {
        let (precision, known_by) = run_precision(&run, args.precision, device)?;
        let predictor = Predictor::open(&run, device, precision)?;
        Ok((predictor, precision, known_by))
    };
    let (scored, (predictor, precision, known_by)) = if args.file.is_empty() {
        let trained_on = prepared_split::trained_on(&run, &args.data)?;
        let scored = prepared_split::open(args.data.as_deref(), args.split.as_deref(), &run, &trained_on)?;
        let opened = open_predictor()?;
        check_labels(&run, &opened.0, &trained_on)?;
        (scored, opened)
    } else {
        let trained_on = manifest_of(&run)?;
        let opened = open_predictor()?;
        if let Some(trained_on) = &trained_on {
            check_labels(&run, &opened.0, trained_on)?;
        }
        (labeled_files::open(args, &run, trained_on.as_ref(), &opened.0)?, opened)
    };
    let labels = predictor.label_names();
    let (path, split) = (run.display(), &scored.split);
    disk::print_message(format!("evaluating {path} on {split} ({} rows of {})", scored.examples.len(), scored.data));
    let evaluation = evaluate(predictor.model(), &scored.examples, split, labels, usize::from(args.batch_size))?;
    let mut notes = scored.notes.clone();
    notes.extend(predictor.model().parameters().backend().note(device));
    notes.extend(int8_notes(&run, &predictor, precision)?);
    let warning = implausible_scores(&ScoredSplit {
        confusion: &evaluation.confusion,
        loss: evaluation.loss,
        label_names: labels,
    });
    notes.extend(warning.iter().map(|warning| format!("warning: {warning}")));
    if evaluation.batch_size < usize::from(args.batch_size) {
        let (asked, done) = (args.batch_size, evaluation.batch_size);
        notes.push(format!("memory was too small for {asked} rows at a time, so {done} were predicted at a time"));
    }

    let result = EvaluationResult {
        run: run.display().to_string(),
        data: scored.data.clone(),
        dataset: scored.about.dataset.clone(),
        source: scored.about.source.clone(),
        model: scored.about.model.clone(),
        split: split.clone(),
        precision: precision.name(),
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
    if let Some(path) = &args.json {
        write_atomic(path, &json)?;
    }
    let report = ReportInput {
        run: &run,
        split,
        evaluation: &evaluation,
        labels,
        examples: &scored.examples,
        about: &scored.about,
        notes: &notes,
    };
    let written = written::write(args.output.as_deref(), &run, &json, &report);
    let computed = format!("{precision}{known_by} on {}", device_name(device));
    disk::print(scores_text(&evaluation, labels, &scored, &computed, &notes)?)?;
    for path in written? {
        disk::print_message(format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Refuses what can't be done before it is done in vain.
fn check(args: &EvaluateArgs) -> Result<()> {
    if let Some(folder) =
        args.json.as_deref().and_then(|path| path.parent()).filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        bail!("--json: the folder {} does not exist (hint: create it first)", folder.display());
    }
    let of_files = [
        ("--text-column", args.text_column.is_some()),
        ("--text-separator", args.text_separator.is_some()),
        ("--label-column", args.label_column.is_some()),
        ("--label-map", args.label_map.is_some()),
        ("--drop-empty", args.drop_empty),
    ];
    let given = of_files.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag);
    if let Some(flag) = given.chain(args.read.given_flags()).next().filter(|_| args.file.is_empty()) {
        bail!("{flag} says how --file is read, and no --file is given (hint: add --file FILE, or leave {flag} out)");
    }
    Ok(())
}

/// The manifest of the data that a run was trained on; `None` in a model folder of other making.
fn manifest_of(run: &Path) -> Result<Option<Manifest>> {
    let path = run.join(DATA);
    if !path.exists() && !run.join(RUN_TOML).exists() {
        return Ok(None);
    }
    let hint = "(hint: the run is damaged or was made by another version; copy it again, or train again)";
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {} {hint}", path.display()))?;
    Manifest::from_json(&text).map(Some).map_err(|what| anyhow!("{} {what} {hint}", path.display()))
}

fn check_labels(run: &Path, predictor: &Predictor, trained_on: &Manifest) -> Result<()> {
    let labels = predictor.label_names();
    if labels != trained_on.label_names {
        bail!(
            "{}: expected the labels {} in config.json, found {} (hint: copy the run's config.json again)",
            run.display(),
            trained_on.label_names.join(", "),
            labels.join(", ")
        );
    }
    Ok(())
}

fn scores_text(
    evaluation: &Evaluation,
    labels: &[String],
    scored: &ScoredData,
    computed: &str,
    notes: &[String],
) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "data       {} ({})", scored.about.variant, scored.about.source)?;
    writeln!(out, "examples   {}", evaluation.report.examples)?;
    writeln!(out, "computed   in {computed}")?;
    writeln!(out, "loss       {:.4}", evaluation.loss)?;
    for (name, value) in evaluation.scores().iter().take(4) {
        let average = if name == "accuracy" { "" } else { "  (weighted)" };
        writeln!(out, "{name:<10} {value:.4}{average}")?;
    }
    writeln!(out, "\n{}\n{}", evaluation.report, evaluation.confusion.render(labels)?)?;
    for note in notes {
        let kind = if note.starts_with("warning: ") { "" } else { "note: " };
        writeln!(out, "{kind}{note}")?;
    }
    Ok(out)
}

//! `verdict evaluate`: a run's scores on a split or on labeled files, in the terminal, as JSON, as pictures and as one page.

mod against;
mod baseline_rows;
mod explained;
mod group;
mod int8;
mod judged;
mod labeled_files;
mod prepared_split;
mod row_facts;
mod run_precision;
mod scored_data;
mod shown;
mod training_mistakes;
mod treebank_nodes;
mod written;

use std::path::{Path, PathBuf};

use ::predict::Predictor;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use collective::Collective;
use data::LabelMap;
use data::manifest::Manifest;
use data::source::SourceChoice;
use disk::write_atomic;
use metrics::{ScoredSplit, implausible_scores};
use model::{DeviceChoice, InferencePrecisionChoice, device_name};
use run::{ChosenRun, DATA, EvaluationResult, GroupScores, RUN_TOML};
use table::{FileFormat, ReadOptions, parse_text_separator};
use train::evaluate::evaluate;

use crate::environment::environment;
use crate::ranks::{check_same_model, device_of_rank, run_of_rank, share_precision, with_ranks};
use crate::run_report::{PredictedRows, ReportInput};
use explained::explain_mistakes;
use group::GroupEvaluation;
pub(crate) use int8::int8_notes;
use judged::{JudgeRequest, judged};
pub(crate) use prepared_split::{check_labels, data_of, labeled_split, trained_on};
pub(crate) use run_precision::run_precision;
pub(crate) use scored_data::ScoredData;
use shown::scores_text;
pub(crate) use written::is_read_only;

/// Rows from which on judging takes long enough to be said.
const MANY_ROWS: usize = 1000;

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
        "Score on a labeled file ({}), a folder or a pattern such as 'part-*.csv'; may be given several times",
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
    /// Another run, to be compared with on the same rows
    #[arg(long, value_name = "RUN")]
    against: Option<PathBuf>,
    /// Column of --file by whose values the scores are split; may be given several times
    #[arg(long, value_name = "NAME")]
    slice_column: Vec<String>,
    /// An accuracy to reach by leaving out the least sure predictions, such as 0.95; may be given several times
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    wanted_accuracy: Vec<f64>,
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, default_missing_value = "auto", help = format!(
        "Also score every phrase of the treebank's trees; from {}", SourceChoice::help()))]
    treebank: Option<SourceChoice>,
    /// How many of the surest mistakes are explained, word by word, in the report
    #[arg(long, value_name = "N", default_value_t = 10)]
    explain: usize,
    /// Folder for the scores and the report [default: the run's]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Also write all that was found to this file as JSON; to -, the standard output, in place of the text
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

/// Scores a run, prints the scores, and writes them and the report into the run's folder or another one. Several processes
/// deal out the rows; rank 0 does the rest.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    with_ranks(|ranks| run_as_rank(args, ranks))
}

fn run_as_rank(args: &EvaluateArgs, ranks: &dyn Collective) -> Result<()> {
    if ranks.is_first() {
        check(args)?;
    }
    let ChosenRun { path: run, group } = run_of_rank(args.run.as_deref(), ranks)?;
    let device = device_of_rank(args.device, ranks)?;
    let open_predictor = || -> Result<_> {
        let own = ranks.is_first().then(|| run_precision(&run, args.precision, device)).transpose()?;
        let precision = share_precision(own.map(|(precision, _)| precision), ranks)?;
        let known_by = own.map_or("", |(_, known_by)| known_by);
        let predictor = Predictor::open(&run, device, precision)?;
        check_same_model(&run, device, ranks)?;
        Ok((predictor, precision, known_by))
    };
    let (scored, (predictor, precision, known_by)) = if args.file.is_empty() {
        let trained_on = prepared_split::trained_on(&run, &args.data)?;
        let scored = prepared_split::open(args.data.as_deref(), args.split.as_deref(), &run, &trained_on)?;
        let opened = open_predictor()?;
        check_labels(&run, opened.0.label_names(), &trained_on)?;
        (scored, opened)
    } else {
        let trained_on = manifest_of(&run)?;
        let opened = open_predictor()?;
        if let Some(trained_on) = &trained_on {
            check_labels(&run, opened.0.label_names(), trained_on)?;
        }
        (labeled_files::open(args, &run, trained_on.as_ref(), &opened.0)?, opened)
    };
    let labels = predictor.label_names();
    let (path, split) = (run.display(), &scored.split);
    if ranks.is_first() {
        disk::print_message(format!(
            "evaluating {path} on {split} ({} rows of {})",
            scored.examples.len(),
            scored.data
        ));
    }
    let batch_size = usize::from(args.batch_size);
    scored.check_same(batch_size, ranks)?;
    let evaluation = evaluate(predictor.model(), &scored.examples, split, labels, batch_size, ranks)?;
    if !ranks.is_first() {
        return Ok(());
    }
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

    if scored.examples.len() > MANY_ROWS {
        disk::print_message("judging the scores: intervals, slices, baselines");
    }
    let (mut judgement, about_judgement) = judged(&JudgeRequest {
        run: &run,
        scored: &scored,
        predictor: &predictor,
        evaluation: &evaluation,
        device,
        against: args.against.as_deref(),
        wanted: &args.wanted_accuracy,
        treebank: args.treebank.as_ref(),
    })?;
    notes.extend(about_judgement);
    if let Some(judgement) = &mut judgement {
        notes.extend(explain_mistakes(&run, device, &mut judgement.mistakes, args.explain)?);
    }
    let mut group_scores = None;
    if let Some(group) = &group {
        let members = GroupEvaluation {
            group,
            scored: &scored,
            is_split: args.file.is_empty(),
            own_data: args.data.is_none(),
            label_names: labels,
            precision: args.precision,
            device,
            batch_size: usize::from(args.batch_size),
        };
        let (scores, note) = members.scores(GroupScores::of_report(&evaluation.report, evaluation.loss))?;
        group_scores = scores;
        notes.extend(note);
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
        notes,
        environment: Some(environment(device, &run)),
        judgement,
        group: group_scores,
    };
    let json = result.to_json()?;
    let to_standard_output = args.json.as_deref() == Some(Path::new("-"));
    if let Some(path) = args.json.as_ref().filter(|_| !to_standard_output) {
        write_atomic(path, &json)?;
    }
    let report = ReportInput {
        run: &run,
        result: &result,
        rows: Some(PredictedRows { evaluation: &evaluation, examples: &scored.examples }),
        about: &scored.about,
    };
    let written = written::write(args.output.as_deref(), &run, &json, &report);
    let computed = format!("{precision}{known_by} on {}", device_name(device));
    let text = scores_text(&result, &evaluation, &scored, &computed)?;
    disk::print(if to_standard_output { &json } else { &text })?;
    let mut written = written?;
    if let Some(group) = group.filter(|_| !written.is_empty() && args.output.is_none()) {
        written.extend(training_mistakes::write(&group.folder)?);
    }
    written::say(&written);
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
    if let Some(other) = &args.against {
        let ChosenRun { path, .. } = ChosenRun::find(Some(other)).context("--against")?;
        Predictor::config(&path).context("--against")?;
    }
    let of_files = [
        ("--text-column", args.text_column.is_some()),
        ("--text-separator", args.text_separator.is_some()),
        ("--label-column", args.label_column.is_some()),
        ("--label-map", args.label_map.is_some()),
        ("--drop-empty", args.drop_empty),
        ("--slice-column", !args.slice_column.is_empty()),
    ];
    let given = of_files.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag);
    if let Some(flag) = given.chain(args.read.given_flags()).next().filter(|_| args.file.is_empty()) {
        bail!("{flag} says how --file is read, and no --file is given (hint: add --file FILE, or leave {flag} out)");
    }
    Ok(())
}

/// A share between 0 and 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("expected a share from 0 to 1 such as 0.95, found {text}"))
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

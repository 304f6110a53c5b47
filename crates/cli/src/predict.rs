//! `verdict predict`: labels and probabilities of texts from the command line, files, a pipe or a prepared split.

mod dealt;
mod input;
mod output;
mod progress;
mod visible;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ::predict::{Prediction, Predictor, stream};
use anyhow::{Result, bail};
use clap::Args;
use collective::Collective;
use label::{MarkCounts, TextColumns};
use model::{DeviceChoice, InferencePrecision, InferencePrecisionChoice, device_name};
use table::{FileFormat, ReadOptions, TEXT_SEPARATOR, TableError, parse_text_separator};
use tch::Device;

use crate::evaluate::int8_notes;
use crate::ranks::{check_same_model, device_of_rank, run_of_rank, share_precision, with_ranks};
pub(crate) use input::PredictInput;
use input::PredictRow;
use output::{PredictionOutput, row_label};
pub(crate) use visible::visible;

/// The flags of `predict`.
#[derive(Args)]
pub(crate) struct PredictArgs {
    /// Texts to label
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// More texts, which may begin with a hyphen or be the name of a file
    #[arg(value_name = "TEXT", last = true)]
    verbatim: Vec<String>,
    /// Folder of the run [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "verbatim"], help = format!(
        "Label the texts of a file ({}), a folder or a pattern such as 'part-*.csv'; may be given several times; - reads the \
         standard input, one text a line unless --format is given", FileFormat::names()))]
    file: Vec<String>,
    /// Column of --file with the text, or several: title,body [default: found by its name, as prepare does]
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    #[arg(long, value_name = "TEXT", value_parser = parse_text_separator, help =
        "What stands between the texts of several columns; \\n is a line end, \\t a tab [default: a space]")]
    text_separator: Option<String>,
    #[arg(long, value_name = "FILE", conflicts_with = "json", help = format!(
        "Write every column of the input, and those of the predictions, to a file ({}); - writes to the standard output, in \
         the input's format", FileFormat::written()))]
    output: Option<PathBuf>,
    /// Label every text of a prepared split, labeled or not
    #[arg(long, value_name = "NAME", conflicts_with_all = ["texts", "verbatim", "file"])]
    split: Option<String>,
    /// Prepared data of --split [default: the run's own]
    #[arg(long, value_name = "DIR", requires = "split")]
    data: Option<PathBuf>,
    /// Print one JSON object per text, with all probabilities
    #[arg(long)]
    json: bool,
    /// Number format of the computation
    #[arg(long, ignore_case = true, default_value = "auto")]
    precision: InferencePrecisionChoice,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten, next_help_heading = "How --file is read")]
    read: ReadOptions,
}

/// Labels the texts that the flags name, and prints one line for each on stdout or writes a file. Several processes deal out
/// the texts; rank 0 reads and writes.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    with_ranks(|ranks| {
        if ranks.is_first() {
            check(args)?;
        }
        let run = run_of_rank(args.run.as_deref(), ranks)?.path;
        if !ranks.is_first() {
            return dealt::compute_shares(&open(args, &run, ranks)?.0, ranks);
        }
        match label(args, &run, ranks) {
            Err(error) if !is_closed_pipe(&error) => Err(error),
            _ => {
                dealt::end(ranks);
                Ok(())
            }
        }
    })
}

/// The run's model, and the device and number format that it computes in.
fn open(args: &PredictArgs, run: &Path, ranks: &dyn Collective) -> Result<(Predictor, Device, InferencePrecision)> {
    let device = device_of_rank(args.device, ranks)?;
    let config = Predictor::config(run)?;
    let precision = share_precision(ranks.is_first().then(|| args.precision.on(device, &config)), ranks)?;
    let predictor = Predictor::open(run, device, precision)?;
    check_same_model(run, device, ranks)?;
    Ok((predictor, device, precision))
}

/// Whether the reader of standard output has closed it, as `head` does after its lines: it wants no more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let source = match error.downcast_ref() {
        Some(TableError::Io { source, .. }) => Some(source),
        _ => error.downcast_ref::<std::io::Error>(),
    };
    source.is_some_and(|source| source.kind() == ErrorKind::BrokenPipe)
}

fn label(args: &PredictArgs, run: &Path, ranks: &dyn Collective) -> Result<()> {
    let input = open_input(args, run)?;
    let (predictor, device, precision) = open(args, run, ranks)?;
    disk::print_message(format!("computing in {precision} on {}", device_name(device)));
    let of_backend = predictor.model().parameters().backend().note(device);
    let of_precision = int8_notes(run, &predictor, precision)?;
    of_backend.iter().chain(&of_precision).for_each(|note| disk::print_message(format!("note: {note}")));
    let mut output = match &args.output {
        Some(path) => PredictionOutput::table(path, &input, predictor.label_names())?,
        None if args.json => PredictionOutput::json(),
        None => PredictionOutput::for_people(predictor.label_names()),
    };
    let bar = progress::bar(args.output.is_some());
    let PredictInput { rows, policy, from_files, .. } = input;
    let mut counts = MarkCounts::default();
    let predict = |texts: &[&str]| dealt::predict(&predictor, texts, ranks);
    stream(predict, rows, policy, |chunk: Vec<(PredictRow, Option<Prediction>)>| {
        bar.inc(chunk.len() as u64);
        let chunk: Vec<_> = chunk.into_iter().map(|(PredictRow(row), prediction)| (row, prediction)).collect();
        for (row, prediction) in &chunk {
            counts.add(row.number, prediction.as_ref().map(row_label).as_ref());
        }
        output.write(chunk)
    })?;
    output.finish()?;
    bar.finish_and_clear();
    if from_files {
        let notes = counts.notes(predictor.tokenizer().max_length());
        notes.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    }
    if let Some(path) = args.output.as_deref().filter(|path| path.as_os_str() != "-") {
        disk::print_message(format!("wrote {} ({})", path.display(), counts.rows()));
    }
    Ok(())
}

/// Refuses flags that don't go together, and texts that are the names of files.
fn check(args: &PredictArgs) -> Result<()> {
    if args.texts.is_empty() && args.verbatim.is_empty() && args.file.is_empty() && args.split.is_none() {
        bail!("no text to label (hint: predict \"A lovely film.\", or --file FILE, or --split NAME)");
    }
    // clap doesn't check `requires` where the required argument excludes another one that is given.
    if let (Some(data), None) = (&args.data, &args.split) {
        bail!("--data {} needs --split (hint: add --split test, or leave --data out)", data.display());
    }
    let reading = args
        .read
        .given_flags()
        .chain(args.text_column.as_ref().map(|_| "--text-column"))
        .chain(args.text_separator.as_ref().map(|_| "--text-separator"))
        .next();
    if let Some(flag) = reading.filter(|_| args.file.is_empty()) {
        bail!("{flag} says how --file is read, and no --file is given (hint: add --file FILE, or leave {flag} out)");
    }
    if let Some(text) = args.texts.iter().find(|text| Path::new(text).exists()) {
        bail!(
            "{text:?} is a file; its name would be labeled, not its content (hint: --file {text} labels the texts in it; \
             -- {text:?} labels these words)"
        );
    }
    Ok(())
}

fn open_input(args: &PredictArgs, run: &Path) -> Result<PredictInput> {
    let reads_stdin = args.file.iter().any(|file| file == "-");
    let text = TextColumns {
        columns: args.text_column.as_deref(),
        separator: args.text_separator.as_deref().unwrap_or(TEXT_SEPARATOR),
    };
    match &args.split {
        Some(split) => PredictInput::split(run, args.data.as_deref(), split),
        None if reads_stdin && args.file.len() > 1 => {
            bail!("--file - reads the standard input, and other files can't be read with it (hint: cat FILES | ...)")
        }
        None if reads_stdin => PredictInput::standard_input(text, &args.read),
        None if !args.file.is_empty() => PredictInput::files(&args.file, text, &args.read, args.output.as_deref()),
        None => Ok(PredictInput::texts(args.texts.iter().chain(&args.verbatim).cloned().collect())),
    }
}

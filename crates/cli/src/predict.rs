//! `verdict predict`: labels and probabilities of texts from the command line, a file, a pipe or a prepared split.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write, stdin, stdout};
use std::path::PathBuf;

use ::predict::{PredictError, Prediction, Predictor, stream};
use anyhow::{Context, Result, bail};
use clap::Args;
use data::manifest::Prepared;
use model::{DeviceChoice, PrecisionChoice};
use run::{RunFolder, newest_run};

/// The flags of `predict`.
#[derive(Args)]
pub(crate) struct PredictArgs {
    /// Texts to label
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Folder of the run [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Label each line of a file; `-` reads from the standard input
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// Label every text of a prepared split, labeled or not
    #[arg(long, value_name = "NAME", conflicts_with_all = ["texts", "file"])]
    split: Option<String>,
    /// Prepared data of --split [default: the run's own]
    #[arg(long, value_name = "DIR", requires = "split")]
    data: Option<PathBuf>,
    /// Print one JSON object per text, with all probabilities
    #[arg(long)]
    json: bool,
    /// Number format of the computation
    #[arg(long, ignore_case = true, default_value = "auto")]
    precision: PrecisionChoice,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
}

/// Labels the texts that the flags name, and prints one line for each on stdout.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    match label(args) {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Whether the reader of standard output has closed it, as `head` does after its lines: it wants no more.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let source = match error.downcast_ref() {
        Some(PredictError::Io { source, .. }) => Some(source),
        _ => error.downcast_ref::<std::io::Error>(),
    };
    source.is_some_and(|source| source.kind() == ErrorKind::BrokenPipe)
}

fn label(args: &PredictArgs) -> Result<()> {
    if args.texts.is_empty() && args.file.is_none() && args.split.is_none() {
        bail!("no text to label (hint: predict \"A lovely film.\", or --file FILE, or --split NAME)");
    }
    // clap doesn't check `requires` where the required argument excludes another one that is given.
    if let (Some(data), None) = (&args.data, &args.split) {
        bail!("--data {} needs --split (hint: add --split test, or leave --data out)", data.display());
    }
    let run = match &args.run {
        Some(path) => path.clone(),
        None => newest_run()?.path().to_owned(),
    };
    let device = args.device.device()?;
    let predictor = Predictor::open(&run, device, args.precision.on(device))?;
    let mut out = BufWriter::new(stdout().lock());
    let width = predictor.label_names().iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let write = |out: &mut BufWriter<_>, text: &str, prediction: &Prediction| {
        if args.json { write_json(out, text, prediction) } else { write_line(out, text, prediction, width) }
    };
    if let Some(file) = &args.file {
        let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
        let reader: Box<dyn BufRead> = if file.as_os_str() == "-" {
            Box::new(stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(file).with_context(|| name.clone())?))
        };
        stream(&predictor, &name, reader, &mut out, write)?;
        return Ok(());
    }
    let texts = match &args.split {
        Some(split) => split_texts(args, &run, split)?,
        None => args.texts.clone(),
    };
    for chunk in texts.chunks(::predict::CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        for (text, prediction) in chunk.iter().zip(predictor.predict(&chunk)?) {
            write(&mut out, text, &prediction)?;
        }
    }
    Ok(out.flush()?)
}

fn split_texts(args: &PredictArgs, run: &std::path::Path, split: &str) -> Result<Vec<String>> {
    let dir = match &args.data {
        Some(dir) => dir.clone(),
        None => crate::evaluate::data_of(&RunFolder::open(run)?)?,
    };
    let examples = Prepared::open(&dir)?.split(split)?;
    Ok((0..examples.len()).map(|row| examples.text(row).map(str::to_owned)).collect::<Result<_, _>>()?)
}

fn write_json(out: &mut impl Write, text: &str, prediction: &Prediction) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct PredictionLine<'a> {
        text: &'a str,
        #[serde(flatten)]
        prediction: &'a Prediction,
    }
    serde_json::to_writer(&mut *out, &PredictionLine { text, prediction })?;
    writeln!(out)
}

/// `positive  negative 1.3 %, positive 98.7 %  the text`
fn write_line(out: &mut impl Write, text: &str, prediction: &Prediction, width: usize) -> std::io::Result<()> {
    let all: Vec<String> =
        prediction.probabilities.iter().map(|(name, p)| format!("{name} {:4.1} %", 100.0 * p)).collect();
    let truncated = if prediction.truncated { "  (truncated: longer than the model's limit)" } else { "" };
    writeln!(out, "{:<width$}  {}  {text}{truncated}", prediction.label, all.join(", "))
}

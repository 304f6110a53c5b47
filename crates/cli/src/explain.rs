//! `verdict explain`: which words of a text its label comes from, in the terminal, as JSON and as a page.

mod page;
mod terminal;
mod treebank;

use std::io::{BufWriter, IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};

use ::explain::{ExplainError, ExplainOptions, Explainer};
use anyhow::{Context, Result, bail};
use clap::Args;
use data::SourceChoice;
use disk::write_atomic;
use judge::{Explanation, METHOD};
use label::TextColumns;
use model::{DeviceChoice, device_name};
use run::ChosenRun;
use serde::Serialize;
use table::{FileFormat, ReadOptions, TEXT_SEPARATOR};

use crate::predict::{PredictInput, is_closed_pipe};
use crate::{chosen_device, chosen_run};

/// The flags of `explain`.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// Texts to explain
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// More texts, which may begin with a hyphen or be the name of a file
    #[arg(value_name = "TEXT", last = true)]
    verbatim: Vec<String>,
    /// Folder of the run, or any Hugging Face folder of a BERT with a classification head [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Label to explain [default: for each text the one that the model gives]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "verbatim"], help = format!(
        "Explain the texts of a file ({}); may be given several times; - reads the standard input, one text a line",
        FileFormat::names()))]
    file: Vec<String>,
    /// Column of --file with the text, or several: title,body [default: found by its name, as prepare does]
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// Print one JSON object per text, with every word and how exactly the numbers add up
    #[arg(long)]
    json: bool,
    /// Also write the texts with colored words to a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["texts", "verbatim", "file", "label", "html"], help = format!(
        "Instead of texts: how the attributions of the treebank's test sentences agree with its labels of words and phrases; \
         from {}", SourceChoice::help()))]
    treebank: Option<SourceChoice>,
    /// Sentences of --treebank, spread evenly [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sentences: Option<u32>,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
}

/// Explains the texts that the flags name.
pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    match explain(args) {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        outcome => outcome,
    }
}

fn explain(args: &ExplainArgs) -> Result<()> {
    check(args)?;
    let ChosenRun { path: run, .. } = chosen_run(args.run.as_deref())?;
    let device = chosen_device(args.device)?;
    let explainer = Explainer::open(&run, device)?;
    let class = args.label.as_deref().map(|label| class_of(label, explainer.label_names())).transpose()?;
    disk::print_message(format!("computing in fp32 on {}: {METHOD}", device_name(device)));
    let note = explainer.model().parameters().backend().note(device);
    note.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    if let Some(source) = &args.treebank {
        return treebank::run(&explainer, source, args.sentences, args.json);
    }
    let explanations = explain_texts(args, &explainer, class)?;
    if let Some(path) = &args.html {
        write_atomic(path, page::html(&run, &explanations))?;
        disk::print_message(format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Prints each explanation as soon as it is there; returns them if they are needed for a page.
fn explain_texts(args: &ExplainArgs, explainer: &Explainer, class: Option<usize>) -> Result<Vec<Explanation>> {
    let is_colored = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (mut out, mut kept) = (BufWriter::new(stdout()), Vec::new());
    let input = open_input(args)?;
    for row in input.rows {
        let row = row?.0;
        let (text, place) = (row.full_text().unwrap_or_default(), row.number);
        let explanation = match row.text_to_label() {
            Some(text) => match explainer.explain(text, class, &ExplainOptions::default()) {
                Err(ExplainError::Empty) => None,
                outcome => Some(outcome.with_context(|| format!("text {place}"))?),
            },
            None => None,
        };
        match (&explanation, args.json) {
            (Some(explanation), true) => write_json(&mut out, explanation)?,
            (None, true) => writeln!(out, "{}", serde_json::json!({"text": text, "label": null, "words": []}))?,
            (Some(explanation), false) => out.write_all(terminal::lines(explanation, is_colored).as_bytes())?,
            (None, false) => writeln!(out, "-  (no text)\n")?,
        }
        out.flush()?;
        kept.extend(explanation.filter(|_| args.html.is_some()));
    }
    Ok(kept)
}

fn write_json(out: &mut impl Write, explanation: &Explanation) -> Result<()> {
    #[derive(Serialize)]
    struct ExplainedText<'a> {
        #[serde(flatten)]
        explanation: &'a Explanation,
        method: &'static str,
    }
    serde_json::to_writer(&mut *out, &ExplainedText { explanation, method: METHOD })?;
    Ok(writeln!(out)?)
}

/// Refuses what can't be done before the model is loaded.
fn check(args: &ExplainArgs) -> Result<()> {
    if args.texts.is_empty() && args.verbatim.is_empty() && args.file.is_empty() && args.treebank.is_none() {
        bail!("no text to explain (hint: explain \"A lovely film.\", or --file FILE)");
    }
    // clap doesn't check `requires` where the required argument excludes another one that is given.
    if let (Some(count), None) = (args.sentences, &args.treebank) {
        bail!("--sentences {count} needs --treebank (hint: add --treebank DIR, or leave --sentences out)");
    }
    if let Some(name) = args.text_column.as_ref().filter(|_| args.file.is_empty()) {
        bail!("--text-column {name} needs --file (hint: add --file FILE, or leave --text-column out)");
    }
    if let Some(text) = args.texts.iter().find(|text| Path::new(text).exists()) {
        bail!(
            "{text:?} is a file; its name would be explained, not its content (hint: --file {text} explains the texts in it; \
             -- {text:?} explains these words)"
        );
    }
    let folder = args.html.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("--html: the folder {} does not exist (hint: create it first)", folder.display());
    }
    Ok(())
}

fn class_of(label: &str, names: &[String]) -> Result<usize> {
    let class = names.iter().position(|name| name == label);
    class.with_context(|| format!("--label {label}: expected one of the model's labels, {}", names.join(", ")))
}

fn open_input(args: &ExplainArgs) -> Result<PredictInput> {
    let (text, options) =
        (TextColumns { columns: args.text_column.as_deref(), separator: TEXT_SEPARATOR }, ReadOptions::default());
    match args.file.as_slice() {
        [] => Ok(PredictInput::texts(args.texts.iter().chain(&args.verbatim).cloned().collect())),
        [only] if only == "-" => PredictInput::standard_input(text, &options),
        files if files.iter().any(|file| file == "-") => {
            bail!("--file - reads the standard input, and other files can't be read with it (hint: cat FILES | ...)")
        }
        files => PredictInput::files(files, text, &options, args.html.as_deref()),
    }
}

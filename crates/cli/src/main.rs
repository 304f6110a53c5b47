//! `verdict`: every command of the project in one binary.

mod calibrate;
mod device_check;
mod doctor;
mod environment;
mod evaluate;
mod explain;
mod predict;
mod ranks;
mod report;
mod run_report;
mod serve;
mod tune;
#[cfg(unix)]
mod verify_resume;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use data::prepare::PrepareArgs;
use run::ChosenRun;
use train::TrainCommand;

/// libtorch's memory is this allocator's too.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

/// Fine-tune BERT for sentiment analysis: from texts and labels to a checked model.
#[derive(Parser)]
#[command(name = "verdict", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prepare a data set: find it, audit it, tokenize it
    Prepare(Box<PrepareArgs>),
    /// Fine-tune a BERT on prepared data
    Train(Box<TrainCommand>),
    /// Try many configurations: search, give up bad ones early, keep the best model
    Tune(Box<tune::TuneArgs>),
    /// Score a run on a split or a labeled file: accuracy, precision, recall, F1, confusion matrix
    Evaluate(evaluate::EvaluateArgs),
    /// Make a run as sure as it is right: fit a temperature on validation and fold it into the model
    Calibrate(calibrate::CalibrateArgs),
    /// Write the report of a run again, or compare several runs on one page
    Report(report::ReportArgs),
    /// Label texts, files and pipes with a run
    Predict(predict::PredictArgs),
    /// Show which words of texts their labels come from
    Explain(explain::ExplainArgs),
    /// Answer requests over HTTP with a run, by the contract of text-embeddings-inference
    Serve(Box<serve::ServeArgs>),
    /// Check that a killed and resumed training ends bit-identical to an uninterrupted one
    #[cfg(unix)]
    VerifyResume(Box<verify_resume::VerifyResumeArgs>),
    /// Run one forward and backward pass on this machine
    Doctor,
    /// One part of the check of a GPU, started by the scripts in gpu-check/
    #[command(hide = true, subcommand)]
    DeviceCheck(device_check::DeviceCheck),
}

impl Command {
    /// Its name, if it is for a single process.
    fn alone(&self) -> Option<&'static str> {
        match self {
            Self::Train(_) | Self::Evaluate(_) | Self::Predict(_) => None,
            Self::Prepare(_) => Some("prepare"),
            Self::Tune(_) => Some("tune"),
            Self::Calibrate(_) => Some("calibrate"),
            Self::Report(_) => Some("report"),
            Self::Explain(_) => Some("explain"),
            Self::Serve(_) => Some("serve"),
            #[cfg(unix)]
            Self::VerifyResume(_) => Some("verify-resume"),
            Self::Doctor => Some("doctor"),
            Self::DeviceCheck(_) => Some("device-check"),
        }
    }
}

fn main() -> ExitCode {
    // SAFETY: this is the first thing that the process does, so it has no other thread.
    unsafe { model::limit_kernel_caches() };
    let cli = match train::arguments() {
        Ok(arguments) => Cli::parse_from(arguments),
        Err(error) => return train::logging::report(&error),
    };
    train::logging::init();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => train::logging::report(error.as_ref()),
    }
}

fn run(command: Command) -> Result<ExitCode> {
    if let Some(name) = command.alone() {
        ranks::refuse_several(name)?;
    }
    let loads_model = match command {
        Command::Train(_) | Command::Evaluate(_) | Command::Predict(_) => true,
        Command::Calibrate(_) | Command::Serve(_) | Command::DeviceCheck(_) => true,
        Command::Explain(_) => true,
        Command::Prepare(_) | Command::Tune(_) | Command::Report(_) | Command::Doctor => false,
        #[cfg(unix)]
        Command::VerifyResume(_) => false,
    };
    if loads_model {
        allocator::prepare();
        train::return_freed_memory_by(allocator::return_free_memory);
    }
    match command {
        Command::Prepare(args) => {
            data::prepare::run(&args, |folder| Ok(model_limits(&model::SequenceClassifier::check(folder)?)))?;
        }
        Command::Train(args) => {
            if let Some(folder) = args.run(Some("train"))? {
                disk::print(format!("{}\n", folder.display()))?;
            }
        }
        Command::Tune(args) => return tune::run(&args),
        Command::Evaluate(args) => evaluate::run(&args)?,
        Command::Calibrate(args) => calibrate::run(&args)?,
        Command::Report(args) => report::run(&args)?,
        Command::Predict(args) => predict::run(&args)?,
        Command::Explain(args) => explain::run(&args)?,
        Command::Serve(args) => serve::run(&args)?,
        #[cfg(unix)]
        Command::VerifyResume(args) => verify_resume::run(&args)?,
        Command::Doctor => doctor::run()?,
        Command::DeviceCheck(check) => device_check::run(&check)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts this program again, with one of its subcommands.
fn this_program(command: &str) -> Result<std::process::Command> {
    let mut process =
        std::process::Command::new(std::env::current_exe().context("failed to find the path of this program")?);
    process.arg(command);
    Ok(process)
}

/// The run that `--run` names or the newest; of a group of runs the best, with a note on stderr which one that is.
fn chosen_run(requested: Option<&Path>) -> Result<ChosenRun> {
    let chosen = ChosenRun::find(requested)?;
    if let Some(note) = chosen.note() {
        disk::print_message(format!("note: {note}"));
    }
    Ok(chosen)
}

/// The device to compute on, with a note on stderr if a GPU is present and not used.
fn chosen_device(choice: model::DeviceChoice) -> Result<tch::Device> {
    let device = choice.device()?;
    if let Some(note) = choice.note(device) {
        disk::print_message(format!("note: {note}"));
    }
    Ok(device)
}

fn model_limits(config: &model::Config) -> data::prepare::ModelLimits {
    // `Config` is checked to hold positive numbers.
    let (vocab_size, positions) = (config.vocab_size as usize, config.max_position_embeddings as usize);
    data::prepare::ModelLimits { vocab_size, positions }
}

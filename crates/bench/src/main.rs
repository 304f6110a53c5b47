//! `cargo xtask bench`: this project against its Python peers, in turn, on the same data and machine.
//!
//! A suite starts processes, ours and theirs one after the other for as many rounds as asked, and turns what they report
//! into [`results::BenchComparison`]s. What is measured is a whole process as a user would start it; each suite says which
//! part of its time counts. If a peer is not available, ours is measured alone, with a note.

mod context;
mod corpus;
mod efficiency;
mod inference;
mod limit;
mod machine;
mod models;
mod network_model;
mod options;
mod peers;
mod process;
mod processes;
mod ranks;
mod results;
mod scaling;
mod statistics;
mod table;
mod time_spent;
mod timing;
mod tokenize;
mod train;
mod trainer_setting;
mod training;
mod trainings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::Utc;
use clap::Parser;
use serde::Serialize;
use serde_json::{Map, Value};

use context::{BenchContext, remove};
use corpus::Corpus;
use machine::{Machine, output_of};
use options::{BenchArgs, Device, Suite};
use peers::Peers;
use results::Results;
use trainings::Trainings;

/// The folder of everything that a benchmark writes, except the peers.
const FOLDER: &str = "target/bench";

/// The JSON file: what was measured, and when, where and with what.
#[derive(Serialize)]
struct BenchReport<'a> {
    format: u32,
    date: String,
    command: String,
    commit: Option<String>,
    machine: &'a Machine,
    device: Device,
    threads: usize,
    rounds: usize,
    quick: bool,
    versions: Versions<'a>,
    #[serde(flatten)]
    results: &'a Results,
}

#[derive(Serialize)]
struct Versions<'a> {
    rustc: Option<String>,
    /// From `cargo xtask bench`.
    libtorch: Option<String>,
    peers: Option<&'a Map<String, Value>>,
}

fn main() -> ExitCode {
    match run(BenchArgs::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: BenchArgs) -> Result<ExitCode> {
    let chosen_peers = std::env::var_os("VERDICT_PEERS").filter(|value| !value.is_empty());
    let chosen_peers = chosen_peers.map(std::path::absolute).transpose()?;
    // Cargo says at run time where the package is; the compiled-in path is that of another checkout where two of them
    // share a target folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    std::env::set_current_dir(PathBuf::from(package).join("../.."))
        .context("failed to change to the repository's folder")?;

    let mut results = Results::default();
    let folder = PathBuf::from(FOLDER);
    let corpus = Corpus::make(&corpus::treebank(options.data.as_deref())?, &folder.join("data"))?;
    let peers = Peers::find(chosen_peers.as_deref());
    let peers = peers
        .map_err(|error| {
            results.note(format!("THE PEERS ARE NOT AVAILABLE, so only this program is measured: {error:#}"))
        })
        .ok();
    let machine = Machine::detect(options.device);
    let threads = options.threads.map_or(machine.cores, usize::from);
    let programs = std::env::current_exe().context("failed to find the folder of the programs")?;
    let programs = programs.parent().unwrap_or(&programs).to_owned();
    let mut context = BenchContext { options, threads, folder, programs, peers, corpus, results };

    let begin = Instant::now();
    measure_all(&mut context)?;
    remove(&context.folder.join("runs"))?;
    show(&context, &machine)?;
    eprintln!("bench: measured for {:.0} s", begin.elapsed().as_secs_f64());
    Ok(if context.results.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure_all(context: &mut BenchContext) -> Result<()> {
    context.results.part = "preparing";
    let models = models::prepare(context)?;
    let mut trainings = Trainings::default();
    for suite in context.options.suites() {
        context.results.part = suite.name();
        match suite {
            Suite::Train => train::speed(context, &mut trainings, &models),
            Suite::StartUp => train::start_up(context, &mut trainings, &models),
            Suite::Memory => train::memory(context, &mut trainings, &models),
            Suite::Inference => inference::measure(context, &models),
            Suite::Tokenize => tokenize::measure(context, &models),
            Suite::Scaling => scaling::measure(context)?,
            Suite::Processes => processes::measure(context, &models)?,
        }
    }
    Ok(())
}

/// Prints the table, and writes the JSON file into our folder and to `--json`.
fn show(context: &BenchContext, machine: &Machine) -> Result<()> {
    let BenchContext { options, results, threads, .. } = context;
    let now = Utc::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let record = BenchReport {
        format: 1,
        date: now.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        command: format!("cargo xtask bench {}", arguments.join(" ")).trim_end().to_owned(),
        commit: output_of("git", &["describe", "--always", "--dirty"]),
        machine,
        device: options.device,
        threads: *threads,
        rounds: options.rounds(),
        quick: options.quick,
        versions: Versions {
            rustc: output_of("rustc", &["--version"]),
            libtorch: std::env::var("VERDICT_LIBTORCH_VERSION").ok(),
            peers: context.peers.as_ref().map(|peers| &peers.versions),
        },
        results,
    };
    println!("{}\n{}, {threads} threads, {}\n", record.date, machine.line(), options.device.name());
    println!("{}", table::render(&results.rows));
    results.more.iter().for_each(|more| println!("{more}"));
    println!("{}", time_spent::render(&results.processes));
    results.notes.iter().for_each(|note| println!("note: {note}"));
    let text = serde_json::to_string_pretty(&record)? + "\n";
    let ours = context.folder.join(format!("{}.json", now.format("%Y%m%d%H%M%S")));
    for path in [Some(&ours), options.json.as_ref()].into_iter().flatten() {
        disk::write_atomic(path, &text)?;
        eprintln!("bench: wrote {}", path.display());
    }
    Ok(())
}

//! `cargo xtask bench`: this project against its Python peers, in turn, on the same data and machine.
//!
//! A suite starts processes, ours and theirs one after the other for as many rounds as asked, and turns what they report
//! into [`results::Row`]s. Everything that is measured is a whole process as a person would start it; what of its time
//! counts is said in each suite. Where a peer can't be had, ours is measured alone, and that is said.

mod inference;
mod log;
mod machine;
mod material;
mod memory;
mod models;
mod options;
mod peers;
mod process;
mod results;
mod scaling;
mod start_up;
mod statistics;
mod table;
mod tokenize;
mod train;
mod trainings;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::command::{self, output_of, shown};
use crate::libtorch::Variant;
use crate::{product, setup};
use machine::Machine;
use material::Material;
use options::{Device, HELP, Options, Suite};
use peers::Peers;
use process::Finished;
use results::Results;
use trainings::Trainings;

/// Everything that a benchmark makes, besides the peers.
const FOLDER: &str = "target/bench";

/// What all suites stand on.
struct Ground {
    options: Options,
    threads: usize,
    folder: PathBuf,
    verdict: PathBuf,
    peers: Option<Peers>,
    material: Material,
}

impl Ground {
    /// Our program with the number of threads that both sides get.
    fn verdict(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.verdict);
        let threads = self.threads.to_string();
        command.args(words).env("OMP_NUM_THREADS", &threads).env("RAYON_NUM_THREADS", &threads);
        command
    }

    /// Runs a process, tells about it, and keeps what it did. `log` is the training log to watch.
    fn measure(&self, results: &mut Results, what: &str, mut command: Command, log: Option<&Path>) -> Result<Finished> {
        eprint!("bench: {what} ...");
        let finished = process::run(&mut command, log, &self.folder);
        match &finished {
            Ok(finished) => {
                eprintln!(" {:.1} s", finished.seconds);
                results.keep(what, &command, finished);
            }
            Err(_) => eprintln!(" failed"),
        }
        finished.with_context(|| what.to_owned())
    }

    /// A fresh place for a run.
    fn run_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("runs").join(name);
        remove(&folder)?;
        Ok(folder)
    }
}

/// Runs the task.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    let chosen_peers = std::env::var_os("VERDICT_PEERS").filter(|value| !value.is_empty());
    let chosen_peers = chosen_peers.map(std::path::absolute).transpose()?;
    std::env::set_current_dir(command::root()).context("could not enter the checkout")?;
    let treebank = material::treebank(options.data.as_deref())?;
    let libtorch = setup::ensure((options.device == Device::Cuda).then_some(Variant::Cuda))?;
    let verdict = build(product::EVALUATE.build(&libtorch.folder), "verdict")?;

    let mut results = Results::default();
    let peers = Peers::find(chosen_peers.as_deref());
    let peers = peers.map_err(|error| results.note(format!("NO PEERS, so ours is measured alone: {error:#}"))).ok();
    let machine = Machine::look(options.device);
    let threads = options.threads.unwrap_or(machine.cores);
    let folder = PathBuf::from(FOLDER);
    let material = Material::make(&treebank, &folder.join("data"))?;
    let ground = Ground { options, threads, folder, verdict, peers, material };

    let begin = Instant::now();
    measure_all(&ground, &mut results)?;
    remove(&ground.folder.join("runs"))?;
    let circumstances = circumstances(&ground, &machine, &libtorch.version, arguments)?;
    let head = format!("{}, {threads} threads, {}", machine.line(), ground.options.device.name());
    println!("{}\n{head}\n\n{}", circumstances["date"].as_str().unwrap_or_default(), table::render(&results.rows));
    results.more.iter().for_each(|more| println!("{more}"));
    results.notes.iter().for_each(|note| println!("note: {note}"));
    let failed = results.failed;
    keep(&ground, &results.to_json(circumstances))?;
    eprintln!("bench: measured for {:.0} s", begin.elapsed().as_secs_f64());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure_all(ground: &Ground, results: &mut Results) -> Result<()> {
    let models = models::prepare(ground, results)?;
    let mut trainings = Trainings::default();
    for suite in &ground.options.suites {
        match suite {
            Suite::Train => train::measure(ground, results, &mut trainings, &models),
            Suite::StartUp => start_up::measure(ground, results, &mut trainings, &models),
            Suite::Memory => memory::measure(ground, results, &mut trainings, &models),
            Suite::Inference => inference::measure(ground, results, &models),
            Suite::Tokenize => tokenize::measure(ground, results, &models),
            Suite::Scaling => scaling::measure(ground, results),
        }
    }
    Ok(())
}

/// Builds a target and says where its program lies.
fn build(mut cargo: Command, name: &str) -> Result<PathBuf> {
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    eprintln!("bench: {}", shown(&cargo));
    let output = cargo.output().with_context(|| format!("could not start `{}`", shown(&cargo)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", shown(&cargo), output.status);
    }
    command::built_program(&String::from_utf8_lossy(&output.stdout), name)
        .with_context(|| format!("`{}` named no program {name}", shown(&cargo)))
}

/// When, where and with what was measured.
fn circumstances(ground: &Ground, machine: &Machine, libtorch: &str, arguments: &[String]) -> Result<Value> {
    let date = output_of("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]).context("could not ask `date` for the time")?;
    let commit = output_of("git", &["describe", "--always", "--dirty"]);
    Ok(json!({
        "date": date,
        "command": format!("cargo xtask bench {}", arguments.join(" ")).trim_end(),
        "commit": commit,
        "machine": machine.to_json(),
        "device": ground.options.device.name(),
        "threads": ground.threads,
        "rounds": ground.options.rounds,
        "quick": ground.options.quick,
        "versions": {
            "rustc": output_of("rustc", &["--version"]),
            "libtorch": libtorch,
            "peers": ground.peers.as_ref().map(|peers| &peers.versions),
        },
    }))
}

/// Writes the JSON file into our folder, and where else it was asked for.
fn keep(ground: &Ground, json: &Value) -> Result<()> {
    let time: String = json["date"].as_str().unwrap_or_default().chars().filter(|c| c.is_ascii_digit()).collect();
    let text = serde_json::to_string_pretty(json)? + "\n";
    for path in [Some(ground.folder.join(format!("{time}.json"))), ground.options.json.clone()].into_iter().flatten() {
        std::fs::write(&path, &text).with_context(|| format!("could not write {}", path.display()))?;
        eprintln!("bench: wrote {}", path.display());
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

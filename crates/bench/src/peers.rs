//! The Python side: a virtual environment with pinned versions, and the scripts in `peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::process::shown;

const SCRIPTS: &str = "crates/bench/peers";
const REQUIREMENTS: &str = "crates/bench/peers/requirements.txt";
const VENV: &str = "target/peers/venv";
/// Left in the environment once it is complete: the requirements that it holds.
const RECORD: &str = "requirements.txt";
/// PyTorch with its CUDA libraries, and pip's downloads while they are unpacked.
const BYTES: u64 = 10_000_000_000;

/// Imports what the comparisons stand on, and says which versions there are of everything else. It also brings all of
/// it into the page cache, so that the first measured start isn't slower than the others.
const VERSIONS: &str = "\
import importlib.metadata, json, torch, transformers, accelerate
from transformers import BertForSequenceClassification, Trainer
names = ['torch', 'transformers', 'accelerate', 'tokenizers', 'onnx', 'onnxruntime', 'scikit-learn', 'numpy']
found = {}
for name in names:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))";

/// A Python that has the peers.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    python: PathBuf,
    /// Version of each package that is there.
    pub versions: Map<String, Value>,
}

impl Peers {
    /// The environment that was chosen, else our own, which is made where there is none. The current folder is the
    /// checkout's.
    ///
    /// # Errors
    /// Why the peers are not available.
    pub(crate) fn find(chosen: Option<&Path>) -> Result<Peers> {
        let python = match chosen {
            Some(folder) => folder.join("bin/python"),
            None => own()?,
        };
        if !python.is_file() {
            bail!("VERDICT_PEERS: there is no {} (hint: name a virtual environment)", python.display());
        }
        eprintln!("bench: importing the peers");
        let output = Command::new(&python).args(["-c", VERSIONS]).output();
        let output = output.with_context(|| format!("could not start {}", python.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} lacks a peer: {}", python.display(), said.trim().lines().last().unwrap_or_default());
        }
        let versions = serde_json::from_slice(&output.stdout).context("the peers' versions are not JSON")?;
        Ok(Peers { python, versions })
    }

    /// A command that runs one of our scripts.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(SCRIPTS).join(name));
        command
    }

    /// Whether a package is there.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.versions.contains_key(package)
    }
}

/// Our own environment's Python; installs what the requirements ask for unless that is there.
fn own() -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(REQUIREMENTS).with_context(|| format!("could not read {REQUIREMENTS}"))?;
    let venv = Path::new(VENV);
    let (python, record) = (venv.join("bin/python"), venv.join(RECORD));
    if std::fs::read_to_string(&record).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    disk::create_folder_all(venv)?;
    if let Some(free) = disk::free_bytes(venv).ok().filter(|free| *free < BYTES) {
        let [free, needed] = [free, BYTES].map(disk::human_bytes);
        bail!("{free} are free and the peers need {needed} (hint: VERDICT_PEERS=DIR names an environment)");
    }
    eprintln!("bench: installing the peers into {VENV} (once; 3 GB to download)");
    let interpreter = std::env::var_os("VERDICT_PYTHON").filter(|value| !value.is_empty());
    let mut make = Command::new(interpreter.unwrap_or_else(|| "python3".into()));
    must_succeed(make.args(["-m", "venv", "--clear", VENV]).stdout(std::io::stderr()))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]);
    must_succeed(install.stdout(std::io::stderr()))?;
    disk::write_atomic(&record, wanted)?;
    Ok(python)
}

fn must_succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

//! The Python side: a virtual environment with pinned versions, and the scripts in `peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::process::shown;

const SCRIPTS: &str = "crates/bench/peers";
const REQUIREMENTS: &str = "crates/bench/peers/requirements.txt";
const VENV: &str = "target/peers/venv";
/// The file in a complete environment with its requirements.
const RECORD: &str = "requirements.txt";
/// The space for PyTorch with its CUDA libraries and for pip's downloads.
const BYTES: u64 = 10_000_000_000;

/// Imports the required packages and prints the versions of all. It also brings them into the page cache, so that the
/// first measured start isn't slower than the others.
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

/// A Python with the peers installed.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    python: PathBuf,
    /// The versions of the installed packages.
    pub versions: Map<String, Value>,
}

impl Peers {
    /// The chosen environment, or our own, which is created if it is missing. The current folder must be the checkout.
    pub(crate) fn find(chosen: Option<&Path>) -> Result<Peers> {
        let python = match chosen {
            Some(folder) => folder.join("bin/python"),
            None => own()?,
        };
        if !python.is_file() {
            bail!(
                "VERDICT_PEERS: {} does not exist (hint: give the folder of a virtual environment)",
                python.display()
            );
        }
        eprintln!("bench: importing the Python packages of the peers");
        let output = Command::new(&python).args(["-c", VERSIONS]).output();
        let output = output.with_context(|| format!("failed to start {}", python.display()))?;
        if !output.status.success() {
            let output = String::from_utf8_lossy(&output.stderr);
            bail!("{} lacks a peer: {}", python.display(), output.trim().lines().last().unwrap_or_default());
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

    /// A command that runs one of our scripts in several processes on this machine, which meet at this port.
    pub(crate) fn script_in_processes(&self, name: &str, processes: usize, port: u16) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", "torch.distributed.run", "--nproc-per-node", &processes.to_string()]);
        // Without `--`, flags of the script are taken for its own.
        command.args(["--master-addr", "127.0.0.1", "--master-port", &port.to_string(), "--"]);
        command.arg(Path::new(SCRIPTS).join(name));
        command
    }

    /// Whether a package is installed.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.versions.contains_key(package)
    }
}

/// Our own environment's Python; installs the requirements unless they are installed.
fn own() -> Result<PathBuf> {
    let requirements =
        std::fs::read_to_string(REQUIREMENTS).with_context(|| format!("failed to read {REQUIREMENTS}"))?;
    let venv = Path::new(VENV);
    let (python, record) = (venv.join("bin/python"), venv.join(RECORD));
    if std::fs::read_to_string(&record).is_ok_and(|found| found == requirements) {
        return Ok(python);
    }
    disk::create_folder_all(venv)?;
    if let Some(free) = disk::free_bytes(venv).ok().filter(|free| *free < BYTES) {
        let [free, needed] = [free, BYTES].map(disk::human_bytes);
        bail!(
            "expected {needed} of free disk space for the peers, found {free} (hint: VERDICT_PEERS=DIR names an environment)"
        );
    }
    eprintln!("bench: installing the peers into {VENV} (once; 3 GB to download)");
    let interpreter = std::env::var_os("VERDICT_PYTHON").filter(|value| !value.is_empty());
    let mut make = Command::new(interpreter.unwrap_or_else(|| "python3".into()));
    must_succeed(make.args(["-m", "venv", "--clear", VENV]).stdout(std::io::stderr()))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]);
    must_succeed(install.stdout(std::io::stderr()))?;
    disk::write_atomic(&record, requirements)?;
    Ok(python)
}

fn must_succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

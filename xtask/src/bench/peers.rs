//! The Python side: a virtual environment with pinned versions, and the scripts in `xtask/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::command::must_succeed;
use crate::download::free_gigabytes;

const SCRIPTS: &str = "xtask/peers";
const REQUIREMENTS: &str = "xtask/peers/requirements.txt";
const VENV: &str = "target/peers/venv";
/// Left in the environment once it is complete: the requirements that it holds.
const RECORD: &str = "requirements.txt";
/// PyTorch with its CUDA libraries, and pip's downloads while they are unpacked.
const GIGABYTES: f64 = 10.0;

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
pub struct Peers {
    python: PathBuf,
    /// Version of each package that is there.
    pub versions: Map<String, Value>,
}

impl Peers {
    /// The environment that was chosen, else our own, which is made where there is none. The current folder is the
    /// checkout's.
    ///
    /// # Errors
    /// Why the peers can't be had.
    pub fn find(chosen: Option<&Path>) -> Result<Peers> {
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
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(SCRIPTS).join(name));
        command
    }

    /// Whether a package is there.
    pub fn has(&self, package: &str) -> bool {
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
    std::fs::create_dir_all(venv).with_context(|| format!("could not create {VENV}"))?;
    if let Some(free) = free_gigabytes(venv).filter(|free| *free < GIGABYTES) {
        bail!("{free:.1} GB are free and the peers need {GIGABYTES} (hint: VERDICT_PEERS=DIR names an environment)");
    }
    eprintln!("bench: installing the peers into {VENV} (once; 3 GB to download)");
    let interpreter = std::env::var_os("VERDICT_PYTHON").filter(|value| !value.is_empty());
    let mut make = Command::new(interpreter.unwrap_or_else(|| "python3".into()));
    must_succeed(make.args(["-m", "venv", "--clear", VENV]).stdout(std::io::stderr()))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]);
    must_succeed(install.stdout(std::io::stderr()))?;
    std::fs::write(&record, wanted).with_context(|| format!("could not write {}", record.display()))?;
    Ok(python)
}

//! Explanations of the served run. They need its weights in fp32 and in the order that gradients are computed from, whatever
//! format the server answers in, so they are loaded a second time, when they are first asked for.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ::explain::{ExplainError, ExplainOptions, Explainer, PathSteps};
use ::serve::TextExplainer;
use anyhow::{Result, bail};
use judge::Explanation;
use model::MODEL_SAFETENSORS;
use tch::Device;

/// A pass takes as long as some hundred tokens that are labeled, and an answer comes within seconds.
const STEPS: PathSteps = PathSteps { first: 16, most: 128, tokens_per_pass: 256 };

/// Where the served run is, and which weights it had when the server started.
#[derive(Debug)]
pub(super) struct ExplainedRun {
    run: PathBuf,
    device: Device,
    /// Of the file with the weights; `None` where it can't be read.
    weights: Option<FileState>,
}

/// Tells a file from another one of the same name.
#[derive(Debug, PartialEq, Eq)]
struct FileState {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl FileState {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl ExplainedRun {
    /// To be called before the run is opened.
    pub(super) fn new(run: &Path, device: Device) -> Self {
        Self { run: run.to_owned(), device, weights: FileState::of(&run.join(MODEL_SAFETENSORS)) }
    }

    /// # Errors
    /// Weights that are not those that are served; those of [`Explainer::open`].
    pub(super) fn open(&self) -> Result<ServedExplainer> {
        let explainer = Explainer::open(&self.run, self.device)?;
        // Compared afterwards, because the file may change while it is read.
        let path = self.run.join(MODEL_SAFETENSORS);
        if self.weights.is_none() || FileState::of(&path) != self.weights {
            bail!(
                "{} has changed since the server started, so it explains nothing (hint: start it again)",
                path.display()
            );
        }
        Ok(ServedExplainer(explainer))
    }
}

/// The explainer of a run, as the server calls it.
pub(super) struct ServedExplainer(Explainer);

impl TextExplainer for ServedExplainer {
    fn explain(
        &mut self,
        text: &str,
        class: Option<usize>,
        pause: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Explanation>, Box<dyn Error + Send + Sync>> {
        let options = ExplainOptions { steps: STEPS, leave_one_out: true };
        match self.0.explain_with_pauses(text, class, &options, pause) {
            Ok(explanation) => Ok(Some(explanation)),
            Err(ExplainError::GivenUp) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

//! What is measured of one training, ours or theirs.

use crate::process::Finished;
use crate::timing::Timing;

/// A measured training.
#[derive(Debug, Clone)]
pub(crate) struct Training {
    pub timing: Timing,
    /// The number format that it computed in.
    pub format: String,
    pub first_step: Option<f64>,
    /// With the checkpoint at its end.
    pub peak_mib: Option<f64>,
    /// Only theirs.
    pub peak_before_saving_mib: Option<f64>,
}

impl Training {
    /// With what the process was observed to need; prints it.
    pub(crate) fn measured(timing: Timing, format: String, finished: &Finished) -> Training {
        let Finished { first_step, peak_mib, .. } = *finished;
        eprintln!(
            "       {:.1} samples/s, {:.0} tokens/s, {format}, first step after {:.2} s, {:.0} MiB",
            timing.samples_per_second,
            timing.tokens_per_second,
            first_step.unwrap_or(f64::NAN),
            peak_mib.unwrap_or(f64::NAN)
        );
        Training { timing, format, first_step, peak_mib, peak_before_saving_mib: None }
    }
}

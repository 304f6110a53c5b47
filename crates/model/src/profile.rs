//! Where a step's time goes, by phase.
//!
//! When profiling is off, a timer only reads a thread-local flag. On a GPU, where calls only launch operations, each
//! timer synchronizes with the device: the times of the phases are right, but the step is slower.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// The phases of a training step that are timed. They don't cover all of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Products with weights, forward and backward.
    Gemm,
    /// Attention, its softmax and dropout within.
    Attention,
    /// Layer norms, with the residual sums and dropout around them.
    Normalization,
    /// Activations of the feed-forward layers.
    Activation,
    /// Look-ups in embedding tables and their gradients.
    Embeddings,
    Biases,
    Loss,
    /// The gradients' norm and the update of the weights.
    Optimizer,
    Data,
    /// Waiting for the sums over several processes.
    Communication,
}

/// The names of all phases in tables and files, in the order of [`Phase`].
pub const PHASES: [&str; 10] = [
    "gemm",
    "attention",
    "normalization",
    "activation",
    "embeddings",
    "biases",
    "loss",
    "optimizer",
    "data",
    "communication",
];

/// The time of each phase, in the order of [`PHASES`].
pub type PhaseTimes = [Duration; PHASES.len()];

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static TOTALS: RefCell<PhaseTimes> = const { RefCell::new([Duration::ZERO; PHASES.len()]) };
}

/// Starts timing phases on this thread, from zero.
pub fn start() {
    TOTALS.take();
    ON.set(true);
}

/// The time of each phase on this thread since [`start`], or since the last call of `take`.
pub fn take() -> PhaseTimes {
    TOTALS.take()
}

/// Runs `work` and adds its time to a phase, if profiling is on in this thread. Timers must not be nested: the inner
/// time would count twice.
pub fn timed<R>(phase: Phase, work: impl FnOnce() -> R) -> R {
    if !ON.get() {
        return work();
    }
    let began = Instant::now();
    let result = work();
    if tch::Cuda::is_available() {
        tch::Cuda::synchronize(0);
    }
    TOTALS.with_borrow_mut(|totals| totals[phase as usize] += began.elapsed());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_its_phase_once_timing_has_begun() {
        let nap = || std::thread::sleep(Duration::from_millis(3));
        timed(Phase::Data, nap);
        start();
        timed(Phase::Loss, nap);
        let times = take();
        for (name, time) in PHASES.iter().zip(times) {
            assert_eq!(time >= Duration::from_millis(3), *name == "loss", "{name}");
        }
        assert!(take().iter().all(Duration::is_zero));
        ON.set(false);
    }
}

//! Where a step's time goes, by phase.
//!
//! Off, a timer costs a look at a thread's flag. On a GPU, where operations are only begun by the calls that are timed,
//! each timer waits for the device: the phases are right, and the step is slower than without them.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// What the time of a training step goes into. What belongs to none of these is the rest of the step.
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
}

/// The names of all phases in tables and files, in the order of [`Phase`].
pub const PHASES: [&str; 9] =
    ["gemm", "attention", "normalisation", "activation", "embeddings", "biases", "loss", "optimizer", "data"];

/// The time of each phase, in the order of [`PHASES`].
pub type PhaseTimes = [Duration; PHASES.len()];

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static TOTALS: RefCell<PhaseTimes> = const { RefCell::new([Duration::ZERO; PHASES.len()]) };
}

/// Begins to time phases on this thread, from zero.
pub fn start() {
    TOTALS.take();
    ON.set(true);
}

/// The time of each phase on this thread since [`start`], or since this was last asked.
pub fn take() -> PhaseTimes {
    TOTALS.take()
}

/// Runs `work` and adds its time to a phase, if this thread times phases. Timers don't nest: a phase inside of another
/// would count twice.
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

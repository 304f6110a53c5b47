//! Where a step's time goes, by phase.
//!
//! Off, a timer costs a look at a thread's flag. On a GPU, where operations are only begun by the calls that are timed,
//! each timer waits for the device: the phases are right, and the step is slower than without them.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// What the time of a training step goes into. What belongs to none of these is the rest of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Gradients of biases.
    Biases,
    /// The loss.
    Loss,
    /// The gradients' norm and the update of the weights.
    Optimizer,
    /// Making batches.
    Data,
}

impl Phase {
    /// All of them, in the order of this list.
    pub const ALL: [Phase; 9] = [
        Phase::Gemm,
        Phase::Attention,
        Phase::Normalization,
        Phase::Activation,
        Phase::Embeddings,
        Phase::Biases,
        Phase::Loss,
        Phase::Optimizer,
        Phase::Data,
    ];

    /// The name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Gemm => "gemm",
            Phase::Attention => "attention",
            Phase::Normalization => "normalisation",
            Phase::Activation => "activation",
            Phase::Embeddings => "embeddings",
            Phase::Biases => "biases",
            Phase::Loss => "loss",
            Phase::Optimizer => "optimizer",
            Phase::Data => "data",
        }
    }
}

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static TOTALS: RefCell<[Duration; Phase::ALL.len()]> = const { RefCell::new([Duration::ZERO; Phase::ALL.len()]) };
}

/// Begins to time phases on this thread, from zero.
pub fn start() {
    TOTALS.take();
    ON.set(true);
}

/// The time of each phase on this thread since [`start`], or since this was last asked.
pub fn take() -> [(Phase, Duration); Phase::ALL.len()] {
    let totals = TOTALS.take();
    Phase::ALL.map(|phase| (phase, totals[phase as usize]))
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
        for (phase, time) in times {
            assert_eq!(time >= Duration::from_millis(3), phase == Phase::Loss, "{phase:?}");
        }
        assert!(take().iter().all(|(_, time)| time.is_zero()));
        ON.set(false);
    }
}

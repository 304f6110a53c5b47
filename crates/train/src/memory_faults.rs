//! Too little memory, simulated in tests: chosen requests of training fail with libtorch's own error.

use std::cell::Cell;

use tch::{TchError, Tensor};

/// What asks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The pass that computes the gradients of a step.
    Gradients,
    /// The norm of the gradients.
    Norm,
    /// The update of one parameter.
    Update,
    /// A forward pass of an evaluation.
    Evaluation,
}

/// Which requests fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryFault {
    pub(crate) place: Place,
    /// Requests that succeed before the first one that may fail.
    pub(crate) skip: usize,
    /// How many fail at most.
    pub(crate) times: usize,
    /// Requests for this many examples or fewer succeed.
    pub(crate) fit: Option<usize>,
}

impl MemoryFault {
    /// Memory for that many examples at a time.
    pub(crate) fn larger_than(place: Place, fit: usize) -> Self {
        Self { place, skip: 0, times: usize::MAX, fit: Some(fit) }
    }

    /// The first request after `skip` others fails.
    pub(crate) fn once(place: Place, skip: usize) -> Self {
        Self { place, skip, times: 1, fit: None }
    }

    /// Every request after the first `skip` fails.
    pub(crate) fn always(place: Place, skip: usize) -> Self {
        Self { times: usize::MAX, ..Self::once(place, skip) }
    }
}

thread_local! {
    static FAULT: Cell<Option<MemoryFault>> = const { Cell::new(None) };
}

/// Runs `test` with a fault. The second value is whether it happened.
pub(crate) fn with<T>(fault: MemoryFault, test: impl FnOnce() -> T) -> (T, bool) {
    FAULT.set(Some(fault));
    let result = test();
    let happened = FAULT.take().is_some_and(|left| left.times < fault.times);
    (result, happened)
}

/// A request for memory, for a batch of that many examples or for no batch.
pub(crate) fn allocate(place: Place, examples: usize) -> Result<(), TchError> {
    let Some(fault) = FAULT.get().filter(|fault| fault.place == place) else { return Ok(()) };
    if fault.fit.is_some_and(|fit| examples <= fit) || fault.times == 0 {
        return Ok(());
    }
    if fault.skip > 0 {
        FAULT.set(Some(MemoryFault { skip: fault.skip - 1, ..fault }));
        return Ok(());
    }
    FAULT.set(Some(MemoryFault { times: fault.times - 1, ..fault }));
    // More than any machine has.
    let (size, options) = ([1 << 60], tch::kind::FLOAT_CPU);
    match place {
        // As the model's passes do, which use tch's infallible methods.
        Place::Gradients | Place::Evaluation => drop(Tensor::empty(size, options)),
        Place::Norm | Place::Update => drop(Tensor::f_empty(size, options)?),
    }
    Ok(())
}

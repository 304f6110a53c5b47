//! A GPU without memory for a pass, told apart from everything else that can go wrong, and smaller micro-batches.
//!
//! tch reports what libtorch throws as an error from its fallible methods and as a panic with the same text from the
//! others, which the model's passes use. Both are one outcome here: no result, and nothing changed, because a pass only
//! reads the weights. What it had allocated is free again when it has unwound.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use model::ModelError;
use tch::TchError;

use crate::error::{Result, TrainError};

/// How libtorch's allocator, CUDA itself and cuBLAS say that the GPU's memory doesn't suffice.
const SIGNS: [&str; 3] = ["CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"];

/// The result of `pass`, or `None` where the GPU's memory didn't suffice for it. Any other panic goes on.
///
/// # Errors
/// What `pass` returns, unless it is that.
pub fn catch<T>(pass: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    keep_quiet_when_caught();
    // The caller throws away what a pass that failed was given, or gives it whole to the next attempt.
    let caught = {
        let _catching = Catching::begin();
        panic::catch_unwind(AssertUnwindSafe(pass))
    };
    match caught {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if is_out_of_memory(&error) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(payload) if message(payload.as_ref()).is_some_and(says_so) => Ok(None),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Cuts each micro-batch into `parts` of like size, one after another, so that the rows of a step and their order stay.
/// A micro-batch of fewer rows than that is cut into single rows.
///
/// # Panics
/// If `parts` is 0.
pub fn split(micro_batches: &[Vec<usize>], parts: usize) -> Vec<Vec<usize>> {
    assert!(parts > 0, "a micro-batch can't be cut into no parts");
    let cut = |rows: &Vec<usize>| -> Vec<Vec<usize>> {
        let parts = parts.min(rows.len());
        let bound = |part: usize| part * rows.len() / parts;
        (0..parts).map(|part| rows[bound(part)..bound(part + 1)].to_vec()).collect()
    };
    micro_batches.iter().flat_map(cut).collect()
}

fn is_out_of_memory(error: &TrainError) -> bool {
    match error {
        TrainError::Torch(TchError::Torch(text)) => says_so(text),
        TrainError::Model(ModelError::Torch(TchError::Torch(text))) => says_so(text),
        _ => false,
    }
}

fn says_so(text: &str) -> bool {
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// The text of a panic.
fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied())
}

thread_local! {
    /// Whether this thread is inside of [`catch`].
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread until it is dropped.
struct Catching {
    before: bool,
}

impl Catching {
    fn begin() -> Self {
        Self { before: CATCHING.replace(true) }
    }
}

impl Drop for Catching {
    fn drop(&mut self) {
        CATCHING.set(self.before);
    }
}

/// Nobody wants to read of a panic that is dealt with. Every other one is reported as before.
fn keep_quiet_when_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let dealt_with = CATCHING.get() && message(panic.payload()).is_some_and(says_so);
            if !dealt_with {
                report(panic);
            }
        }));
    });
}

#[cfg(test)]
thread_local! {
    /// How many examples fit into the GPU that a test plays.
    static ROOM: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs `test` on a GPU with room for that many examples.
#[cfg(test)]
pub(crate) fn pretend<T>(examples: usize, test: impl FnOnce() -> T) -> T {
    ROOM.set(examples);
    let result = test();
    ROOM.set(usize::MAX);
    result
}

/// Fails as libtorch does where a micro-batch has no room.
#[cfg(test)]
pub(crate) fn refuse(micro_batches: &[Vec<usize>]) -> Result<()> {
    if micro_batches.iter().any(|rows| rows.len() > ROOM.get()) {
        return Err(TrainError::Torch(TchError::Torch("CUDA out of memory. Tried to allocate 2.00 GiB".to_owned())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libtorch 2.11 words it.
    const TEXT: &str = "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 23.68 GiB of which \
                        1.10 GiB is free.";

    fn torch(text: &str) -> TchError {
        TchError::Torch(text.to_owned())
    }

    /// What tch's infallible methods do with the result of the fallible ones.
    fn infallibly(result: Result<u32, TchError>) -> Result<u32> {
        Ok(result.unwrap())
    }

    #[test]
    fn a_result_is_handed_on() {
        assert_eq!(catch(|| Ok(7)).unwrap(), Some(7));
    }

    #[test]
    fn out_of_memory_is_no_result_as_error_and_as_panic() {
        for text in [
            TEXT,
            "CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ] {
            assert_eq!(catch::<u32>(|| Err(torch(text).into())).unwrap(), None);
            assert_eq!(catch::<u32>(|| Err(ModelError::from(torch(text)).into())).unwrap(), None);
            assert_eq!(catch(|| infallibly(Err(torch(text)))).unwrap(), None);
        }
    }

    #[test]
    fn other_errors_stay_errors() {
        let error = catch::<u32>(|| Err(torch("mat1 and mat2 shapes cannot be multiplied").into())).unwrap_err();
        assert!(error.to_string().contains("mat1"), "{error}");
        let named = || Err(TrainError::io("read", "CUDA out of memory")(std::io::ErrorKind::NotFound.into()));
        assert!(catch::<u32>(named).is_err(), "a file's name says nothing of memory");
    }

    #[test]
    fn other_panics_go_on_as_they_were() {
        for error in [torch("CUDA error: device-side assert triggered"), TchError::Kind("out of memory".to_owned())] {
            let expected = format!("{error:?}");
            let fails = AssertUnwindSafe(|| catch(|| infallibly(Err(error))));
            let payload = panic::catch_unwind(fails).unwrap_err();
            let text = message(payload.as_ref()).expect("a text");
            assert!(text.contains(&expected), "{text}");
        }
        assert!(!CATCHING.get(), "the mark is gone when a panic has passed through");
        let payload = panic::catch_unwind(|| catch::<u32>(|| panic::panic_any(17))).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&17));
    }

    #[test]
    fn libtorchs_own_panics_are_read_as_tch_makes_them() {
        let payload = panic::catch_unwind(|| {
            catch(|| {
                Ok(tch::Tensor::zeros([2, 3], tch::kind::FLOAT_CPU)
                    .mm(&tch::Tensor::zeros([2, 3], tch::kind::FLOAT_CPU)))
            })
        })
        .unwrap_err();
        let text = message(payload.as_ref()).expect("tch panics with a text");
        assert!(text.contains("mat1 and mat2"), "{text}");
    }

    #[test]
    fn literal_parts() {
        let step = [vec![5, 1, 9, 6, 7], vec![2, 4]];
        assert_eq!(split(&step, 1), step);
        assert_eq!(split(&step, 2), [vec![5, 1], vec![9, 6, 7], vec![2], vec![4]]);
        assert_eq!(split(&step, 100), [[5], [1], [9], [6], [7], [2], [4]]);
        assert!(split(&[], 2).is_empty() && split(&[Vec::new()], 2).is_empty());
    }

    #[test]
    fn rows_and_order_stay_and_parts_are_alike() {
        for (sizes, parts) in (0..40).flat_map(|size| (1..50).map(move |parts| ([size, 16, 3], parts))) {
            let step = sizes.map(|size| (0..size).map(|row| row * 7 % 41).collect::<Vec<usize>>());
            let split = split(&step, parts);
            assert_eq!(split.concat(), step.concat());
            let most = step.iter().map(|rows| rows.len().div_ceil(parts)).max().unwrap_or(0);
            assert!(split.iter().all(|part| !part.is_empty() && part.len() <= most), "{sizes:?} in {parts}: {split:?}");
            assert_eq!(split.len(), sizes.map(|size| size.min(parts)).iter().sum::<usize>());
        }
    }
}

//! Detects that an operation failed because memory was too small: the GPU's, or on a CPU the host's.
//!
//! tch reports what libtorch throws as an error from its fallible methods and as a panic with the same text from the
//! others, which the model's passes use. Both are handled the same way here: there is no result. Unwinding frees what
//! the operation had allocated. Whether it may be tried again is up to the caller: a pass only reads the weights, so
//! nothing has changed; an update must allocate before it changes anything.
//!
//! Linux usually grants a process more memory than there is and ends it without a message when it is used; only a limit
//! on address space or strict accounting makes an allocation on a CPU fail.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use tch::TchError;

/// The messages of libtorch's allocators, CUDA and cuBLAS when memory is too small.
const OUT_OF_MEMORY_MESSAGES: [&str; 4] = [
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
];

/// The result of `operation`, or `None` if memory was too small. Any other panic continues to unwind.
///
/// # Errors
/// What `operation` returns, unless libtorch's out-of-memory error is its cause.
pub fn catch_out_of_memory<T, E: Error + 'static>(operation: impl FnOnce() -> Result<T, E>) -> Result<Option<T>, E> {
    install_panic_hook();
    // Unwind safety: after a failed operation the caller discards its arguments, or reuses them unchanged in the next
    // attempt.
    let before = CATCHING.replace(true);
    let caught = panic::catch_unwind(AssertUnwindSafe(operation));
    CATCHING.set(before);
    match caught {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if is_caused_by_out_of_memory(&error) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(payload) if message(payload.as_ref()).is_some_and(is_out_of_memory) => Ok(None),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Whether an error is libtorch's about memory, or is caused by it.
fn is_caused_by_out_of_memory(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(TchError::Torch(text)) if is_out_of_memory(text)) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_out_of_memory(text: &str) -> bool {
    OUT_OF_MEMORY_MESSAGES.iter().any(|known| text.contains(known))
}

/// The text of a panic.
fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied())
}

thread_local! {
    /// Whether this thread is inside of [`catch_out_of_memory`].
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses the report of a panic that is handled. Every other panic is reported as before.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous_hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let is_handled = CATCHING.get() && message(panic.payload()).is_some_and(is_out_of_memory);
            if !is_handled {
                previous_hook(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ModelError;

    /// The message of libtorch 2.11.
    const TEXT: &str = "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 23.68 GiB of which \
                        1.10 GiB is free.";

    fn torch(text: &str) -> TchError {
        TchError::Torch(text.to_owned())
    }

    /// What tch's infallible methods do with the result of the fallible ones.
    fn unwrap_like_tch(result: Result<u32, TchError>) -> Result<u32, ModelError> {
        Ok(result.unwrap())
    }

    #[test]
    fn a_result_is_returned() {
        assert_eq!(catch_out_of_memory::<_, ModelError>(|| Ok(7)).unwrap(), Some(7));
    }

    #[test]
    fn out_of_memory_errors_and_panics_return_none() {
        for text in [
            TEXT,
            "CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ] {
            assert_eq!(catch_out_of_memory::<u32, ModelError>(|| Err(torch(text).into())).unwrap(), None);
            assert_eq!(catch_out_of_memory::<u32, TchError>(|| Err(torch(text))).unwrap(), None);
            assert_eq!(catch_out_of_memory(|| unwrap_like_tch(Err(torch(text)))).unwrap(), None);
        }
    }

    #[test]
    fn other_errors_stay_errors() {
        let refused = || Err(torch("mat1 and mat2 shapes cannot be multiplied").into());
        let error = catch_out_of_memory::<u32, ModelError>(refused).unwrap_err();
        assert!(error.to_string().contains("mat1"), "{error}");
        let source = std::io::ErrorKind::NotFound.into();
        let named = || Err(ModelError::Io { path: "CUDA out of memory".into(), source });
        assert!(catch_out_of_memory::<u32, ModelError>(named).is_err(), "a file's name says nothing of memory");
    }

    #[test]
    fn other_panics_continue_to_unwind() {
        for error in [torch("CUDA error: device-side assert triggered"), TchError::Kind("out of memory".to_owned())] {
            let expected = format!("{error:?}");
            let fails = AssertUnwindSafe(|| catch_out_of_memory(|| unwrap_like_tch(Err(error))));
            let payload = panic::catch_unwind(fails).unwrap_err();
            let text = message(payload.as_ref()).expect("a text");
            assert!(text.contains(&expected), "{text}");
        }
        assert!(!CATCHING.get(), "the flag is reset after a panic");
        let payload =
            panic::catch_unwind(|| catch_out_of_memory::<u32, ModelError>(|| panic::panic_any(17))).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&17));
    }

    #[test]
    fn messages_of_real_tch_panics_are_found() {
        let payload = panic::catch_unwind(|| {
            catch_out_of_memory::<_, ModelError>(|| {
                Ok(tch::Tensor::zeros([2, 3], tch::kind::FLOAT_CPU)
                    .mm(&tch::Tensor::zeros([2, 3], tch::kind::FLOAT_CPU)))
            })
        })
        .unwrap_err();
        let text = message(payload.as_ref()).expect("tch panics with a text");
        assert!(text.contains("mat1 and mat2"), "{text}");
    }

    /// No machine has this much memory, so the error is libtorch's own.
    #[test]
    fn an_allocation_on_the_cpu_that_fails_returns_none() {
        let too_large = || tch::Tensor::f_empty([1 << 60], tch::kind::FLOAT_CPU);
        let text = too_large().unwrap_err().to_string();
        assert!(text.contains("DefaultCPUAllocator: can't allocate memory"), "{text}");
        assert!(catch_out_of_memory(too_large).unwrap().is_none());
        let infallible = || Ok::<_, ModelError>(tch::Tensor::empty([1 << 60], tch::kind::FLOAT_CPU));
        assert!(catch_out_of_memory(infallible).unwrap().is_none());
    }
}

//! The message of an exception in libtorch.

use std::ffi::{CStr, c_char};

/// What libtorch says about a failure, without its backtrace.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TorchExtError(pub String);

impl TorchExtError {
    /// Calls a function of the C++ side, which sets its argument to a message if it fails. The result counts only without
    /// a message.
    pub(crate) fn catch<R>(call: impl FnOnce(*mut *mut c_char) -> R) -> Result<R, Self> {
        let mut message = std::ptr::null_mut();
        let result = call(&raw mut message);
        if message.is_null() {
            return Ok(result);
        }
        // SAFETY: the C++ side writes either nothing or a pointer to a C string that `malloc` has made for the caller.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().trim().to_owned();
        // SAFETY: as above, and nothing refers to it any more.
        unsafe { libc::free(message.cast()) };
        Err(Self(text))
    }
}

/// A C string of text that may come from a person.
pub(crate) fn c_string(text: &str) -> Result<std::ffi::CString, TorchExtError> {
    std::ffi::CString::new(text).map_err(|_| TorchExtError(format!("{text:?} contains a zero byte")))
}

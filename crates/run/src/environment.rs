//! With what a result was computed: program, library, processor.

use serde::{Deserialize, Serialize};

/// What a result may depend on besides the model and the data. What isn't known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Of this program.
    pub version: String,
    /// Of the library that was loaded.
    pub libtorch: Option<String>,
    /// `linux x86_64`.
    pub system: String,
    /// Its name as the system tells it.
    pub processor: Option<String>,
    /// The GPU that computed.
    pub gpu: Option<String>,
    pub threads: usize,
    /// Of the kernels on a CPU: `avx512`, `avx2` or `baseline`.
    pub instruction_set: Option<String>,
    /// The program and its arguments as they were given.
    pub command: Vec<String>,
    /// Lower-case hex sha256 of the model's weights.
    pub weights_sha256: Option<String>,
}

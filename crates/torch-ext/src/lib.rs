//! What libtorch has and tch has not, behind safe functions: the store and the process groups of c10d, PyTorch's engine for
//! trainings in several processes, and the peak memory of a GPU. The C++ in `cpp/` is the only C++ here.
//!
//! c10d is written for PyTorch alone and may change with each version; this crate is held to libtorch 2.11.0.
//!
//! 1. [`TcpStore`]: keys and values that all processes see, held by one of them (TCP).
//! 2. [`ProcessGroup`]: connects all ranks, by Gloo or NCCL, and starts collectives.
//! 3. [`PendingWork`]: a collective that has begun.

mod device_memory;
mod error;
mod process_group;
mod store;

pub use device_memory::peak_device_memory;
pub use error::TorchExtError;
pub use process_group::{GlooAddress, PendingWork, ProcessGroup};
pub use store::TcpStore;

//! Atomic writes, locks, sha256 sums and free space, for every crate that writes files.
//!
//! A file that matters is written beside its place, synced and renamed ([`write_atomic`]); a folder that matters is
//! filled beside its place and put there in one step ([`StagedFolder`]); what is done survives a power cut, with the
//! folders above it ([`create_folder_all`]); what only one process may use is locked ([`Lock`]); content is identified by
//! its sha256 ([`sha256_file`]).
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("run.toml");
//! disk::write_atomic(&path, "seed = 42\n")?;
//! assert_eq!(disk::sha256_file(&path)?, disk::sha256_hex("seed = 42\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a command prints as its result goes through [`print()`], and messages go through [`print_message`]: neither
//! panics where the terminal, the pipe or the disk behind it is gone.
//!
//! Every call that changes the disk goes through [`faults`], so that the tests of every crate above can let each of them
//! fail, or cut the power there.

mod atomic;
mod calls;
mod error;
pub mod faults;
mod folder;
mod free_space;
mod lock;
mod new_file;
mod path;
mod sha256;
mod staged_file;
mod staged_folder;
mod standard_output;
mod thread;

#[cfg(unix)]
pub use atomic::symlink_atomic;
pub use atomic::{link_atomic, write_atomic, write_atomic_with};
pub use calls::{rename, sync_folder};
pub use error::{DiskError, Result};
pub use folder::{
    Cleared, REPLACED, clear_unfinished, create_folder, create_folder_all, remove_file_durably, remove_folder,
    replace_folder,
};
pub use free_space::{free_bytes, human_bytes, is_full};
pub use lock::{Lock, LockAttempt, LockState, try_lock};
pub use new_file::NewFile;
pub use path::{UNFINISHED, folder_of};
pub use sha256::{Sha256Hasher, Sha256Writer, hex, read_pieces, sha256_bytes, sha256_file, sha256_hex, sha256_of};
pub use staged_file::StagedFile;
pub use staged_folder::StagedFolder;
pub use standard_output::{print, print_message};
pub use thread::{join, spawn};

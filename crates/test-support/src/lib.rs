//! Helpers for the tests of several crates. Crates name this one under `[dev-dependencies]` only, and it knows none of ours.
//!
//! - [`fixture()`], [`fixture_text`], [`fixture_bytes`], [`fixture_path`]: files of `tests/fixtures`, each beside the script
//!   that made it
//! - [`treebank()`]: the Stanford Sentiment Treebank, where this machine has it
//! - [`skipped`]: says that a test is skipped, and why
//! - [`python_with`]: a Python that can import what a test needs
//! - [`Random`]: random choices that a seed repeats
//! - [`setting()`]: how far a test goes, from the environment
//! - [`TestProcess`]: the same test once more, as another process
//! - [`HubServer`]: a Hub on this machine
//! - [`HttpConnection`]: a client that sends requests as they are written, broken ones too
//! - [`fuzz`]: damaged files for a reader, with a limit on its time and memory
//!
//! What runs the built `verdict` is in `tests/support`, because it needs the crate `model`.

mod fixture;
pub mod fuzz;
mod http_client;
mod hub_server;
mod process;
mod python;
mod random;
mod setting;
mod skip;
mod treebank;

use std::path::Path;

pub use fixture::{fixture, fixture_bytes, fixture_path, fixture_text};
pub use http_client::{HttpAnswer, HttpConnection};
pub use hub_server::{COMMIT, HubBehavior, HubServer, NEXT_COMMIT, SeenRequest, git_sha1};
pub use process::TestProcess;
pub use python::python_with;
pub use random::Random;
pub use setting::setting;
pub use skip::skipped;
pub use treebank::treebank;

/// The root of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a crate lies in crates/")
}

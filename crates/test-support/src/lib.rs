//! Helpers for the tests of several crates. Crates name this one under `[dev-dependencies]` only, and it knows none of ours.
//!
//! - [`fixture()`], [`fixture_text`], [`fixture_bytes`], [`fixture_path`]: files of `tests/fixtures`, each beside the script
//!   that made it
//! - [`treebank()`]: the Stanford Sentiment Treebank, where this machine has it
//! - [`skipped`]: says that a test didn't run, and why
//! - [`TestProcess`]: the test binary once more, as another process
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
mod treebank;

use std::io::Write;
use std::path::Path;

pub use fixture::{fixture, fixture_bytes, fixture_path, fixture_text};
pub use http_client::{HttpAnswer, HttpConnection};
pub use hub_server::{COMMIT, HubBehavior, HubServer, NEXT_COMMIT, SeenRequest, git_sha1};
pub use process::TestProcess;
pub use treebank::treebank;

/// Says that a test didn't run. Not by `eprintln!`, whose output the test harness keeps to itself where a test passes.
pub fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// The root of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a crate lies in crates/")
}

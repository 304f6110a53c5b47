//! What each process says of itself when the processes meet.

use serde::{Deserialize, Serialize};

/// A process, as it describes itself to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCard {
    pub rank: usize,
    /// The number of processes that it expects.
    pub world: usize,
    pub host: String,
    pub process: u32,
    /// Differs between machines, and between two starts of one.
    pub boot_id: String,
    /// The address by which the others reach it, or `interface NAME`.
    pub address: String,
    /// Whether that address is one that only its own machine can reach.
    pub is_loopback: bool,
    /// The version of the program.
    pub version: String,
    /// The sha256 of the program.
    pub program_sha256: String,
}

impl ProcessCard {
    /// `rank 1 (process 77 on node-b)`.
    pub fn describe(&self) -> String {
        format!("rank {} (process {} on {})", self.rank, self.process, self.host)
    }

    /// Whether both are on the same machine.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id && self.host == other.host
    }
}

/// The name of this machine.
pub(crate) fn host_name() -> String {
    of_kernel("hostname")
}

/// What tells this machine from others, also where containers share a name.
pub(crate) fn boot_id() -> String {
    of_kernel("random/boot_id")
}

fn of_kernel(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default().trim().to_owned()
}

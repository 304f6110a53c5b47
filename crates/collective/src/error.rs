//! What can go wrong between processes.

use torch_ext::TorchExtError;

use crate::launch::LaunchError;

/// The result of anything in this crate that can fail.
pub type Result<T, E = CollectiveError> = std::result::Result<T, E>;

/// What can go wrong between processes.
#[derive(Debug, thiserror::Error)]
pub enum CollectiveError {
    #[error(transparent)]
    Launch(#[from] LaunchError),

    /// The processes have not found each other; the message has the reason and a hint.
    #[error("{0}")]
    NotJoined(String),

    /// The processes can't work as one.
    #[error("the processes differ in {what}: {}", differences.join("; "))]
    Differ {
        what: String,
        /// Which process has what.
        differences: Vec<String>,
    },

    /// Rows that were dealt out did not come back from exactly one process each.
    #[error(
        "of {rows} rows that were dealt out, {none} were given by no process and {several} by several: expected each by one"
    )]
    Incomplete { rows: usize, none: usize, several: usize },

    /// Another process is gone.
    #[error("{0}")]
    Lost(LostProcess),

    /// The connection failed although every process lives.
    #[error("the connection to another process failed: {0} (hint: the network between the machines)")]
    Connection(TorchExtError),

    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// A process that is gone, and how that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostProcess {
    pub rank: usize,
    /// `rank 1 (process 77 on node-b)`.
    pub process: String,
    pub reason: LossReason,
}

/// How a process was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LossReason {
    /// It says so itself, with its error.
    Failed(String),
    /// It ended without an error while others still needed it.
    Ended,
    /// It ended because it had heard nothing of this process.
    GivenUp,
    /// Nothing was heard of it for some seconds.
    Silent { seconds: u64 },
    /// The store that it holds can't be reached.
    StoreGone,
}

impl std::fmt::Display for LostProcess {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { process, reason, .. } = self;
        match reason {
            LossReason::Failed(message) => write!(out, "{process} has stopped: {message}"),
            LossReason::Ended => write!(out, "{process} has ended before the others"),
            LossReason::GivenUp => write!(
                out,
                "{process} has ended, because it had heard nothing of this process for some seconds (hint: this process or its \
                 machine was stopped, or its network was down)"
            ),
            LossReason::Silent { seconds } => write!(
                out,
                "{process} is lost: nothing was heard of it for {seconds} seconds (hint: it was killed or stopped, or its \
                 machine or network is down; its own output and the system's log say which)"
            ),
            LossReason::StoreGone => write!(
                out,
                "{process} is lost: the store that it holds for all processes does not answer (hint: it was killed or \
                 stopped, or its machine or network is down; its own output and the system's log say which)"
            ),
        }
    }
}

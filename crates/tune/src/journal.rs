//! The file of a study: Optuna's journal, read and written.
//!
//! A journal is what Optuna calls a `JournalStorage` on a `JournalFileBackend`: text, one operation a line as a JSON
//! object, only ever appended to. The state of all studies in it is what its operations give when they are applied from
//! the first to the last (`replay.rs`), by rules that are the same for every reader. Trials have an id, which counts all
//! trials of the file, and a number, which counts those of their study.
//!
//! # Writing
//!
//! A writer takes the lock (`lock.rs`), reads what others have appended, decides, appends and syncs, and then releases the
//! lock. So a decision normally still holds when it is written. But a lock on a shared disk can be taken away from a
//! process that is suspended for half a minute, so correctness does not depend on it: where two operations contradict
//! each other, the first in the file counts, and a process reads its own lines back to see which ones count.
//!
//! # Unfinished lines
//!
//! A process that is killed while it appends, or a machine that loses power, can leave a last line without an end. Every
//! reader ignores such a line, this one and Optuna's. Our next writer truncates it, under the lock. Optuna appends to it,
//! which gives a line that Optuna can't read, nor anything after it. Such a line is read here as the operation at its
//! end; our next writer overwrites the unfinished part with blanks. That makes the line valid JSON, moves nothing, and
//! loses no operation that was completed.
//!
//! A damaged line anywhere else is an error that names the file and the line.
//!
//! # Owners of trials
//!
//! A running trial belongs to one worker: one that created it running, or the one whose change of its state from waiting
//! to running is the first in the file. These are Optuna's rules. A worker is an open [`Study`](crate::Study), with
//! a new id each time. Optuna has no way to tell from a file whether a worker is alive, so our workers also identify
//! themselves ([`Worker`]) in the trial's system attribute `verdict:worker`, an object:
//!
//! - `id`: the worker id, the same as the line's;
//! - `host`, `pid`: the machine's name and the process, for messages;
//! - `start`, `place`: when the process was started, in kernel ticks, and the kernel and process namespace that this number
//!   belongs to. With these another process in the same namespace can tell for certain whether it is alive;
//! - `from`: for a trial that is taken over, the id of the worker that had it.
//!
//! A worker elsewhere is considered dead when it appended nothing for [`WORKER_TIMEOUT`](crate::WORKER_TIMEOUT) by the
//! reader's clock; so living workers append at least every [`HEARTBEAT_INTERVAL`](crate::HEARTBEAT_INTERVAL), if only the
//! system attribute `verdict:heartbeat`. Clocks of two machines are never compared. A worker that did not identify itself
//! (Optuna's) is never considered dead.
//!
//! A worker that finds the worker of a running trial dead takes the trial over by a line that sets `verdict:worker` to
//! itself, `from` the dead one. The line counts only if the trial belongs to the worker in `from` at that point of the
//! file; so of several that try, the first in the file succeeds, whatever happened to the lock, and the others see that
//! when they read their own line back. A worker that stops normally releases its trials by a line with an `id` of null.
//! To Optuna all of this is a running trial with an attribute that changes.

pub(crate) mod file;
pub(crate) mod lock;
pub(crate) mod operation;
pub(crate) mod replay;
mod worker;

pub use worker::Worker;
pub(crate) use worker::{WORKER, WorkerState};

#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

use self::file::JournalFile;
use self::lock::{GRACE_PERIOD, JournalLock};
use self::replay::Replay;
use crate::error::{Result, TuneError};

/// How often a lock that was lost before the write is acquired again.
const ATTEMPTS: usize = 5;

/// A journal and the state that its operations led to so far.
#[derive(Debug)]
pub(crate) struct Journal {
    file: JournalFile,
    replay: Replay,
}

impl Journal {
    /// Opens an existing journal and reads all of it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut journal = Self { file: JournalFile::new(path), replay: Replay::default() };
        journal.sync()?;
        Ok(journal)
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Reads what was appended since the last call.
    ///
    /// # Errors
    /// [`TuneError::Disk`], [`TuneError::Damaged`], and [`TuneError::Replaced`] if the file isn't the one that was read.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let replay = &mut self.replay;
        self.file.read(|line| {
            replay.apply(operation::parse(line)?);
            Ok(())
        })
    }

    /// Appends the lines that `decide` returns for everything that was appended so far; no other process writes in
    /// between. The lines are read back before this returns. `decide` may be called more than once.
    pub(crate) fn transact<T>(&mut self, decide: impl Fn(&Replay) -> Result<(Vec<String>, T)>) -> Result<T> {
        for _ in 0..ATTEMPTS {
            let lock = JournalLock::acquire(self.file.path(), GRACE_PERIOD)?;
            self.sync()?;
            let (lines, outcome) = decide(&self.replay)?;
            if lines.is_empty() {
                return Ok(outcome);
            }
            if lock.is_held() {
                self.file.append(&lines)?;
                self.sync()?;
                return Ok(outcome);
            }
        }
        Err(TuneError::LockLost { path: lock::path_of(self.file.path()) })
    }
}

//! The file of a study: Optuna's journal, read and written.
//!
//! A journal is what Optuna calls a `JournalStorage` on a `JournalFileBackend`: text, one operation a line as a JSON
//! object, only ever appended to. The state of all studies in it is what its operations give when they are applied from
//! the first to the last (`replay.rs`), by rules that are the same for whoever reads them. Trials have an id, which counts
//! all trials of the file, and a number, which counts those of their study.
//!
//! # Writing
//!
//! Whoever writes holds the lock (`lock.rs`), reads what others have appended, decides, appends and syncs, and only then
//! lets go. So what is decided on the ground of what was read still holds when it is written, as a rule. A lock on a
//! shared disk can be taken away from a process that stands still for half a minute, though, so nothing is owed to the
//! lock that the order of the lines doesn't give too: where two operations contradict each other, the first in the file
//! counts, and a process learns what became of its own by reading them back.
//!
//! # Unfinished lines
//!
//! A process that is killed, or a machine that loses its power, while it appends can leave a last line without an end. No
//! reader takes such a line, neither this one nor Optuna's. The next writer of ours cuts it off, under the lock. Optuna
//! appends right behind it, and then nobody could read the line that comes of it, nor, for Optuna, anything after it. Such
//! a line is read here as the operation at its end; the next writer of ours puts blanks in the place of the unfinished
//! one, which makes it JSON for everybody, moves nothing, and loses nothing that anybody was told is kept.
//!
//! A damaged line anywhere else is an error that names the file and the line.
//!
//! # Who has a trial
//!
//! A running trial belongs to one worker: one that created it running, or the one whose change of its state from waiting
//! to running is the first in the file. These are Optuna's rules. A worker is an open [`Study`](crate::Study); its id is
//! new each time. What Optuna lacks for a file is a way to tell whether a worker still lives, so workers of ours also say
//! who they are ([`Worker`]) in the trial's system attribute `verdict:worker`, an object:
//!
//! - `id`: the worker id, the same as the line's;
//! - `host`, `pid`: the machine's name and the process, for people;
//! - `start`, `place`: when the process was started, in the kernel's ticks, and which kernel and process namespace that
//!   number is from. With these another process in the same place can tell for sure whether it lives;
//! - `from`: for a trial that is taken over, the id of the worker that had it.
//!
//! A worker in another place is dead when nothing was appended by it for [`SILENCE`](crate::SILENCE) on the clock of
//! whoever watches; so living ones append at least every [`HEARTBEAT`](crate::HEARTBEAT), if only the system attribute
//! `verdict:heartbeat`. No two machines' clocks are compared. A worker that never said who it is (Optuna's) is never
//! taken for dead.
//!
//! Whoever finds the worker of a running trial dead takes the trial over by a line that sets `verdict:worker` to itself,
//! `from` the dead one. The line counts only if the trial belongs to the worker in `from` at that place in the file; so of
//! several that try, the first in the file has it, whatever happened to the lock, and the others see that when they read
//! their own line back. A worker that stops in good order gives its trials back by a line with an `id` of null. Optuna
//! sees in all of this an attribute that changes, and a trial that runs.

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
use self::lock::{GRACE, JournalLock};
use self::replay::Replay;
use crate::error::{Result, TuneError};

/// How often a lock that was lost before the write is taken once more.
const ATTEMPTS: usize = 5;

/// A journal and what its operations gave so far.
#[derive(Debug)]
pub(crate) struct Journal {
    file: JournalFile,
    replay: Replay,
}

impl Journal {
    /// A journal that is there; reads all of it.
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

    /// Reads what was appended since.
    ///
    /// # Errors
    /// [`TuneError::Disk`], [`TuneError::Damaged`], and [`TuneError::Replaced`] where the file isn't the one that was read.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let replay = &mut self.replay;
        self.file.read(|line| {
            replay.apply(operation::parse(line)?);
            Ok(())
        })
    }

    /// Decides on the ground of everything that was appended so far what to append, and appends it, nobody else writing
    /// in between. What was appended is read back before this returns. `decide` may be asked more than once.
    pub(crate) fn transact<T>(&mut self, decide: impl Fn(&Replay) -> Result<(Vec<String>, T)>) -> Result<T> {
        for _ in 0..ATTEMPTS {
            let lock = JournalLock::acquire(self.file.path(), GRACE)?;
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

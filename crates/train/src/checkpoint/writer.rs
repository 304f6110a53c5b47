//! Saves in the background: training waits for the copy, not for the disk.

use std::thread::JoinHandle;
use std::time::Instant;

use super::{Job, Snapshot};
use crate::error::{Result, TrainError};

/// Writes one save at a time on a thread of its own.
#[derive(Default)]
pub(crate) struct Writer {
    running: Option<JoinHandle<(Snapshot, Result<()>)>>,
    /// The memory of the last save.
    idle: Snapshot,
}

impl Writer {
    /// The snapshot to copy into. Waits for the save before, if that is still being written.
    ///
    /// # Errors
    /// What that save failed with.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.wait()?;
        Ok(std::mem::take(&mut self.idle))
    }

    /// Begins a save.
    pub fn begin(&mut self, mut job: Job) -> Result<()> {
        self.wait()?;
        let write = move || {
            yield_to_training();
            let began = Instant::now();
            let written = job.run();
            tracing::debug!("step {}: written in {:?}", job.state.step, began.elapsed());
            (job.snapshot, written)
        };
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(write);
        self.running = Some(thread.map_err(|source| TrainError::Thread { source })?);
        Ok(())
    }

    /// Waits until what was begun is on the disk.
    ///
    /// # Errors
    /// What the save failed with.
    pub fn wait(&mut self) -> Result<()> {
        let Some(thread) = self.running.take() else { return Ok(()) };
        match thread.join() {
            Ok((snapshot, written)) => {
                self.idle = snapshot;
                written
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Writer {
    /// A run that ends by an error still finishes the save that it has begun.
    fn drop(&mut self) {
        if let Err(error) = self.wait() {
            tracing::warn!("{}", crate::logging::explain(&error));
        }
    }
}

/// Lets this thread have only what training leaves of the processors: libtorch's threads wait for each other at every
/// operation, and one that loses its processor to a sum or a copy holds up all.
fn yield_to_training() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(19) {
        tracing::debug!("the checkpoint's thread keeps its priority: {error}");
    }
}

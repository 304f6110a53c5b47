//! Rows that a thread reads while the rows before them are being predicted: a queue with room for one chunk.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Rows that are predicted together: enough to group them by length, few enough for bounded memory.
pub const CHUNK_ROWS: usize = 4096;
/// Fewer rows are a chunk where they are this large together.
pub(crate) const CHUNK_BYTES: usize = 16 << 20;

/// When a chunk is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkPolicy {
    /// With [`CHUNK_ROWS`] rows, or at the end of the input.
    Full,
    /// As soon as no more rows are waiting, so that whoever writes one row and waits gets the answer to it.
    Available,
}

/// The receiving end of the queue. Dropped, it lets the thread end when it has its next row.
pub(crate) struct ReadAhead<T> {
    queue: Arc<Queue<T>>,
    policy: ChunkPolicy,
    reader: Option<JoinHandle<()>>,
}

struct Queue<T> {
    state: Mutex<QueueState<T>>,
    changed: Condvar,
}

struct QueueState<T> {
    rows: Vec<T>,
    bytes: usize,
    /// No more rows will come.
    ended: bool,
    /// No more rows are wanted.
    abandoned: bool,
}

impl<T> QueueState<T> {
    fn full(&self) -> bool {
        self.rows.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `reason` holds.
    fn wait_while(&self, reason: impl Fn(&QueueState<T>) -> bool) -> MutexGuard<'_, QueueState<T>> {
        let waited = self.changed.wait_while(self.lock(), |state| reason(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> ReadAhead<T> {
    /// Starts reading; `size` is about how many bytes a row takes.
    ///
    /// # Errors
    /// A thread that can't be started.
    pub(crate) fn start(
        rows: impl Iterator<Item = T> + Send + 'static,
        size: fn(&T) -> usize,
        policy: ChunkPolicy,
    ) -> std::io::Result<Self> {
        let state = QueueState { rows: Vec::new(), bytes: 0, ended: false, abandoned: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let end = End(Arc::clone(&queue));
        // Not a scoped thread: it may be waiting for input that never comes when nobody wants it any more.
        let reader = Builder::new().name("read rows".to_owned()).spawn(move || {
            let End(queue) = &end;
            for row in rows {
                let size = size(&row);
                let mut state = queue.wait_while(|state| state.full() && !state.abandoned);
                if state.abandoned {
                    return;
                }
                state.rows.push(row);
                state.bytes += size;
                queue.changed.notify_all();
            }
        })?;
        Ok(Self { queue, policy, reader: Some(reader) })
    }

    /// The next rows, in order; none at the end.
    pub(crate) fn next_chunk(&mut self) -> Vec<T> {
        let policy = self.policy;
        let mut state = self.queue.wait_while(|state| match policy {
            ChunkPolicy::Full => !state.full() && !state.ended,
            ChunkPolicy::Available => state.rows.is_empty() && !state.ended,
        });
        let rows = std::mem::take(&mut state.rows);
        state.bytes = 0;
        drop(state);
        self.queue.changed.notify_all();
        if rows.is_empty()
            && let Some(Err(panic)) = self.reader.take().map(JoinHandle::join)
        {
            std::panic::resume_unwind(panic);
        }
        rows
    }
}

/// Says that no more rows come, however the thread ends.
struct End<T>(Arc<Queue<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for ReadAhead<T> {
    fn drop(&mut self) {
        self.queue.lock().abandoned = true;
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};
    use std::time::Duration;

    use super::*;

    fn start<I>(rows: I, policy: ChunkPolicy) -> ReadAhead<usize>
    where
        I: Iterator<Item = usize> + Send + 'static,
    {
        ReadAhead::start(rows, |_| 1, policy).unwrap()
    }

    #[test]
    fn full_chunks_come_in_order_and_the_last_is_what_is_left() {
        let mut rows = start(0..2 * CHUNK_ROWS + 3, ChunkPolicy::Full);
        let chunks: Vec<Vec<usize>> =
            std::iter::from_fn(|| Some(rows.next_chunk()).filter(|chunk| !chunk.is_empty())).collect();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [CHUNK_ROWS, CHUNK_ROWS, 3]);
        assert_eq!(chunks.concat(), (0..2 * CHUNK_ROWS + 3).collect::<Vec<_>>());
        assert!(rows.next_chunk().is_empty());
    }

    #[test]
    fn a_row_is_handed_out_while_the_reader_waits_for_the_next() {
        let (sender, receiver) = channel();
        let mut rows = start(receiver.into_iter(), ChunkPolicy::Available);
        for row in 0..3 {
            sender.send(row).unwrap();
            assert_eq!(rows.next_chunk(), [row]);
        }
        drop(sender);
        assert!(rows.next_chunk().is_empty());
    }

    #[test]
    fn no_more_is_read_than_a_chunk_ahead_by_rows_or_by_size() {
        for (size, most) in [(1, CHUNK_ROWS), (CHUNK_BYTES / 4, 4)] {
            let (sender, asked) = sync_channel(10 * CHUNK_ROWS);
            let rows = (0..10 * CHUNK_ROWS).inspect(move |_| sender.send(()).unwrap());
            let sizes: fn(&usize) -> usize = if size == 1 { |_| 1 } else { |_| CHUNK_BYTES / 4 };
            let rows = ReadAhead::start(rows, sizes, ChunkPolicy::Full).unwrap();
            while asked.recv_timeout(Duration::from_millis(300)).is_ok() {}
            assert_eq!(rows.queue.lock().rows.len(), most);
        }
    }

    #[test]
    fn a_reader_that_panics_is_not_the_end_of_the_input() {
        let rows = (0..3).inspect(|row| assert!(*row < 2, "a fault in the reader"));
        let mut rows = start(rows, ChunkPolicy::Full);
        assert_eq!(rows.next_chunk(), [0, 1]);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rows.next_chunk())).is_err());
    }

    #[test]
    fn a_reader_that_nobody_listens_to_ends() {
        let (sender, receiver) = channel::<usize>();
        let (ended, end) = channel::<()>();
        let rows = start(
            receiver.into_iter().chain(std::iter::from_fn(move || {
                let _kept = &ended;
                None
            })),
            ChunkPolicy::Available,
        );
        drop(rows);
        sender.send(1).unwrap();
        // The iterator, and `ended` in it, is dropped with the thread.
        assert!(end.recv_timeout(Duration::from_secs(20)).is_err());
        assert!(sender.send(2).is_err());
    }
}

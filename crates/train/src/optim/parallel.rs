//! A list of jobs worked off by as many threads as libtorch uses.
//!
//! The threads live for one call. Starting one costs some ten microseconds, against milliseconds of work in a call, and
//! none is left behind that could spin beside libtorch's own.

use std::sync::Mutex;

/// Calls `work` once with every job, on this thread and `threads - 1` more. The order of the calls is not fixed, so the
/// jobs must be independent of each other.
pub(super) fn for_each<J: Send>(jobs: Vec<J>, threads: usize, work: impl Fn(J) + Sync) {
    let helpers = threads.min(jobs.len()).saturating_sub(1);
    let queue = Mutex::new(jobs.into_iter());
    // A poisoned lock means that another thread's job panicked; the scope passes that panic on.
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let drain = || {
        while let Some(job) = next() {
            work(job);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(drain);
        }
        drain();
    });
}

/// libtorch's number of threads, at least 1.
pub(super) fn thread_count() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let mut counts = vec![0; 100];
            for_each(counts.iter_mut().enumerate().collect(), threads, |(index, count)| *count += index);
            assert_eq!(counts, (0..100).collect::<Vec<_>>());
        }
        for_each(Vec::<()>::new(), 2, |()| panic!("there is no job"));
    }
}

//! Runs work on all threads, the same ones that libtorch uses.
//!
//! libtorch's products run on OpenMP's team of threads, which wait for their next work by spinning. Threads of our own
//! would compete for processors with those that spin. So work goes to the same team, through the one entry point that
//! compilers use for it (`GOMP_parallel`, which both GNU's and LLVM's runtime export). It is looked up in the running
//! process: a program that doesn't link OpenMP gets threads that live for one call.

use std::ffi::{c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Calls `work` once with every number below `count`, on this thread and others. The order of the calls is not fixed,
/// so they must be independent of each other.
pub fn for_each_index(count: usize, work: impl Fn(usize) + Sync) {
    let threads = thread_count().min(count);
    if threads <= 1 {
        return (0..count).for_each(work);
    }
    let next = AtomicUsize::new(0);
    on_threads(threads, &|| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            work(index);
        }
    });
}

/// Calls `work` once with every job, on this thread and others, in no fixed order.
pub fn for_each<J: Send>(jobs: Vec<J>, work: impl Fn(J) + Sync) {
    let count = jobs.len();
    let queue = Mutex::new(jobs.into_iter());
    for_each_index(count, |_| {
        // A poisoned lock means that taking a job panicked, which it can't.
        let job = queue.lock().ok().and_then(|mut queue| queue.next());
        if let Some(job) = job {
            work(job);
        }
    });
}

/// The number of threads: OpenMP's, which is also libtorch's, otherwise the number of processors.
pub fn thread_count() -> usize {
    #[cfg(test)]
    if let Some(threads) = testing::THREADS.get() {
        return threads;
    }
    match openmp() {
        // SAFETY: the address is that of OpenMP's `omp_get_max_threads`, which takes no arguments and may be called at any
        // time from any thread.
        Some(openmp) => usize::try_from(unsafe { (openmp.max_threads)() }).unwrap_or(1).max(1),
        None => {
            let requested = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.parse().ok());
            let all = || std::thread::available_parallelism().map_or(1, usize::from);
            requested.unwrap_or_else(all).max(1)
        }
    }
}

/// Runs `work` on `threads` threads at once, including this one.
fn on_threads(threads: usize, work: &(dyn Fn() + Sync)) {
    let team = Team { work, panic: Mutex::new(None) };
    match openmp() {
        Some(openmp) => {
            let data = std::ptr::from_ref(&team).cast_mut().cast();
            // SAFETY: `run_team_member` is called with `data` on every thread of the team, and all have returned when
            // this call returns, so `team` outlives them. It is only read, and `Team` is `Sync`. No panic leaves
            // `run_team_member`.
            unsafe { (openmp.parallel)(run_team_member, data, c_uint::try_from(threads).unwrap_or(1), 0) };
        }
        None => std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(|| team.run_member())));
            team.run_member();
        }),
    }
    if let Some(panic) = team.panic.into_inner().ok().flatten() {
        resume_unwind(panic);
    }
}

struct Team<'a> {
    work: &'a (dyn Fn() + Sync),
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

impl Team<'_> {
    /// Runs the work on this thread and keeps its panic, of several the first, for the caller's thread: a panic must not
    /// cross OpenMP's frames.
    fn run_member(&self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(self.work))
            && let Ok(mut first) = self.panic.lock()
        {
            first.get_or_insert(panic);
        }
    }
}

extern "C" fn run_team_member(data: *mut c_void) {
    // SAFETY: `on_threads` passes a pointer to a `Team` that outlives the call and is not changed in the meantime.
    unsafe { &*data.cast::<Team>() }.run_member();
}

struct OpenMp {
    parallel: unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint),
    max_threads: unsafe extern "C" fn() -> c_int,
}

/// The OpenMP runtime of this process, if it has one.
fn openmp() -> Option<&'static OpenMp> {
    static OPENMP: OnceLock<Option<OpenMp>> = OnceLock::new();
    #[cfg(unix)]
    let find = || {
        // SAFETY: `name` is a C string that outlives the call; a null result is checked for below.
        let address = |name: &std::ffi::CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        let (parallel, max_threads) = (address(c"GOMP_parallel"), address(c"omp_get_max_threads"));
        if parallel.is_null() || max_threads.is_null() {
            return None;
        }
        // SAFETY: functions of these names have these signatures in every OpenMP runtime: the first is the interface
        // between compilers and the runtime, the second is in OpenMP's standard.
        Some(unsafe {
            OpenMp {
                parallel: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint),
                >(parallel),
                max_threads: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(max_threads),
            }
        })
    };
    #[cfg(not(unix))]
    let find = || None;
    OPENMP.get_or_init(find).as_ref()
}

/// A slice of which several threads write disjoint parts at the same time.
pub(crate) struct SharedSlice<'a, T> {
    data: *mut T,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the only way to the elements is `slice`, whose caller guarantees that no two threads have the same ones at the
// same time, so sharing this sends elements to other threads at most.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { data: slice.as_mut_ptr(), len: slice.len(), lifetime: std::marker::PhantomData }
    }

    /// `len` elements from `start` on.
    ///
    /// # Safety
    /// While the result lives, there is no other slice with any of these elements.
    ///
    /// # Panics
    /// If they are not within the slice.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the caller guarantees disjoint parts")]
    pub(crate) unsafe fn slice(&self, start: usize, len: usize) -> &mut [T] {
        assert!(
            start <= self.len && len <= self.len - start,
            "{len} elements from {start} on are not within {}",
            self.len
        );
        // SAFETY: within the original slice, as just checked; the caller guarantees that the elements are not shared.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), len) }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::cell::Cell;

    thread_local! {
        /// The number of threads for the calls of this thread, in place of the process's.
        pub(super) static THREADS: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Asserts that `results` are the same bits on one thread and on several.
    pub(crate) fn assert_independent_of_threads<R: PartialEq>(what: &str, results: impl Fn() -> R) {
        let on = |threads| {
            THREADS.set(Some(threads));
            let found = results();
            THREADS.set(None);
            found
        };
        let expected = on(1);
        for threads in [2, 3, 7] {
            assert!(on(threads) == expected, "{what}: {threads} threads give other bits than one");
        }
    }

    /// Runs `work` with this number of threads.
    pub(crate) fn with_threads(threads: usize, work: impl FnOnce()) {
        THREADS.set(Some(threads));
        work();
        THREADS.set(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::testing::with_threads;
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        for count in [0, 1, 2, 1000] {
            let mut counts = vec![0; count];
            for_each(counts.iter_mut().enumerate().collect(), |(index, slot)| *slot += index + 1);
            assert_eq!(counts, (1..=count).collect::<Vec<_>>());
        }
        let sum = AtomicUsize::new(0);
        for_each_index(100, |index| {
            sum.fetch_add(index, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4950);
    }

    /// `cargo xtask test` runs these tests in a second process that has OpenMP's runtime and two threads, and says so by
    /// this variable.
    #[test]
    fn the_process_with_openmp_has_it() {
        if std::env::var_os("VERDICT_TEST_OPENMP").is_some() {
            assert!(openmp().is_some(), "no OpenMP runtime is loaded");
            assert_eq!(thread_count(), 2, "OMP_NUM_THREADS");
        }
    }

    /// Waits until `count` threads have called this with the same counter; false after ten seconds.
    fn meet(arrived: &AtomicUsize, count: usize) -> bool {
        arrived.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        while arrived.load(Ordering::SeqCst) < count {
            if start.elapsed() > Duration::from_secs(10) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn work_runs_on_several_threads_at_once() {
        with_threads(2, || {
            let arrived = AtomicUsize::new(0);
            for_each_index(2, |_| assert!(meet(&arrived, 2), "the second thread never came"));
        });
    }

    /// The message of a panic in the worker that is not the caller's thread, and of one in the caller's thread.
    #[test]
    fn a_panic_on_any_thread_reaches_the_caller_with_its_message() {
        let caller = std::thread::current().id();
        for on_caller in [false, true] {
            with_threads(2, || {
                let arrived = AtomicUsize::new(0);
                let panic = catch_unwind(AssertUnwindSafe(|| {
                    for_each_index(2, |_| {
                        assert!(meet(&arrived, 2), "the second thread never came");
                        assert!((std::thread::current().id() == caller) != on_caller, "on the caller: {on_caller}");
                    });
                }))
                .expect_err("one of the two panics");
                assert_eq!(panic.downcast_ref::<String>(), Some(&format!("on the caller: {on_caller}")));
                // The team works on.
                let sum = AtomicUsize::new(0);
                for_each_index(100, |index| _ = sum.fetch_add(index, Ordering::Relaxed));
                assert_eq!(sum.into_inner(), 4950);
            });
        }
    }

    #[test]
    #[should_panic(expected = "are not within 3")]
    fn slices_out_of_range_panic() {
        let mut values = [1, 2, 3];
        let shared = SharedSlice::new(&mut values);
        // SAFETY: there is no other part.
        let _ = unsafe { shared.slice(2, 2) };
    }
}

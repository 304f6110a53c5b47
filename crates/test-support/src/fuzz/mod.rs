//! Fuzzing: a reader of untrusted files is given thousands of damaged files, and must read or refuse each.
//!
//! Every crate that reads from outside has a test target `fuzz`:
//!
//! ```no_run
//! use test_support::fuzz::{SeedFormat, FuzzTarget, MemoryLimit, SeedFile, check};
//!
//! let seeds = vec![SeedFile::new(SeedFormat::Lines, "1\n22\n333\n")];
//! let memory_limit = MemoryLimit { per_byte: 100, fixed: 1 << 20 };
//! check(&FuzzTarget { package: "table", name: "numbers", memory_limit }, seeds, |bytes| {
//!     let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
//!     text.lines().try_for_each(|line| line.parse::<u64>().map(drop).map_err(|error| error.to_string()))
//! });
//! ```
//!
//! Every seed file must be read. A mutant must be read, and then be valid (the closure asserts it), or be refused with
//! an error; it must never panic, take more than ten seconds or use more memory than the limit. Mutant `k` depends on
//! `VERDICT_SEED` (1 unless set), the target's name and `k` alone. `VERDICT_MUTANTS` is how many there are (2,000 unless
//! set), `VERDICT_MUTANT` makes a single one and keeps its file.
//!
//! Memory is measured to the byte where the test binary declares the allocator, which each binary has to do for itself:
//!
//! ```no_run
//! #[global_allocator]
//! static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;
//! ```
//!
//! libtorch allocates memory that this allocator doesn't see, so a binary that links it declares none, and the process's
//! pages are measured.

mod memory;
mod mutator;
mod structure;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

pub use memory::CountingAllocator;
use memory::Meter;
use mutator::mutant;
pub use mutator::{SeedFile, SeedFormat};

use crate::random::Random;
use crate::setting::setting;

/// The maximum time for reading a mutant.
const MAX_SECONDS: u64 = 10;
/// The maximum number of failures that are shown.
const MAX_SHOWN: usize = 10;

/// A reader under test, and its memory limit.
pub struct FuzzTarget {
    /// The package whose test it is.
    pub package: &'static str,
    /// The test function's name.
    pub name: &'static str,
    /// The memory that it may use.
    pub memory_limit: MemoryLimit,
}

/// The maximum memory for reading a file: a number of bytes per byte of the file, and a fixed number.
#[derive(Clone, Copy)]
pub struct MemoryLimit {
    /// Bytes for each byte of the file.
    pub per_byte: usize,
    /// Bytes independent of the file's size.
    pub fixed: usize,
}

impl FuzzTarget {
    fn mutant(&self, seed: u64, number: u64) -> String {
        format!(
            "{}, seed {seed}, mutant {number} (again: VERDICT_SEED={seed} VERDICT_MUTANT={number} cargo test -p {} \
             --test fuzz -- --exact {} --nocapture)",
            self.name, self.package, self.name
        )
    }
}

/// A guard: while it exists, no other test measures memory, which is measured for the whole process.
pub struct ExclusiveMemory(Option<MutexGuard<'static, ()>>);

thread_local! {
    static IS_EXCLUSIVE: Cell<bool> = const { Cell::new(false) };
}

/// Waits until no other test holds it; a test that holds it already may ask again.
pub fn exclusive_memory() -> ExclusiveMemory {
    static EXCLUSIVE: Mutex<()> = Mutex::new(());
    let first = !IS_EXCLUSIVE.replace(true);
    ExclusiveMemory(first.then(|| EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Drop for ExclusiveMemory {
    fn drop(&mut self) {
        if self.0.is_some() {
            IS_EXCLUSIVE.set(false);
        }
    }
}

/// Calls `read` with every mutant of the seed files; `read` returns why it refuses a file.
///
/// # Panics
/// Where a seed file is refused, or a mutant makes `read` panic, take too long or use too much memory.
pub fn check(target: &FuzzTarget, seeds: Vec<SeedFile>, mut read: impl FnMut(&[u8]) -> Result<(), String>) {
    let _exclusive = exclusive_memory();
    start_watchdog();
    let seed: u64 = setting("VERDICT_SEED").unwrap_or(1);
    for (number, good) in seeds.iter().enumerate() {
        if let Err(reason) = read(&good.file(good.bytes.clone())) {
            panic!("{}: seed file {number} is valid and was refused: {reason}", target.name);
        }
    }
    let single: Option<u64> = setting("VERDICT_MUTANT");
    let numbers = single.map_or(0..setting("VERDICT_MUTANTS").unwrap_or(2000), |number| number..number + 1);
    let (meter, begun) = (Meter::new(), Instant::now());
    let mut summary = FuzzSummary::default();
    for number in numbers {
        let file = mutant(&seeds, &mut Random::of_mutant(seed, target.name, number));
        if single.is_some() {
            print_directly(&format!(
                "{} bytes, kept as {}\n",
                file.len(),
                save_mutant(target, number, &file).display()
            ));
        }
        set_current(&target.mutant(seed, number));
        let before = meter.start();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&file)));
        let used = meter.peak(before);
        clear_current();
        let most = file.len() * target.memory_limit.per_byte + target.memory_limit.fixed;
        summary.most_used = summary.most_used.max(used);
        let fault = match outcome {
            Err(payload) => Some(format!("panicked: {}", panic_message(&*payload))),
            _ if used > most => Some(format!("took {used} bytes for a file of {}, {most} allowed", file.len())),
            Ok(Ok(())) => {
                summary.read += 1;
                None
            }
            Ok(Err(reason)) => {
                *summary.refused.entry(message_pattern(&reason)).or_default() += 1;
                None
            }
        };
        summary.faults.extend(fault.map(|fault| format!("{}: {fault}", target.mutant(seed, number))));
    }
    summary.report(target, single.is_none(), begun.elapsed());
}

/// A folder for the mutants of one target: in memory where the system has such a place, because some readers sync what
/// they write, and thousands of syncs take minutes.
pub fn temporary_folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
}

#[derive(Default)]
struct FuzzSummary {
    read: usize,
    /// Refusals by message, without numbers and names.
    refused: BTreeMap<String, usize>,
    faults: Vec<String>,
    most_used: usize,
}

impl FuzzSummary {
    fn report(self, target: &FuzzTarget, whole: bool, took: Duration) {
        let refused: usize = self.refused.values().sum();
        let all = self.read + refused + self.faults.len();
        print_directly(&format!(
            "{}: {all} mutants in {:.1} s, {:.1} % read, the rest refused in {} ways; at most {} KiB at once\n",
            target.name,
            took.as_secs_f64(),
            100.0 * self.read as f64 / all.max(1) as f64,
            self.refused.len(),
            self.most_used >> 10,
        ));
        if std::env::var_os("VERDICT_WAYS").is_some() || !whole {
            let mut ways: Vec<_> = self.refused.iter().collect();
            ways.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            ways.iter().take(40).for_each(|(way, count)| print_directly(&format!("    {count:6} {way}\n")));
        }
        let shown = self.faults.iter().take(MAX_SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.faults.is_empty(), "{} of {all} mutants:\n{shown}", self.faults.len());
        // A mutator whose work is always refused, or always read, tests one line of the reader.
        if whole && all >= 1000 {
            assert!(self.read * 50 >= all, "{}: only {} of {all} mutants are read", target.name, self.read);
            assert!(refused * 500 >= all, "{}: only {refused} of {all} mutants are refused", target.name);
        }
    }
}

/// A refusal's message without the parts that depend on the file.
fn message_pattern(reason: &str) -> String {
    let mut shape = String::new();
    for (index, part) in reason.split(['"', '`']).enumerate() {
        shape.push_str(if index % 2 == 0 { part } else { "_" });
    }
    let words = shape.split_whitespace().filter(|word| !word.contains('/'));
    let shape: String = words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_ascii_digit()).take(90).collect();
    shape.replace("--", "-")
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

fn save_mutant(target: &FuzzTarget, number: u64, file: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("mutant-{}-{number}", target.name));
    std::fs::write(&path, file).expect("the mutant is kept");
    path
}

/// Prints to stderr directly, because the test harness hides the output of tests that pass.
fn print_directly(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

// What is being read now, for the message that is printed when the process ends in the middle: bytes, so that a signal
// handler may read them, and the second it began (0: nothing), counted from the first.
static NOW: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
static CURRENT_LENGTH: AtomicUsize = AtomicUsize::new(0);
static STARTED: AtomicU64 = AtomicU64::new(0);
static CLOCK: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

fn set_current(mutant: &str) {
    let text = format!("the process ended in {mutant}\n");
    let text = &text.as_bytes()[..text.len().min(8 * NOW.len())];
    for (word, bytes) in NOW.iter().zip(text.chunks(8)) {
        let mut eight = [b' '; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(eight), SeqCst);
    }
    CURRENT_LENGTH.store(text.len(), SeqCst);
    STARTED.store(1 + CLOCK.elapsed().as_secs(), SeqCst);
}

fn clear_current() {
    STARTED.store(0, SeqCst);
    CURRENT_LENGTH.store(0, SeqCst);
}

/// Ends the process, naming the mutant, when one takes too long; names it when the process ends by itself, as it does
/// on an overflowing stack and on memory that is not available.
fn start_watchdog() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::sync::LazyLock::force(&CLOCK);
        // SAFETY: the handler only reads atomics and writes them to stderr, which a handler may do.
        unsafe { libc::signal(libc::SIGABRT, print_current as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let begun = STARTED.load(SeqCst);
                if begun > 0 && CLOCK.elapsed().as_secs() > begun + MAX_SECONDS {
                    print_directly(&format!("not done after {MAX_SECONDS} seconds:\n"));
                    std::process::abort();
                }
            }
        });
    });
}

extern "C" fn print_current(_signal: libc::c_int) {
    let length = CURRENT_LENGTH.load(SeqCst);
    // SAFETY: an AtomicU64 has the layout of a u64, `length` bytes of them are text, and they are no longer written.
    unsafe { libc::write(2, NOW.as_ptr().cast(), length) };
}

//! Updates for which memory is too small, at each of their allocations. The address space of a process is limited, more
//! and more loosely, so that libtorch's allocator fails as it does on a machine without memory. Such an update has
//! changed nothing.

use std::ffi::OsStr;

use test_support::TestProcess;

use super::*;

/// 32 MiB, so that each tensor of this size is a mapping of its own.
const VALUES: i64 = PIECE;
/// The size of such a tensor in bytes.
const TENSOR: u64 = 4 * VALUES as u64;

fn process_with_a_limit() {
    TestProcess::say_ready();
    for kind in OPTIMIZERS.iter().copied() {
        let name = kind.name();
        let failures = failed_updates(kind, VALUES);
        // The gradient and a second tensor, at least.
        assert!((2..10).contains(&failures), "{name}: {failures} failures");
        if kind.0.is_elementwise {
            assert_eq!(failed_updates(kind, 2 * PIECE), failures, "{name}: pieces need the memory of one of them");
        }
        TestProcess::say(&format!("{name}: {failures} updates failed and changed nothing"));
    }
}

/// How many updates of that many weights fail, each with room for one tensor of [`TENSOR`] bytes more.
fn failed_updates(kind: OptimizerKind, weights: i64) -> usize {
    let name = kind.name();
    let matrix = ("classifier.weight".to_owned(), generated(0, &[weights / 1024, 1024]));
    let model = Model::new(vec![matrix], Kind::BFloat16);
    let settings = settings(kind);
    let mut optimizer = model.optimizer_with(&settings, Backend::Libtorch);
    let gradients = [dense(generated(1, &[weights / 1024, 1024]).to_kind(Kind::BFloat16))];
    let state = |optimizer: &Optimizer| -> Vec<Tensor> {
        let tensors = model.masters.iter().chain(&model.computes).map(Tensor::copy);
        tensors.chain(optimizer.state().iter().map(|(_, tensor)| tensor.copy())).collect()
    };
    let before = state(&optimizer);
    let mut failures = 0;
    // Room for some tensors and half of one, so that there is always enough for the text of the error.
    for room in (0..10).map(|tensors| tensors * TENSOR + TENSOR / 2) {
        let weights = model.weights();
        limit_address_space(address_space() + room);
        let result = optimizer.step_weights(&weights, &gradients, &scale(0));
        limit_address_space(libc::RLIM_INFINITY);
        let after = state(&optimizer);
        let unchanged = before.iter().zip(&after).all(|(before, after)| before.equal(after));
        match result {
            Ok(()) => {
                assert!(!unchanged, "{name}: a step changes the weights");
                break;
            }
            Err(TrainError::OutOfMemory(shortage)) => {
                assert!(unchanged && !shortage.partly_updated, "{name}, {room} bytes of room: {shortage:?}");
                failures += 1;
            }
            Err(error) => panic!("{name}, {room} bytes of room: {error}"),
        }
    }
    failures
}

#[test]
fn an_update_that_runs_out_of_memory_anywhere_changes_nothing() {
    if TestProcess::is_this() {
        return process_with_a_limit();
    }
    // One thread, whose stack is not part of the measured room; and no memory that an allocator has kept in store: glibc
    // reserves 64 MiB for each thread's heap, in which a tensor finds room where the limit leaves none, and after freed mappings
    // it takes larger pieces from the heap, unless told from which size on each is a mapping of its own.
    let environment = [
        ("OMP_NUM_THREADS", "1"),
        ("MIMALLOC_DISALLOW_ARENA_ALLOC", "1"),
        ("MALLOC_ARENA_MAX", "1"),
        ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ];
    let environment = environment.map(|(name, value)| (name, OsStr::new(value)));
    let mut process = TestProcess::start(&environment);
    OPTIMIZERS.iter().for_each(|_| process.wait_for("updates failed and changed nothing"));
    assert!(process.wait().success());
}

/// The address space of this process in bytes.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number")
}

fn limit_address_space(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call reads the structure and changes nothing in the memory of this process.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

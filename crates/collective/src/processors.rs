//! How the processes of one machine share its processors.

use std::num::NonZero;

/// The threads of one of `processes` on this machine: its share of the cores, one thread a core. A launcher that gives each
/// process processors of its own, as SLURM can, has shared them already.
pub(crate) fn share(processes: usize) -> usize {
    let usable = std::thread::available_parallelism().map_or(1, NonZero::get);
    let siblings = sibling_lists();
    let mut cores = siblings.clone();
    cores.sort_unstable();
    cores.dedup();
    share_of(usable, siblings.len(), cores.len(), processes)
}

fn share_of(usable: usize, processors: usize, cores: usize, processes: usize) -> usize {
    let threads_a_core = processors.checked_div(cores).unwrap_or(1).max(1);
    let usable_cores = usable / threads_a_core;
    let share = if usable < processors { usable_cores } else { usable_cores / processes.max(1) };
    share.max(1)
}

/// For each processor of this machine, those of its core. The process may be allowed to use only some of them.
fn sibling_lists() -> Vec<String> {
    let folder = std::fs::read_dir("/sys/devices/system/cpu");
    let processors = folder.into_iter().flatten().flatten().map(|entry| entry.path().join("topology"));
    processors.filter_map(|path| std::fs::read_to_string(path.join("thread_siblings_list")).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared_unless_the_launcher_has_done_so() {
        assert_eq!(share_of(16, 16, 16, 4), 4);
        assert_eq!(share_of(16, 16, 8, 4), 2, "one thread a core");
        assert_eq!(share_of(2, 2, 2, 4), 1);
        assert_eq!(share_of(4, 16, 16, 4), 4, "each process may use four");
        assert_eq!(share_of(4, 0, 0, 2), 2, "a system that does not say");
        assert!(share(1) >= 1);
    }
}

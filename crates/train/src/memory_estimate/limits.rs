//! Memory limits of this process: available memory and swap of the machine and of each of its control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes that this process can still get: the minimum over the machine and its control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AvailableMemory {
    /// Main memory.
    pub memory: u64,
    /// Main memory and swap together.
    pub with_swap: u64,
}

/// `None` on systems other than Linux.
pub(super) fn available() -> Option<AvailableMemory> {
    available_under(Path::new("/"))
}

/// The resident memory of this process in bytes, if the system reports it.
pub(crate) fn resident() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The peak resident memory of this process in bytes, if the system reports it.
pub(crate) fn peak() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// As [`available`], with `proc` and `sys` under `root`.
fn available_under(root: &Path) -> Option<AvailableMemory> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let memory = kibibytes(&machine, "MemAvailable:")?;
    let swap = kibibytes(&machine, "SwapFree:").unwrap_or(0);
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounted = root.join("sys/fs/cgroup");
    let in_groups = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some(GroupLimits::of(&mounted, group, &V2)),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(GroupLimits::of(&mounted.join("memory"), group, &V1))
            }
            _ => None,
        }
    });
    let least = in_groups.fold(GroupLimits { memory, swap, both: u64::MAX }, GroupLimits::min);
    let with_swap = least.memory.saturating_add(least.swap).min(least.both);
    Some(AvailableMemory { memory: least.memory.min(least.both), with_swap })
}

/// What the processes of a control group can still get, in bytes. What isn't limited is `u64::MAX`.
#[derive(Debug, Clone, Copy)]
struct GroupLimits {
    memory: u64,
    swap: u64,
    /// Main memory and swap together.
    both: u64,
}

/// The names of two files: a limit, and how much of it is in use.
type LimitAndUsage = (&'static str, &'static str);

/// The file names of a control group in one version of cgroups.
struct FileNames {
    memory: LimitAndUsage,
    swap: Option<LimitAndUsage>,
    /// Main memory and swap together.
    both: Option<LimitAndUsage>,
    /// The key in `memory.stat` of file pages that the kernel frees if memory is needed.
    reclaimable: &'static str,
}

const V2: FileNames = FileNames {
    memory: ("memory.max", "memory.current"),
    swap: Some(("memory.swap.max", "memory.swap.current")),
    both: None,
    reclaimable: "inactive_file",
};
const V1: FileNames = FileNames {
    memory: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    swap: None,
    both: Some(("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes")),
    reclaimable: "total_inactive_file",
};

impl GroupLimits {
    const NONE: Self = Self { memory: u64::MAX, swap: u64::MAX, both: u64::MAX };

    /// The limits of a group and its ancestors together. In a container the group's own path may not be visible; then
    /// only the limits of the root group apply.
    fn of(top: &Path, group: &str, names: &FileNames) -> Self {
        let group = top.join(group);
        let folders = group.ancestors().take_while(|folder| folder.starts_with(top));
        folders.map(|folder| Self::of_one(folder, names)).fold(Self::NONE, Self::min)
    }

    fn of_one(folder: &Path, names: &FileNames) -> Self {
        let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let reclaimable = stat.lines().find_map(|line| line.strip_prefix(names.reclaimable)?.strip_prefix(' '));
        let reclaimable: u64 = reclaimable.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        // "max", or on version 1 a number near 2^63, is no limit, and so is a missing file.
        let left = |(limit, usage): LimitAndUsage, reclaimable: u64| {
            let (limit, usage) = (number(folder.join(limit))?, number(folder.join(usage))?);
            Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
        };
        Self {
            memory: left(names.memory, reclaimable).unwrap_or(u64::MAX),
            swap: names.swap.and_then(|swap| left(swap, 0)).unwrap_or(u64::MAX),
            both: names.both.and_then(|both| left(both, reclaimable)).unwrap_or(u64::MAX),
        }
    }

    fn min(self, other: Self) -> Self {
        Self { memory: self.memory.min(other.memory), swap: self.swap.min(other.swap), both: self.both.min(other.both) }
    }
}

/// The bytes of a line like `MemAvailable:  123 kB`.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A temporary folder with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) =
        ("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  100 kB\nMemAvailable:    8192000 kB\n");

    fn available_with(files: &[(&str, &str)]) -> Option<u64> {
        let available = available_under(tree(&[&[MACHINE], files].concat()).path())?;
        assert_eq!(available.memory, available.with_swap, "this machine has no swap");
        Some(available.memory)
    }

    /// Main memory, and main memory with swap, in MiB, of a machine with 8,000 of the one and 2,000 of the other.
    fn with_swap(files: &[(&str, &str)]) -> (u64, u64) {
        let machine = ("proc/meminfo", "MemAvailable:    8192000 kB\nSwapTotal:  9 kB\nSwapFree:       2048000 kB\n");
        let available = available_under(tree(&[&[machine], files].concat()).path()).unwrap();
        (available.memory / MIB, available.with_swap / MIB)
    }

    #[test]
    fn swap_counts_where_the_machine_and_every_group_allow_it() {
        assert_eq!(with_swap(&[]), (8000, 10000));
        let group = [
            ("proc/self/cgroup", "0::/jobs/a\n"),
            ("sys/fs/cgroup/jobs/a/memory.max", "1048576000\n"),
            ("sys/fs/cgroup/jobs/a/memory.current", "0\n"),
        ];
        let and = |more: &[(&'static str, &'static str)]| with_swap(&[group.as_slice(), more].concat());
        assert_eq!(and(&[]), (1000, 3000), "swap that is not limited");
        assert_eq!(and(&[("sys/fs/cgroup/jobs/a/memory.swap.max", "max\n")]), (1000, 3000));
        let limit = ("sys/fs/cgroup/jobs/a/memory.swap.max", "524288000\n");
        assert_eq!(and(&[limit, ("sys/fs/cgroup/jobs/a/memory.swap.current", "104857600\n")]), (1000, 1400));
        let none = [("sys/fs/cgroup/jobs/memory.swap.max", "0\n"), ("sys/fs/cgroup/jobs/memory.swap.current", "0\n")];
        assert_eq!(and(&none), (1000, 1000), "the group above has none");
    }

    #[test]
    fn version_one_limits_memory_and_swap_together() {
        let group = [
            ("proc/self/cgroup", "4:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "209715200\n"),
        ];
        assert_eq!(with_swap(&group), (800, 2800));
        let both = [
            ("sys/fs/cgroup/memory/a/memory.memsw.limit_in_bytes", "1572864000\n"),
            ("sys/fs/cgroup/memory/a/memory.memsw.usage_in_bytes", "314572800\n"),
        ];
        assert_eq!(with_swap(&[group.as_slice(), &both].concat()), (800, 1200));
        let no_swap = [
            ("sys/fs/cgroup/memory/a/memory.memsw.limit_in_bytes", "1048576000\n"),
            ("sys/fs/cgroup/memory/a/memory.memsw.usage_in_bytes", "314572800\n"),
        ];
        assert_eq!(with_swap(&[group.as_slice(), &no_swap].concat()), (700, 700), "its limit counts for memory, too");
    }

    #[test]
    fn a_machine_without_groups() {
        assert_eq!(available_with(&[]), Some(8000 * MIB));
        assert_eq!(
            available_with(&[
                ("proc/self/cgroup", "0::/user.slice\n"),
                ("sys/fs/cgroup/user.slice/memory.max", "max\n")
            ]),
            Some(8000 * MIB)
        );
        assert_eq!(available_under(tree(&[]).path()), None);
        assert_eq!(available_under(tree(&[("proc/meminfo", "MemTotal: 5 kB\n")]).path()), None);
    }

    #[test]
    fn a_group_of_version_two_and_those_above_it() {
        let inner = [
            ("proc/self/cgroup", "0::/jobs/a\n"),
            ("sys/fs/cgroup/jobs/a/memory.max", "2097152000\n"),
            ("sys/fs/cgroup/jobs/a/memory.current", "1048576000\n"),
            ("sys/fs/cgroup/jobs/a/memory.stat", "anon 1\ninactive_file 104857600\nactive_file 3\n"),
        ];
        assert_eq!(available_with(&inner), Some(1100 * MIB), "unused file pages are free");
        let outer = [("sys/fs/cgroup/jobs/memory.max", "104857600"), ("sys/fs/cgroup/jobs/memory.current", "52428800")];
        assert_eq!(available_with(&[inner.as_slice(), &outer].concat()), Some(50 * MIB));
        let full = [("sys/fs/cgroup/jobs/memory.max", "104857600"), ("sys/fs/cgroup/jobs/memory.current", "204857600")];
        assert_eq!(available_with(&[inner.as_slice(), &full].concat()), Some(0));
    }

    #[test]
    fn a_container_that_sees_its_group_at_the_top() {
        let limits = |path: &str| {
            let files = [
                ("proc/self/cgroup".to_owned(), format!("0::{path}\n")),
                ("sys/fs/cgroup/memory.max".to_owned(), "1048576000".to_owned()),
                ("sys/fs/cgroup/memory.current".to_owned(), "524288000".to_owned()),
            ];
            available_with(&files.each_ref().map(|(name, content)| (name.as_str(), content.as_str())))
        };
        assert_eq!(limits("/"), Some(500 * MIB));
        assert_eq!(limits("/docker/0123abcd"), Some(500 * MIB));
    }

    #[test]
    fn a_group_of_version_one() {
        let files = [
            ("proc/self/cgroup", "11:cpu,cpuacct:/a\n4:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "943718400\n"),
            ("sys/fs/cgroup/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 52428800\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "943718400\n"),
        ];
        assert_eq!(available_with(&files), Some(150 * MIB));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_could_have_more() {
        assert!(resident().unwrap() > MIB);
        let available = available().unwrap();
        assert!(available.memory > 0 && available.with_swap >= available.memory);
    }
}

//! Memory limits of this process: available memory of the machine and of each of its control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes that this process can still allocate: the minimum over the machine and its control groups. `None` on
/// systems other than Linux.
pub(crate) fn available() -> Option<u64> {
    available_under(Path::new("/"))
}

/// The resident memory of this process in bytes, if the system reports it.
pub(super) fn resident() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The peak resident memory of this process in bytes, if the system reports it.
pub(crate) fn peak() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// As [`available`], with `proc` and `sys` under `root`.
fn available_under(root: &Path) -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string(root.join("proc/meminfo")).ok()?, "MemAvailable:")?;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounted = root.join("sys/fs/cgroup");
    let in_groups = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?.trim_start_matches('/'));
        match controllers {
            "" => available_in_group(&mounted, group, &V2),
            _ if controllers.split(',').any(|name| name == "memory") => {
                available_in_group(&mounted.join("memory"), group, &V1)
            }
            _ => None,
        }
    });
    Some(in_groups.fold(machine, u64::min))
}

/// The file names of a control group in one version of cgroups.
struct FileNames {
    limit: &'static str,
    usage: &'static str,
    /// The key in `memory.stat` of file pages that the kernel frees if memory is needed.
    reclaimable: &'static str,
}

const V2: FileNames = FileNames { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };
const V1: FileNames =
    FileNames { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file" };

/// The minimum available memory of a group and its ancestors. In a container the group's own path may not be visible;
/// then only the limits of the root group apply.
fn available_in_group(top: &Path, group: &str, names: &FileNames) -> Option<u64> {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = top.join(group);
    let folders = group.ancestors().take_while(|folder| folder.starts_with(top));
    let available = folders.filter_map(|folder| {
        // "max", or on version 1 a number near 2^63, is no limit.
        let (limit, usage) = (number(folder.join(names.limit))?, number(folder.join(names.usage))?);
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let reclaimable = stat.lines().find_map(|line| line.strip_prefix(names.reclaimable)?.strip_prefix(' '));
        let reclaimable: u64 = reclaimable.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    });
    available.min()
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
        available_under(tree(&[&[MACHINE], files].concat()).path())
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
        assert!(available().unwrap() > 0);
    }
}

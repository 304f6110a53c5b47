//! Free space on a disk: how much there is, and whether an error says that there is none left.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

/// The bytes that an ordinary user can still write to the file system of `path`, which must be there.
///
/// # Errors
/// What the system says where it can't tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(path)?;
    // Blocks are counted in fragments; those reserved for the superuser don't count.
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Whether an operation failed for lack of space: a full disk, a quota, a file larger than is allowed.
pub fn is_full(error: &io::Error) -> bool {
    // A quota and a size limit have kinds of their own, but not on every system.
    let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].map(|errno| Some(errno.raw_os_error()));
    let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
    kinds.contains(&error.kind()) || (error.raw_os_error().is_some() && full.contains(&error.raw_os_error()))
}

/// `1.3 GB`, `20.5 MB`, `0.4 kB`, `512 B`: one decimal in decimal units, as disks are sold.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let size = bytes as f64;
    // What would be rounded up to "1000.0 MB" is 1.0 of the next unit.
    match UNITS.iter().find(|(_, unit)| size >= 0.99995 * unit) {
        Some((name, unit)) => format!("{:.1} {name}", size / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn free_space_agrees_with_coreutils() {
        let folder = tempfile::tempdir().unwrap();
        let df = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(folder.path()).output();
        let Ok(df) = df else {
            return test_support::skipped("there is no `df` here");
        };
        let text = String::from_utf8(df.stdout).unwrap();
        let expected: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        let difference = free_bytes(folder.path()).unwrap().abs_diff(expected);
        // Other programs write meanwhile.
        assert!(difference < 1 << 30, "{difference} bytes off {expected}");
    }

    #[test]
    fn only_missing_space_is_reported_as_a_full_disk() {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert!(is_full(&io::Error::from_raw_os_error(errno.raw_os_error())), "{errno}");
        }
        assert!(is_full(&ErrorKind::StorageFull.into()));
        for errno in [Errno::IO, Errno::ACCESS, Errno::ROFS, Errno::NOMEM] {
            assert!(!is_full(&io::Error::from_raw_os_error(errno.raw_os_error())), "{errno}");
        }
        assert!(!is_full(&io::Error::other("anything else")));
    }

    #[test]
    fn a_full_device_is_full() {
        let Ok(mut full) = std::fs::File::options().write(true).open("/dev/full") else {
            return test_support::skipped("this system has no /dev/full");
        };
        assert!(is_full(&full.write_all(b"x").unwrap_err()));
    }

    #[test]
    fn sizes_have_one_decimal_and_the_unit_that_fits() {
        let sizes =
            [0, 999, 1_000, 20_480_000, 999_940_000, 999_960_000, 1_313_000_000, 7_000_000_000_000].map(human_bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "20.5 MB", "999.9 MB", "1.0 GB", "1.3 GB", "7.0 TB"]);
    }
}

//! Paths above and beside a path, and the names of what is unfinished.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Prefix of the names of unfinished files and folders. Those that a killed process left behind can be removed.
pub const UNFINISHED: &str = ".unfinished-";

/// The folder that a path's last name is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A unique temporary name beside `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!("{UNFINISHED}{name}-{}-{number}", std::process::id()))
}

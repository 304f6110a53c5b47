//! The calls that change the names on a disk. Each goes through [`faults`], which can make it fail, and
//! knows what a power cut would undo.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::faults::{self, NameChange, call, change};

/// Opens a file with these options, which may create it.
pub(crate) fn open_or_create(path: &Path, options: &OpenOptions) -> io::Result<File> {
    change(NameChange::File(path), || options.open(path))
}

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    change(NameChange::Folder(path), || fs::create_dir(path))
}

pub(crate) fn hard_link(file: &Path, path: &Path) -> io::Result<()> {
    change(NameChange::HardLink { file, path }, || fs::hard_link(file, path))
}

#[cfg(unix)]
pub(crate) fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    change(NameChange::Symlink { target, path }, || std::os::unix::fs::symlink(target, path))
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    change(NameChange::Removal(path), || fs::remove_file(path))
}

pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    change(NameChange::Removal(path), || fs::remove_dir(path))
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    change(NameChange::Rename { from, to }, || fs::rename(from, to))
}

/// Exchanges two folders atomically, so that neither path is ever missing. False, and nothing is changed, if the kernel
/// (ENOSYS, EOPNOTSUPP) or the file system (EINVAL) has no such exchange.
#[cfg(target_os = "linux")]
pub(crate) fn try_exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let exchange = || match faults::exchange_is_missing() {
        true => Err(ErrorKind::Unsupported.into()),
        false => Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?),
    };
    match change(NameChange::Exchange { one, other }, exchange) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn try_exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Makes sure that the names in a folder survive a power cut. Only Unix has that, except some network file systems.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match call(|| File::open(folder)?.sync_all()) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            faults::names_synced(folder);
            Ok(())
        }
    }
}

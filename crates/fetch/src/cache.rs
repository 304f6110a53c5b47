//! Where our own files lie, and how a file gets there: written beside its place, synced, renamed, under a lock.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::{FetchError, Result};

/// The folder of everything this project downloads by itself: `$VERDICT_CACHE`, else `$XDG_CACHE_HOME/verdict`, else
/// `~/.cache/verdict`. What comes from the Hub lies in the Hub's own cache instead, shared with Python.
///
/// # Errors
/// [`FetchError::NoHome`] when none of these is set.
pub fn cache_dir() -> Result<PathBuf> {
    cache_dir_from(|name| env::var_os(name))
}

fn cache_dir_from(var: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    if let Some(own) = non_empty(var("VERDICT_CACHE")) {
        return Ok(own);
    }
    Ok(user_cache(var)?.join("verdict"))
}

/// `$XDG_CACHE_HOME`, else `~/.cache`.
pub(crate) fn user_cache(var: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    // The specification asks to ignore a relative XDG_CACHE_HOME.
    if let Some(xdg) = non_empty(var("XDG_CACHE_HOME")).filter(|path| path.is_absolute()) {
        return Ok(xdg);
    }
    let home = non_empty(var("HOME")).or_else(env::home_dir).ok_or(FetchError::NoHome)?;
    Ok(home.join(".cache"))
}

fn non_empty(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// An exclusive lock that the operating system releases when its holder ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock, which ends with it")] File);

impl Lock {
    /// Waits for the lock on `path`, and says so when another process has it.
    pub(crate) fn acquire(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            create_dir_all(parent)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(FetchError::io("open the lock", path))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                tracing::info!("another process is fetching the same file; waiting for it ({})", path.display());
            }
            Err(TryLockError::Error(source)) => return Err(FetchError::io("lock", path)(source)),
        }
        file.lock().map_err(FetchError::io("lock", path))?;
        Ok(Self(file))
    }
}

pub(crate) fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(FetchError::io("create", path))
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    create_dir_all(parent)?;
    let failed = || FetchError::io("write", path);
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed())?;
    file.write_all(content).map_err(failed())?;
    file.as_file().sync_all().map_err(failed())?;
    // Temporary files are private to their owner; a cache may be shared.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed())?;
    }
    file.persist(path).map_err(|error| failed()(error.error))?;
    sync_dir(parent);
    Ok(())
}

/// Makes a finished temporary folder appear at `place` in one step; what lay there before is removed.
pub(crate) fn publish_dir(finished: tempfile::TempDir, place: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(finished.path(), fs::Permissions::from_mode(0o755))
            .map_err(FetchError::io("open up", finished.path()))?;
    }
    sync_dir(finished.path());
    if place.exists() {
        fs::remove_dir_all(place).map_err(FetchError::io("replace", place))?;
    }
    fs::rename(finished.path(), place).map_err(FetchError::io("move into", place))?;
    // Renamed away: there is nothing left for the guard to clean up.
    let _ = finished.keep();
    sync_dir(place.parent().unwrap_or(Path::new(".")));
    Ok(())
}

/// A rename is durable once its folder is synced. Not every file system can; the data itself is synced already.
pub(crate) fn sync_dir(path: &Path) {
    if let Ok(folder) = File::open(path) {
        let _ = folder.sync_all();
    }
}

/// The sha256 of a file, in lower-case hex.
///
/// # Errors
/// [`FetchError::Io`] when the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    feed(path, |bytes| hasher.update(bytes))?;
    Ok(hex(&hasher.finalize()))
}

/// The sha256 of a text, in lower-case hex.
pub(crate) fn sha256_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// The name git gives to a file's content: the SHA-1 of `blob <length>\0` and the content.
pub(crate) fn git_sha1_file(path: &Path) -> Result<String> {
    let length = fs::metadata(path).map_err(FetchError::io("read", path))?.len();
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {length}\0"));
    feed(path, |bytes| hasher.update(bytes))?;
    Ok(hex(&hasher.finalize()))
}

fn feed(path: &Path, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut file = File::open(path).map_err(FetchError::io("read", path))?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => each(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FetchError::io("read", path)(error)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn cache_dir_takes_the_first_that_is_set() {
        let all = [("VERDICT_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(cache_dir_from(vars(&all)).unwrap(), Path::new("/a"));
        assert_eq!(cache_dir_from(vars(&all[1..])).unwrap(), Path::new("/b/verdict"));
        assert_eq!(cache_dir_from(vars(&all[2..])).unwrap(), Path::new("/c/.cache/verdict"));
        let odd = [("VERDICT_CACHE", ""), ("XDG_CACHE_HOME", "relative"), ("HOME", "/c")];
        assert_eq!(cache_dir_from(vars(&odd)).unwrap(), Path::new("/c/.cache/verdict"));
    }

    #[test]
    fn digests_are_those_of_sha256sum_and_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        fs::write(&path, "hello\n").unwrap();
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(sha256_file(&path).unwrap(), sha256);
        // `git hash-object hello`
        assert_eq!(git_sha1_file(&path).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn a_lock_keeps_a_second_holder_waiting_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/x.lock");
        let held = Lock::acquire(&path).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let path = path.clone();
            move || {
                let lock = Lock::acquire(&path);
                tell.send(()).unwrap();
                lock.map(drop)
            }
        });
        assert!(told.recv_timeout(std::time::Duration::from_millis(200)).is_err());
        drop(held);
        told.recv_timeout(std::time::Duration::from_secs(10)).expect("the second holder never got the lock");
        second.join().unwrap().unwrap();
    }

    #[test]
    fn publishing_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("old"), "old").unwrap();
        let fresh = tempfile::tempdir_in(folder.path()).unwrap();
        fs::write(fresh.path().join("new"), "new").unwrap();
        publish_dir(fresh, &place).unwrap();
        assert!(!place.join("old").exists());
        assert_eq!(fs::read_to_string(place.join("new")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary folder was left behind");
    }
}

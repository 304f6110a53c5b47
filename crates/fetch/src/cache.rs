//! Where files that don't come from the Hub are kept, and the lock that keeps two processes from fetching the same one.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use disk::Lock;

use crate::error::{FetchError, Result};

/// The folder of everything this project downloads by itself: `$VERDICT_CACHE`, else `$XDG_CACHE_HOME/verdict`, else
/// `~/.cache/verdict`. What comes from the Hub lies in the Hub's own cache instead, shared with Python.
///
/// # Errors
/// [`FetchError::NoHome`] when none of these is set.
fn cache_dir() -> Result<PathBuf> {
    cache_dir_from(|name| env::var_os(name))
}

/// Does something in that folder. An error of writing there names the variable that moves it.
pub(crate) fn in_cache<T>(work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let cache = cache_dir()?;
    work(&cache).map_err(|error| error.of_cache(&cache, "VERDICT_CACHE"))
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

/// Waits for the lock on a file that is to be fetched, and says so when another process has it.
pub(crate) fn lock(path: &Path) -> Result<Lock> {
    let waiting = || tracing::info!("another process is fetching the same file; waiting for it ({})", path.display());
    Ok(Lock::acquire(path, waiting)?)
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
    fn a_cache_that_cannot_be_written_names_the_variable_that_moves_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = file.path().join("verdict");
        let error = lock(&cache.join("packaged/x.lock")).map(drop).unwrap_err().of_cache(&cache, "VERDICT_CACHE");
        let message = error.to_string();
        assert!(message.contains("set VERDICT_CACHE to a folder that you can write to"), "{message}");
        assert!(message.contains(&*cache.to_string_lossy()), "{message}");
        // Another place, or another reason.
        let elsewhere =
            lock(&cache.join("x")).map(drop).unwrap_err().of_cache(Path::new("/elsewhere"), "VERDICT_CACHE");
        assert!(matches!(elsewhere, FetchError::Disk(_)), "{elsewhere}");
    }
}

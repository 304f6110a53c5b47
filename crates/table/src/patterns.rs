//! The files that paths and patterns such as `shards/train-*.parquet` stand for.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

use crate::error::TableError;
use crate::natural_order::natural_order;

/// A star stays within a folder and doesn't match hidden files, as in a shell.
const AS_IN_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files and folders that patterns stand for, those of each pattern in natural order. A path that exists stands for
/// itself, even if it holds a `*` or a `[`.
///
/// # Errors
/// A pattern that matches nothing, a path that isn't there, and a file that is named twice.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// for name in ["train-10.csv", "train-9.csv", "test.csv"] {
///     std::fs::write(folder.path().join(name), "text,label\n")?;
/// }
/// let pattern = folder.path().join("train-*.csv");
/// let found = table::expand(&[pattern.to_str().expect("UTF-8")])?;
/// assert_eq!(found, [folder.path().join("train-9.csv"), folder.path().join("train-10.csv")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn expand(patterns: &[impl AsRef<str>]) -> Result<Vec<PathBuf>, TableError> {
    let mut files = Vec::new();
    let mut seen: HashMap<PathBuf, PathBuf> = HashMap::new();
    for pattern in patterns {
        for path in matching(pattern.as_ref())? {
            let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if let Some(earlier) = seen.insert(identity, path.clone()) {
                let reason = if earlier == path {
                    "named twice; its rows would be read twice (hint: name it once)".to_owned()
                } else {
                    format!("the same file as {}; its rows would be read twice (hint: name one)", earlier.display())
                };
                return Err(TableError::file(path, reason));
            }
            files.push(path);
        }
    }
    Ok(files)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>, TableError> {
    let path = Path::new(pattern);
    match fs::symlink_metadata(path) {
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(error) if Pattern::escape(pattern) == pattern => return Err(TableError::io(path, error)),
        Err(_) => {}
    }
    let found = glob_with(pattern, AS_IN_A_SHELL).map_err(|error| {
        TableError::file(path, format!("not a file, and not a pattern: {} at character {}", error.msg, error.pos + 1))
    })?;
    let mut found =
        found.collect::<Result<Vec<_>, _>>().map_err(|error| TableError::io(error.path().to_owned(), error.into()))?;
    if found.is_empty() {
        let reason = "no file matches this pattern (hint: in * and ? it is as in a shell; ** goes through folders)";
        return Err(TableError::file(path, reason));
    }
    found.sort_by(|one, other| natural_order(&one.to_string_lossy(), &other.to_string_lossy()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_files_in_natural_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("in")).unwrap();
        for name in ["a-10.csv", "a-9.csv", "b[1]*.csv", "b1x.csv", ".a-1.csv", "in/a-1.csv", "c.tsv"] {
            fs::write(path(name), "text\nx\n").unwrap();
        }
        let expand = |names: &[&str]| {
            let patterns: Vec<String> =
                names.iter().map(|name| format!("{}/{name}", folder.path().display())).collect();
            super::expand(&patterns)
        };
        let found = |names: &[&str]| {
            let found = expand(names).unwrap();
            found.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&["a-*.csv"]), ["a-9.csv", "a-10.csv"]);
        assert_eq!(found(&["c.tsv", "a-*.csv"]), ["c.tsv", "a-9.csv", "a-10.csv"]);
        assert_eq!(found(&["**/a-?.csv"]), ["a-9.csv", "in/a-1.csv"]);
        // A file's own name, not the pattern that it also is.
        assert_eq!(found(&["b[1]*.csv"]), ["b[1]*.csv"]);
        assert_eq!(found(&["b[1]?.csv"]), ["b1x.csv"]);
        let refusal = |names: &[&str]| expand(names).unwrap_err().to_string();
        assert!(refusal(&["z*.csv"]).contains("z*.csv: no file matches this pattern"), "{}", refusal(&["z*.csv"]));
        assert!(refusal(&["z.csv"]).contains("z.csv: No such file"), "{}", refusal(&["z.csv"]));
        assert!(refusal(&["z[.csv"]).contains("z[.csv: not a file, and not a pattern: "));
        assert!(refusal(&["c.tsv", "in/../c.tsv"]).contains("c.tsv; its rows would be read twice"));
        assert!(refusal(&["a-9.csv", "a-*.csv"]).contains("a-9.csv: named twice"));
    }
}

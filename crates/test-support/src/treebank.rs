//! The Stanford Sentiment Treebank, which the repository doesn't hold.

use std::path::{Path, PathBuf};

use crate::{repository, skipped};

/// The folder of `train.txt`, `dev.txt` and `test.txt`: the one that `VERDICT_SST` names, else `../shared/data/sst` beside the
/// repository. `None`, which is printed as SKIPPED, where there is none.
pub fn treebank() -> Option<PathBuf> {
    let folder = std::env::var_os("VERDICT_SST").map_or_else(|| repository().join("../shared/data/sst"), PathBuf::from);
    let found = find(&folder);
    if found.is_none() {
        skipped(&format!("no treebank in {} (hint: set VERDICT_SST to its folder)", folder.display()));
    }
    found
}

/// The folder as an absolute path, if it holds the treebank.
fn find(folder: &Path) -> Option<PathBuf> {
    let whole = ["train.txt", "dev.txt", "test.txt"].iter().all(|name| folder.join(name).is_file());
    whole.then(|| folder.canonicalize().expect("a folder that can be opened"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_all_three_files_is_no_treebank() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(find(folder.path()), None);
        for name in ["train.txt", "dev.txt", "test.txt"] {
            assert_eq!(find(folder.path()), None, "without {name}");
            std::fs::write(folder.path().join(name), "(3 (2 It) (4 works))\n").expect("written");
        }
        assert_eq!(find(folder.path()), Some(folder.path().canonicalize().expect("a path")));
    }
}

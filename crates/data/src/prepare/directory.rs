//! Where prepared data goes, and whether it may be written there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::audit::AUDIT;
use crate::error::DataError;
use crate::loaded::{Loaded, OWN_LICENSE};
use crate::manifest::{MANIFEST, Prepared, SPLITS, file_name};

/// The most bytes of a name, of the 255 that a file system allows, of which hidden names beside it need some.
const MAX_NAME: usize = 200;

/// A data set's name as a folder's, in letters and digits of any script. A file keeps its ending and a data set of the Hub
/// its owner, so that neither `reviews.csv` nor `owner/reviews` takes the place of `reviews`.
pub(super) fn name(dataset: &str) -> String {
    let harmless = |c: char| {
        if c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '_' | '.') { c } else { '-' }
    };
    let name: String = dataset.nfc().map(harmless).collect();
    let mut name = name.trim_matches(['.', '-']);
    while name.len() > MAX_NAME {
        name = &name[..name.char_indices().next_back().map_or(0, |(at, _)| at)];
    }
    if name.is_empty() { "own".into() } else { name.into() }
}

/// Refuses to replace the prepared data of another data set. Another version of the same one may replace it.
pub(super) fn check_replaces(output: &Path, loaded: &Loaded) -> Result<(), DataError> {
    let Ok(Prepared { manifest, .. }) = Prepared::open(output) else { return Ok(()) };
    let is_own = |license: &str| license == OWN_LICENSE;
    let place = |source: &str| fs::canonicalize(source).unwrap_or_else(|_| source.into());
    let same = manifest.dataset == loaded.dataset
        && is_own(&manifest.license) == is_own(&loaded.license)
        && (!is_own(&loaded.license)
            || place(&manifest.source) == place(&loaded.source)
            || manifest.source_sha256 == loaded.source_sha256);
    if same {
        return Ok(());
    }
    Err(DataError::content(
        output,
        format!(
            "holds the prepared data of {} ({}), and this is {} ({}); nothing was changed (hint: --output for another \
             folder, or --replace)",
            manifest.dataset, manifest.source, loaded.dataset, loaded.source
        ),
    ))
}

/// Refuses an output that is not ours to replace: anything but a new place, an empty directory or prepared data.
pub(super) fn check(output: &Path) -> Result<(), DataError> {
    let entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let message = "is a file, and prepared data is a folder; nothing was changed (hint: another --output)";
            return Err(DataError::content(output, message));
        }
        Err(error) => return Err(DataError::io(output, error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| DataError::io(output, error))?.file_name();
        let ours = name == MANIFEST || name == AUDIT || SPLITS.iter().any(|split| name == *file_name(split));
        if !ours {
            return Err(DataError::content(
                output,
                format!("holds {name:?}, which is not prepared data; nothing was changed (hint: another --output)"),
            ));
        }
    }
    Ok(())
}

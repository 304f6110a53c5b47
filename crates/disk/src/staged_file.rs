//! Publishing a file in one step, for writers that return between one part and the next.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::calls::{remove_file, rename, sync_folder};
use crate::error::{DiskError, Result};
use crate::new_file::NewFile;
use crate::path::{beside, folder_of};

/// A file that is being written beside its place. Dropped without [`publish`](Self::publish), it is removed.
#[derive(Debug)]
pub struct StagedFile {
    /// `None` once it is synced.
    file: Option<NewFile>,
    unfinished: PathBuf,
    place: PathBuf,
}

impl StagedFile {
    /// Begins a file for `place`, whose folder must be there.
    ///
    /// # Errors
    /// A folder that isn't there or can't be written to.
    pub fn create(place: &Path) -> Result<Self> {
        let unfinished = beside(place);
        let file = NewFile::create(&unfinished).map_err(DiskError::at("write", place))?;
        Ok(Self { file: Some(file), unfinished, place: place.to_owned() })
    }

    /// Syncs the file and puts it in its place, where it replaces an older one.
    ///
    /// # Errors
    /// A full disk, or a place that can't be written to; an older file then stays.
    pub fn publish(mut self) -> Result<()> {
        let finished = self.file.take().map_or(Ok(()), NewFile::finish);
        let place = &self.place;
        finished
            .and_then(|()| rename(&self.unfinished, place))
            .and_then(|()| sync_folder(folder_of(place)))
            .map_err(DiskError::at("write", place))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    /// Does nothing: readers see the file when it is published.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        drop(self.file.take());
        if self.unfinished.exists() {
            let _ = remove_file(&self.unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::faults::power_cuts;

    #[test]
    fn a_file_appears_when_it_is_published_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out.csv");
        fs::write(&place, "older").unwrap();
        let mut dropped = StagedFile::create(&place).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read(&place).unwrap(), b"older");
        let mut file = StagedFile::create(&place).unwrap();
        file.write_all(b"whole").unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_power_cut_leaves_the_older_file_or_the_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out.csv");
        let publish = || {
            let mut file = StagedFile::create(&place)?;
            file.write_all(b"newer").map_err(DiskError::at("write", &place))?;
            file.publish()
        };
        let states = power_cuts(
            folder.path(),
            || fs::write(&place, "older").unwrap(),
            publish,
            |published, state| match fs::read_to_string(&place).as_deref() {
                Ok("newer") => {}
                Ok("older") if published.is_err() => {}
                found => panic!("{found:?}: {state}"),
            },
        );
        assert!(states > 10, "{states}");
    }
}

//! Where a table's bytes come from: a file, or a stream that can be read once.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::compression::Compression;
use crate::error::TableError;

/// A file by its path, or a stream such as the standard input.
pub(crate) struct Input {
    /// The path; of a stream a name for messages.
    path: PathBuf,
    stream: Option<Box<dyn Read + Send>>,
}

impl Input {
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None }
    }

    pub(crate) fn stream(name: &str, stream: Box<dyn Read + Send>) -> Self {
        Self { path: name.into(), stream: Some(stream) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The bytes of a file that holds something, or of the stream.
    pub(crate) fn into_reader(self) -> Result<Box<dyn Read + Send>, TableError> {
        match self.stream {
            Some(stream) => Ok(stream),
            None => Ok(Box::new(open_regular(&self.path)?)),
        }
    }

    /// The file itself, for formats that seek.
    pub(crate) fn open_file(&self) -> Result<File, TableError> {
        if self.stream.is_some() {
            let reason = "this format is read from a file, not from a pipe (hint: save it to a file first)";
            return Err(TableError::file(&self.path, reason));
        }
        let io = |error| TableError::io(&self.path, error);
        let mut file = open_regular(&self.path)?;
        let mut head = Vec::new();
        (&mut file).take(Compression::MAGIC_BYTES as u64).read_to_end(&mut head).map_err(io)?;
        if let Some(compression) = Compression::of_bytes(&head) {
            let (name, command) = (compression.name(), compression.unpack_command());
            let reason = format!("a {name} archive; this format is compressed inside (hint: `{command}` unpacks it)");
            return Err(TableError::file(&self.path, reason));
        }
        file.rewind().map_err(io)?;
        Ok(file)
    }
}

/// Opens a regular file that holds something.
pub(crate) fn open_regular(path: &Path) -> Result<File, TableError> {
    let file = File::open(path).map_err(|error| TableError::io(path, error))?;
    let about = file.metadata().map_err(|error| TableError::io(path, error))?;
    if !about.is_file() {
        return Err(TableError::file(path, "not a regular file (hint: save the data to a file first)"));
    }
    if about.len() == 0 {
        return Err(TableError::file(path, "the file is empty (0 bytes)"));
    }
    Ok(file)
}

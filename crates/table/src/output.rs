//! Where a table is written to.

use std::io::{self, Write};

use disk::StagedFile;

/// A file that appears when it is complete, or a stream such as the standard output.
pub(crate) enum Output {
    File(StagedFile),
    Stream(Box<dyn Write + Send>),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

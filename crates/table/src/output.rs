//! Where a table is written to.

use std::io::{self, Write};
use std::path::Path;

use disk::StagedFile;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder;

use crate::compression::Compression;

/// A file that appears when it is complete, or a stream such as the standard output; or one of them, compressed.
pub(crate) enum Output {
    File(StagedFile),
    Stream(Box<dyn Write + Send>),
    Gzip(GzEncoder<Box<Output>>),
    Zstandard(Encoder<'static, Box<Output>>),
}

impl Output {
    /// Compressed as the ending of a file's name says: `scores.csv.gz`.
    pub(crate) fn compressed(self, path: &Path) -> io::Result<Self> {
        Ok(match Compression::of_name(path) {
            None => self,
            Some(Compression::Gzip) => Self::Gzip(GzEncoder::new(Box::new(self), flate2::Compression::default())),
            Some(Compression::Zstandard) => {
                let mut encoder = Encoder::new(Box::new(self), zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstandard(encoder)
            }
        })
    }

    /// The file or stream, where what was compressed is written to its end.
    pub(crate) fn completed(self) -> io::Result<Self> {
        match self {
            Self::Gzip(encoder) => Ok(*encoder.finish()?),
            Self::Zstandard(encoder) => Ok(*encoder.finish()?),
            plain => Ok(plain),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstandard(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstandard(encoder) => encoder.flush(),
        }
    }
}

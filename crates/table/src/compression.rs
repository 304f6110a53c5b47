//! Compressed text files: `.gz` and `.zst`, known by their first bytes and read as a stream.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// A compression that files of any text format may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstandard,
}

/// The largest window that is allocated for Zstandard, as a power of two; that of its command without `--long`.
const MAX_WINDOW_LOG: u32 = 27;

impl Compression {
    const ALL: [Self; 2] = [Self::Gzip, Self::Zstandard];
    /// The bytes that tell.
    pub(crate) const MAGIC_BYTES: usize = 4;

    pub(crate) fn of_bytes(head: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| head.starts_with(compression.magic()))
    }

    /// That of a file name's last ending: `reviews.csv.gz`.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?;
        Self::ALL.into_iter().find(|compression| ending.eq_ignore_ascii_case(compression.ending()))
    }

    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstandard => "zst",
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => b"\x1F\x8B",
            Self::Zstandard => b"\x28\xB5\x2F\xFD",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstandard => "Zstandard",
        }
    }

    /// The command that unpacks a file.
    pub(crate) fn unpack_command(self) -> &'static str {
        match self {
            Self::Gzip => "gzip -d FILE",
            Self::Zstandard => "zstd -d FILE",
        }
    }

    /// The unpacked bytes. Errors of the archive itself have their words; see [`archive_fault`].
    pub(crate) fn unpack(self, packed: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let reader: Box<dyn Read + Send> = match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Zstandard => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(packed))?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(Unpacked { reader, compression: self, unpacked: 0 }))
    }
}

/// Damage of an archive.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ArchiveFault(String);

/// The words for a damaged archive, if that is what an error of [`Compression::unpack`]'s reader is.
pub(crate) fn archive_fault(error: &io::Error) -> Option<String> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<ArchiveFault>()).map(ToString::to_string)
}

struct Unpacked {
    reader: Box<dyn Read + Send>,
    compression: Compression,
    unpacked: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = self.compression.name();
        match self.reader.read(buffer) {
            Ok(read) => {
                self.unpacked += read as u64;
                Ok(read)
            }
            // The disk's own errors.
            Err(error) if error.raw_os_error().is_some() => Err(error),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let after = format!("after {} unpacked bytes", self.unpacked);
                let reason = if error.kind() == io::ErrorKind::UnexpectedEof {
                    format!("the {name} archive is cut off {after} (hint: fetch or write the file again)")
                } else if error.to_string().contains("too much memory") {
                    format!("the {name} archive needs a window of more than 128 MB (hint: `zstd -d --long=31 FILE`)")
                } else {
                    format!("the {name} archive is damaged {after}: {error} (hint: fetch or write the file again)")
                };
                Err(io::Error::new(io::ErrorKind::InvalidData, ArchiveFault(reason)))
            }
        }
    }
}

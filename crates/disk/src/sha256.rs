//! sha256 sums, in lower-case hex: of files, of texts, and of what is being written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{DiskError, Result};

pub fn sha256_file(path: &Path) -> Result<String> {
    let mut hasher = Sha256Hasher::default();
    read_pieces(path, |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

/// Gives the content of a file to `each` in order, piece by piece.
pub fn read_pieces(path: &Path, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut read = || {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => each(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    read().map_err(DiskError::at("read", path))
}

pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&sha256_bytes(bytes))
}

/// The sum itself, for uses that need its bits rather than its name.
pub fn sha256_bytes(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes.as_ref()).into()
}

/// The sum of the bytes that `content` writes.
pub fn sha256_of(content: impl FnOnce(&mut Sha256Hasher) -> io::Result<()>) -> io::Result<String> {
    let mut hasher = Sha256Hasher::default();
    content(&mut hasher)?;
    Ok(hasher.finish())
}

#[derive(Debug, Clone, Default)]
pub struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Write for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands bytes on to `inner` and keeps their sum.
#[derive(Debug)]
pub struct Sha256Writer<W> {
    inner: W,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl<W: Write> Sha256Writer<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256Hasher::default(), bytes: 0 }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written to, and the sum of what was written.
    pub fn finish(self) -> (W, String) {
        (self.inner, self.hasher.finish())
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of "abc" in FIPS 180-4.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_sum_is_that_of_all_pieces() {
        let sum = sha256_of(|sum| {
            sum.write_all(b"a")?;
            sum.write_all(b"bc")
        });
        assert_eq!((sum.unwrap().as_str(), sha256_hex("abc").as_str()), (ABC, ABC));
        let mut writer = Sha256Writer::new(Vec::new());
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.bytes(), 3);
        assert_eq!(writer.finish(), (b"abc".to_vec(), ABC.to_owned()));
    }

    #[test]
    fn a_file_has_the_sum_of_its_content_or_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(sha256_file(&path).unwrap(), ABC);
        let error = sha256_file(&folder.path().join("gone")).unwrap_err();
        assert!(error.to_string().starts_with("failed to read ") && error.to_string().ends_with("gone"), "{error}");
    }
}

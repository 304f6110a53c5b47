//! The sum of what is written, whatever it is written to.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// The sha256, in lower-case hex, of the bytes that `content` writes.
pub(crate) fn sha256_of(content: impl FnOnce(&mut Sum) -> io::Result<()>) -> io::Result<String> {
    let mut sum = Sum(Sha256::new());
    content(&mut sum)?;
    Ok(sum.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Takes bytes and keeps their sum.
pub(crate) struct Sum(Sha256);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_all_pieces() {
        let sum = sha256_of(|sum| {
            sum.write_all(b"a")?;
            sum.write_all(b"bc")
        });
        // The sum of "abc" in FIPS 180-4.
        assert_eq!(sum.unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

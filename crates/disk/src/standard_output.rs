//! Results on standard output, which may be a closed pipe or a full disk.

use std::io::{self, ErrorKind, Write};

use crate::error::{DiskError, Result};

/// Writes a result to standard output and flushes it. A reader that has closed its end of the pipe, as `head` does, wants no
/// more: that is no error.
///
/// # Errors
/// Output that can't be written, such as to a full disk.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    write_result(&mut io::stdout().lock(), text.as_ref()).map_err(DiskError::at("write", "standard output"))
}

fn write_result(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes a message to standard error, where it can be written: a closed terminal ends no process.
pub fn print_message(text: impl AsRef<[u8]>) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_ref()).and_then(|()| stderr.write_all(b"\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        assert!(write_result(&mut Refusing(ErrorKind::BrokenPipe), b"result").is_ok());
        let error = write_result(&mut Refusing(ErrorKind::StorageFull), b"result").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}

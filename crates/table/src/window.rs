//! A text as a window that moves on, over a file or in memory.

use std::path::Path;

use crate::error::TableError;
use crate::text_reader::TextReader;

/// A text that is read through a window.
pub(crate) trait Window {
    fn path(&self) -> &Path;
    fn window(&self) -> &[u8];
    fn consume(&mut self, bytes: usize);
    /// Moves the window on if it is empty; it stays empty only at the end.
    fn fill(&mut self) -> Result<(), TableError>;
}

impl Window for TextReader {
    fn path(&self) -> &Path {
        self.path()
    }

    fn window(&self) -> &[u8] {
        self.window()
    }

    fn consume(&mut self, bytes: usize) {
        self.consume(bytes);
    }

    fn fill(&mut self) -> Result<(), TableError> {
        self.fill()
    }
}

/// A text in memory.
impl Window for &[u8] {
    fn path(&self) -> &Path {
        Path::new("")
    }

    fn window(&self) -> &[u8] {
        self
    }

    fn consume(&mut self, bytes: usize) {
        *self = &self[bytes..];
    }

    fn fill(&mut self) -> Result<(), TableError> {
        Ok(())
    }
}

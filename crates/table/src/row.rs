//! A row and its values, as a file has them.

use std::fmt;

/// The cells of one row, and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// From 1, the header not counted.
    pub number: u64,
    /// The line on which the row starts, from 1; `None` in formats without lines.
    pub line: Option<u64>,
    /// In the order of the requested columns.
    pub cells: Vec<Cell>,
}

/// A value. Its display form is that of the file; a missing one is empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Missing,
    /// A text; of a format whose values are all texts, each value. Also bytes as base64, and a date, a time, a decimal or a
    /// whole number beyond 64 bits, of a format that has such types.
    Text(String),
    Integer(i64),
    /// Any other number, and a whole one beyond 64 bits.
    Float(f64),
    Bool(bool),
    /// An array or object as JSON; of other formats a list, a map or a struct.
    Nested(String),
}

impl Cell {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Nested(json) if json.starts_with('[') => "an array",
            Self::Nested(_) => "an object",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => Ok(()),
            Self::Text(text) | Self::Nested(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
        }
    }
}

//! A row and its values, as a file has them.

use std::fmt;

/// The cells of one row, and where they stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// From 1, the header not counted.
    pub number: u64,
    /// Where the row begins, from 1; `None` in formats without lines.
    pub line: Option<u64>,
    /// In the order in which the columns were asked for.
    pub cells: Vec<Cell>,
}

/// A value. It displays as its file spells it, a missing one as nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Missing,
    /// A text; of a format whose values are all texts, each value.
    Text(String),
    Integer(i64),
    /// Any other number, and a whole one beyond 64 bits.
    Float(f64),
    Bool(bool),
    /// A JSON array or object, as JSON.
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

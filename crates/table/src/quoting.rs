//! What double quotes mean in a CSV or TSV file.

/// What a double quote means in a CSV or TSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Quoting {
    /// A field may be in double quotes, with a quote inside written twice (RFC 4180)
    Double,
    /// A double quote is a character like any other
    None,
}

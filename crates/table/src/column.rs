//! What a file declares about its columns.

/// A column, as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name; two columns of a file may have the same one.
    pub name: String,
    /// What the file's schema says; `None` in formats without a schema, where each value has its own type.
    pub declared: Option<DeclaredType>,
}

/// What a schema says about a column.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredType {
    pub values: ValueType,
    /// The type by its name in the file's format, such as `Int64` or `List(Utf8)`.
    pub type_name: String,
    /// The names of the values 0, 1, ... where the file gives them (Parquet written by the `datasets` library).
    pub class_names: Option<Vec<String>>,
}

/// The kinds of values of a column with a declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    Text,
    Integer,
    Float,
    Bool,
    /// Lists, dates and other types that can't be read as one value.
    Other,
}

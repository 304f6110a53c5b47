//! Files of texts that are labeled, whatever labels them: `verdict predict --file` and the server label files with these
//! types, so that both give a file the same rows, columns and notes.
//!
//! [`LabelInput`] reads a table as rows with a text. [`AddedColumns`] are the columns that a labeled file has beside those of
//! its input. [`MarkCounts`] counts the rows whose labels mean less than others, and says so.

mod added_columns;
mod input_rows;
mod mark_counts;

pub use added_columns::{AddedColumns, RowLabel};
pub use data::is_blank;
pub use input_rows::{InputRow, LabelInput, TextColumns};
pub use mark_counts::MarkCounts;

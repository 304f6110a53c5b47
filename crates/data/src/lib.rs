//! From sources to prepared data, without libtorch.
//!
//! The way of the data, one module a word: a data set is found at a [`source`] and read into records (the treebank's trees
//! by `treebank`, anybody's own files and labels by `labelled_table` and `labels`); an [`mod@audit`] counts what would spoil
//! an evaluation; a [`tokenize::Tokenizer`] turns text into ids, which a [`store`] keeps in Arrow beside a [`manifest`];
//! [`sampler`] deals rows into batches. [`prepare`] is the whole of it as one command.

pub mod audit;
mod error;
mod labelled_table;
mod labels;
mod load_options;
mod loaded;
pub mod manifest;
pub mod prepare;
mod record;
pub mod sampler;
pub mod source;
pub mod store;
mod thousands;

pub use error::DataError;
pub use load_options::DatasetOptions;
pub use loaded::{Loaded, Places};
pub use record::{Record, Split, is_blank};
pub use source::{Dataset, SourceChoice};

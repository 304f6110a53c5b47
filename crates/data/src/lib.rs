//! From sources to token-packed batches, without libtorch.
//!
//! The way of the data, one module a word: a [`dataset`] is found at a [`source`] and read into [`record`]s (the
//! treebank's trees by [`treebank`], anybody's own labels by [`labels`]); an [`mod@audit`] counts what would spoil an
//! evaluation; [`tokenize`] turns text into ids, [`store`] keeps them in Arrow beside a [`manifest`]; [`sampler`] deals
//! rows into batches and [`batch`] packs them. [`prepare`] is the whole of it as one command.

pub mod audit;
pub mod batch;
pub mod dataset;
pub mod error;
pub(crate) mod guard;
pub mod labels;
pub mod manifest;
pub mod prepare;
pub mod record;
pub mod sampler;
pub mod source;
pub mod store;
pub(crate) mod table;
pub mod tokenize;
pub mod treebank;

pub use audit::{Audit, audit};
pub use dataset::{Dataset, LoadOptions, Loaded, SourceChoice, load};
pub use error::DataError;
pub use record::Record;

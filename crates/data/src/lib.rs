//! From sources to prepared data, without libtorch.
//!
//! A data set is loaded from a [`source`] into records (users' own files and labels by `labeled_table` and `labels`); an
//! [`mod@audit`] counts what would distort an evaluation; a [`tokenize::Tokenizer`] turns text into ids, which a [`store`] writes as Arrow beside a [`manifest`];
//! [`sampler`] groups rows into batches. [`prepare`] does all of this as one command; [`folds`] deals a training split again.

pub mod audit;
mod deal;
mod error;
pub mod folds;
mod known_labels;
mod label_map;
mod labeled_table;
mod labels;
mod load_options;
mod loaded;
pub mod manifest;
pub mod prepare;
mod record;
pub mod sampler;
mod scored_file;
pub mod source;
pub mod store;
mod thousands;

pub use error::DataError;
pub use fetch::{ModelOrigin, PACKAGED_MODEL};
pub use known_labels::KnownLabels;
pub use label_map::LabelMap;
pub use load_options::DatasetOptions;
pub use loaded::{Loaded, Places};
pub use record::{Record, Split, is_blank};
pub use scored_file::{ScoredFile, ScoringRequest, tokenize_labeled_files};
pub use source::{Dataset, SourceChoice};

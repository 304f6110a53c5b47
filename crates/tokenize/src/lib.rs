//! Text to token ids, exactly as Hugging Face's fast BERT tokenizer makes them, and ids to token-packed batches.
//!
//! A [`Tokenizer`] is read from a model folder and gives each text its [`Encoded`] ids; a [`Batch`] lays the ids of several
//! texts end to end, with no padding between them, as the model reads them. This crate needs
//! only a model folder and texts: it knows no data sets, no network and no tensors.
//!
//! ```no_run
//! let tokenizer = tokenize::Tokenizer::from_folder("models/bert-base-uncased".as_ref(), 512)?;
//! let encoded = tokenizer.encode_batch(&["A gorgeous film .", "Dull ."])?;
//! assert_eq!(encoded[0].ids.first(), Some(&101)); // [CLS]
//! let ids: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
//! assert_eq!(tokenize::Batch::from_ids(&ids).len(), 2);
//! # Ok::<(), tokenize::TokenizeError>(())
//! ```

mod added_tokens;
mod batch;
mod casing;
mod description;
mod error;
mod files;
mod publish;
mod special_tokens;
mod tokenizer;
mod words;

pub use batch::{Batch, sequential_batches};
pub use casing::Casing;
pub use error::TokenizeError;
pub use publish::published_files;
pub use tokenizer::{Encoded, IdsHash, Inspection, TokenPiece, Tokenizer, TruncationSide, sha256};

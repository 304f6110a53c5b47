//! From text to label and probabilities, with a trained run.
//!
//! A run is a Hugging Face model folder: `config.json` with the label names, `model.safetensors`, and the tokenizer's
//! files. [`Predictor`] opens one and labels texts; [`stream()`] labels any number of rows in bounded memory.
//!
//! ```no_run
//! use std::path::Path;
//! use predict::Predictor;
//!
//! let predictor = Predictor::open(Path::new("runs/my-run"), tch::Device::Cpu, model::Precision::Fp32)?;
//! for prediction in predictor.predict(&["A tender, funny film."])? {
//!     println!("{} {:.3}", prediction.label, prediction.probability());
//! }
//! # Ok::<(), predict::PredictError>(())
//! ```

mod predictor;
mod read_ahead;
mod stream;

pub use predictor::{BatchScores, PredictError, Prediction, Predictor, batch_scores};
pub use read_ahead::{CHUNK_ROWS, ChunkPolicy};
pub use stream::{RowWithText, stream};

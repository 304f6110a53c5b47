//! Which words of a text a model's label comes from.
//!
//! An [`Explainer`] opens a run in fp32 and gives each word of a text its share of a label's logit, by integrated gradients
//! (Sundararajan, Taly and Yan 2017). The shares sum to the difference between the text and a baseline in which `[PAD]` stands
//! in place of every word; how exactly they do is part of each [`judge::Explanation`]. Leaving out each word in turn is the check:
//! an explanation says how the two orders of the words agree.
//!
//! ```no_run
//! use std::path::Path;
//! use explain::{ExplainOptions, Explainer};
//!
//! let explainer = Explainer::open(Path::new("runs/my-run"), tch::Device::Cpu)?;
//! let explanation = explainer.explain("A tender, funny film.", None, &ExplainOptions::default())?;
//! for word in &explanation.words {
//!     println!("{:+.2} {}", word.attribution, word.text);
//! }
//! # Ok::<(), explain::ExplainError>(())
//! ```

#![warn(missing_docs)]

mod error;
mod explainer;
mod integrated_gradients;
mod quadrature;
mod words;

pub use error::ExplainError;
pub use explainer::{ExplainOptions, Explainer};
pub use integrated_gradients::{PathSteps, Pause, token_attributions};

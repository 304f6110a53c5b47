//! What a BERT training step needs on a CPU beside its large matrix products.
//!
//! Everything here works on plain slices and knows no tensors, so that it builds, is tested and is measured without
//! libtorch. Each kernel reads and writes memory once: what a framework does in a row of operations, each with a
//! result of its own, happens here while a row is in the cache.
//!
//! - [`norm`]: dropout, residual and layer norm together, and their gradients.
//! - [`attention`]: attention over packed sentences without padding, probabilities recomputed for the gradient.
//! - [`activation`]: GELU and other activation functions.
//! - [`columns`]: column sums, which are the gradients of biases.
//! - [`rows`]: sums of embedding tables' rows, and the gradients that rows collect.
//! - [`dropout`]: masks as pure functions of key, row and column.
//! - [`parallel`], [`isa`], [`element`]: threads, vector instructions and number formats, for other loops of this kind too.
//!
//! Results don't depend on the number of threads: work is cut by the data's shape alone, and partial sums are added in
//! the order of the parts.
//!
//! Shape letters: `R` rows (tokens), `D` their width, `N` heads, `H` head size, `S` length of a sentence.

#![warn(missing_docs)]

pub mod activation;
pub mod attention;
pub mod columns;
pub mod dropout;
pub mod element;
pub mod isa;
mod math;
pub mod norm;
pub mod parallel;
mod product;
pub mod rows;

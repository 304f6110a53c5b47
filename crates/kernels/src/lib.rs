//! CPU kernels for everything in a BERT training step, and int8 products for inference.
//!
//! Everything here works on plain slices instead of tensors, so that it is built, tested and benchmarked without
//! libtorch. Each kernel is fused: it reads and writes memory once, where a framework runs several operations that each
//! write their result to memory.
//!
//! - [`norm`]: dropout, residual and layer norm together, and their gradients.
//! - [`attention`]: attention over packed sentences without padding; the backward pass recomputes the probabilities.
//! - [`activation`]: GELU and other activation functions.
//! - [`accumulate`]: sums of gradients over micro-batches.
//! - [`columns`]: column sums, which are the gradients of biases.
//! - [`rows`]: sums of embedding tables' rows, and the gradients of the tables.
//! - [`quantized`]: linear layers with int8 weights, for inference.
//! - [`matmul`]: products of large matrices: linear layers and their gradients.
//! - [`dropout`]: masks as pure functions of key, row and column.
//! - [`parallel`], [`isa`], [`element`]: threads, vector instructions and number formats, for other loops of this kind too.
//!
//! Results don't depend on the number of threads: work is divided by the shape of the data alone, and partial sums are
//! added in a fixed order.
//!
//! Shape letters: `R` rows (tokens), `D` their width, `N` heads, `H` head size, `S` length of a sentence.

#![warn(missing_docs)]

pub mod accumulate;
pub mod activation;
pub mod attention;
pub mod columns;
pub mod dropout;
pub mod element;
pub mod isa;
mod math;
pub mod matmul;

pub mod norm;
pub mod parallel;
mod placed_panel;
mod product;
pub mod quantized;
pub mod rank_sum;
pub mod rows;

//! Encoders for sequence classification (BERT) on libtorch: forward pass, explicit backward pass, and Hugging Face
//! weights in and out.
//!
//! The model takes token-packed batches ([`Inputs`]), returns logits, and turns the gradient of the logits into
//! the gradient of every parameter. Losses, optimizers and schedules are in `train`.
//!
//! - [`Config`]: Hugging Face's `config.json`.
//! - [`Config::parameters`]: every parameter's name, shape and [`Role`], known without creating a tensor.
//! - [`Parameters`]: the ordered store, under Hugging Face's names, of fp32 master weights and compute weights.
//! - [`Gradients`]: what a backward pass writes. Parameters and gradients lie in a few flat buffers, in [`Span`]s.
//! - [`Config::training_pass`] and similar functions: memory estimates, computed before anything is loaded.
//! - [`PrecisionChoice::on`]: the number format for a model, and what multiplies it, by [`ProductRates`].
//! - [`profile`]: where a step's time goes.
//! - [`SequenceClassifier`]: its [`load`](SequenceClassifier::load),
//!   [`forward`](SequenceClassifier::forward) without dropout,
//!   [`forward_train`](SequenceClassifier::forward_train) with dropout and a tape, and
//!   [`backward`](SequenceClassifier::backward); for explanations the gradient of the embeddings alone,
//!   [`forward_embedded`](SequenceClassifier::forward_embedded) and
//!   [`embedding_gradient`](SequenceClassifier::embedding_gradient).
//!
//! Why an explicit backward pass instead of libtorch's autograd: the architecture is fixed, so each gradient is
//! known in closed form. Writing it out keeps bf16 weights, fp32 statistics and row-wise embedding gradients in
//! exactly the form that the optimizer needs, without casts and without dense zero-filled tensors. The tests
//! compare every gradient with autograd.
//!
//! Shape letters used throughout: `T` tokens in the packed batch, `B` sentences, `S` longest sentence, `D` hidden
//! size, `I` intermediate size, `N` attention heads, `H = D / N` head size, `C` classes.

mod architecture;
mod backend;
mod builder;
mod classifier;
mod config;
mod config_values;
mod cuda_findings;
mod device;
mod dropout;
mod error;
mod flat;
mod footprint;
mod generator;
mod gpu;
mod gradients;
mod head;
mod inference_precision;
mod inference_weights;
mod initializer;
mod inputs;
mod kernel_caches;
mod layers;
mod out_of_memory;
mod parameters;
mod pass;
mod precision;
mod precision_choice;
mod product_rates;
pub mod profile;
#[cfg(test)]
mod reference;
mod saved_head;
mod tensor_file;
pub mod tensor_slice;
#[cfg(test)]
mod test_tensors;
mod untouched_zeros;
mod weights;

pub use backend::Backend;
pub use builder::{ParameterSpec, Role};
pub use classifier::{EncoderTape, SequenceClassifier, Tape};
pub use config::{Activation, Architecture, CONFIG_JSON, Config};
pub use cuda_findings::CudaFindings;
pub use device::{DeviceChoice, device_name};
pub use dropout::{DropoutStream, FirstRows, check_dropout};
pub use error::ModelError;
pub use flat::{Span, SpanMember};
pub use footprint::{BatchShape, PassSize};
pub use gpu::GpuModel;
pub use gradients::{Gradient, GradientMemory, Gradients};
pub use inference_precision::{InferencePrecision, InferencePrecisionChoice};
pub use inputs::Inputs;
pub use kernel_caches::limit_kernel_caches;
pub use kernels::isa::Isa;
pub use out_of_memory::catch_out_of_memory;
pub use parameters::{Parameter, Parameters};
pub use precision::{Precision, dtype_name};
pub use precision_choice::{ChosenPrecision, PrecisionChoice};
pub use product_rates::{FormatRates, ProductRates};
pub use tensor_file::{read_tensors, tensor_bytes, write_tensors};
pub use untouched_zeros::untouched_zeros;
pub use weights::{LoadOptions, LoadReport, MODEL_SAFETENSORS};

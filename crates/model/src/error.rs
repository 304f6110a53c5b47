//! Errors of loading, checking and saving a model.

use std::path::PathBuf;

use crate::cuda_findings::CudaFindings;

/// Errors of loading, checking and saving a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A file of a model that could not be written.
    #[error("{}: {}", .0, .0.source)]
    Disk(#[from] disk::DiskError),
    /// `config.json` doesn't describe a model that this crate supports.
    #[error("{path}: {message}", path = path.display())]
    Config {
        path: PathBuf,
        /// What was found and what to do.
        message: String,
    },
    /// The weights file is not a readable safetensors file.
    #[error("{path}: not a usable safetensors file: {message}", path = path.display())]
    Safetensors { path: PathBuf, message: String },
    /// The only weights in the folder are pickles.
    #[error(
        "{path}: refused, because a pickle can run any code when it is opened (hint: convert it once in Python: \
         `AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)`, \
         then use the model.safetensors it writes)",
        path = path.display()
    )]
    Pickle { path: PathBuf },
    /// Names, shapes or dtypes in the file don't match the configuration.
    #[error("{path}: the tensors don't fit config.json{details}", path = path.display())]
    Mismatch {
        path: PathBuf,
        /// Lists of the tensors that are missing or have a wrong shape or dtype, one per line.
        details: String,
    },
    /// A model that was only pretrained is used to label texts.
    #[error(
        "{path}: it holds no classification head, so this model can't label texts before it is fine-tuned (hint: \
         `cargo run -p train -- --model DIR` trains one on prepared data; --run takes the folder that training made)",
        path = path.display()
    )]
    NoHead { path: PathBuf },
    /// CUDA was requested but is not usable.
    #[error("--device cuda is not available: {0}")]
    NoCuda(Box<CudaFindings>),
    /// `VERDICT_KERNELS` has a value without a meaning.
    #[error(
        "VERDICT_KERNELS: expected on or off, found {found:?} (hint: VERDICT_KERNELS=off computes with libtorch's operations \
         on a CPU too; leave it unset to compute with the kernels)"
    )]
    Kernels { found: String },
    /// int8 was requested where there are no kernels for it.
    #[error(
        "int8 is computed by the CPU kernels only, and this model computes on {device} without them (hint: --device cpu, and \
         VERDICT_KERNELS unset; or another --precision)"
    )]
    Int8 {
        /// `cpu` or `cuda:0`.
        device: String,
    },
    /// Dropout on this device is not the function of its seed that training and resuming rely on.
    #[error(
        "{device}: libtorch {what}, so dropout's gradients or a resumed run would be wrong (hint: --hidden-dropout 0 \
         --attention-dropout 0 --classifier-dropout 0 trains without dropout, --device cpu with it)"
    )]
    Dropout {
        /// `cpu` or `cuda:0`.
        device: String,
        /// What libtorch did.
        what: &'static str,
    },
    /// A tensor whose memory can't be used as a slice, or a gradient of the wrong shape.
    #[error("{name}: expected {needed}, found {found}")]
    UnfitTensor {
        /// The parameter's name, or a description of the tensor.
        name: String,
        /// Dtype, layout and device, or the shape.
        found: String,
        /// The same of what is expected.
        needed: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

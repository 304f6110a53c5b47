//! Reading weights from safetensors files, under Hugging Face's names.
//!
//! A file's tensors must match the names and shapes that the architecture defines for `config.json`; nothing in the
//! file can change them. Older names and half precision are supported.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use kernels::parallel;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::allocator;
use crate::builder::{ParameterSpec, Role};
use crate::config::Config;
use crate::error::ModelError;
use crate::initializer;
use crate::precision::Precision;
use crate::tensor_slice::bytes_mut;

/// The weights file in a model folder.
pub const MODEL_SAFETENSORS: &str = "model.safetensors";

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The device of the parameters.
    pub device: Device,
    /// The number format that the passes compute in.
    pub precision: Precision,
    /// Whether a head that the file lacks, or has for another number of classes, is randomly initialized; otherwise
    /// that is an error.
    pub new_head: bool,
    /// How many of the topmost layers are randomly initialized instead of loaded.
    pub reinit_layers: usize,
    /// Seed of the random initialization.
    pub seed: u64,
}

/// Which parameters were not loaded, and which tensors of the file were not used.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Parameters that were randomly initialized: the classifier head of a pre-trained model, re-initialized layers.
    pub initialized: Vec<String>,
    /// Tensors of the file that the model does not use, such as pre-training heads.
    pub unused: Vec<String>,
}

/// Reads `model.safetensors` and returns the tensor of every parameter, by name, in fp32 on the options' device.
pub(crate) fn load(
    folder: &Path,
    config: &Config,
    specs: &[ParameterSpec],
    options: &LoadOptions,
) -> Result<(BTreeMap<String, Tensor>, LoadReport), ModelError> {
    allocator::prepare();
    let path = find(folder)?;
    let bytes = map(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| ModelError::Safetensors {
        path: path.clone(),
        message: describe_invalid_file(&error, &bytes),
    })?;
    let current_name = config.architecture.family().current_name;
    let views: BTreeMap<String, (String, TensorView)> =
        file.iter().map(|(name, view)| (current_name(name), (name.to_owned(), view))).collect();

    let (mut found, mut to_initialize, mut problems) = (Vec::new(), Vec::new(), Problems::default());
    let kept_layers = (config.num_hidden_layers as usize).saturating_sub(options.reinit_layers);
    // Sorted by name, which is the order of the lists in reports and messages.
    let mut specs: Vec<&ParameterSpec> = specs.iter().collect();
    specs.sort_unstable_by_key(|spec| &spec.name);
    for &spec in &specs {
        let view = views.get(&spec.name).map(|(_, view)| view);
        let is_reinitialized = match (spec.role, view) {
            (Role::Embedding, _) => false,
            (Role::Layer(index), _) => index >= kept_layers,
            (Role::Head, None) => options.new_head,
            (Role::Head, Some(view)) => options.new_head && spec.per_class && !same_shape(view, &spec.shape),
        };
        if is_reinitialized {
            to_initialize.push(spec);
        } else if let Some((view, kind)) = problems.check(spec, view) {
            found.push((spec, view, kind));
        }
    }
    let expected: BTreeSet<&String> = specs.iter().map(|spec| &spec.name).collect();
    let report = LoadReport {
        initialized: to_initialize.iter().map(|spec| spec.name.clone()).collect(),
        unused: views.iter().filter(|(name, _)| !expected.contains(name)).map(|(_, (raw, _))| raw.clone()).collect(),
    };
    problems.into_result(&path, &report)?;
    // Only after the file has confirmed the sizes in config.json: wrong ones could need more memory than there is.
    let mut tensors = load_masters(&found);
    if options.device != Device::Cpu {
        tensors.values_mut().for_each(|tensor| *tensor = tensor.to_device(options.device));
    }
    for spec in to_initialize {
        let tensor = initializer::initialize(spec, options.seed, config.initializer_range);
        tensors.insert(spec.name.clone(), tensor.to_device(options.device));
    }
    Ok((tensors, report))
}

/// Maps a file into memory, so that nothing but its tensors is copied, and these once.
fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: weights files are never changed in place: downloads and saves write another file and rename it.
    unsafe { Mmap::map(&file) }
}

/// A parameter with its tensor in the file and the dtype of that.
type FoundTensor<'a> = (&'a ParameterSpec, &'a TensorView<'a>, Kind);

/// The tensors in fp32 on the CPU. All threads copy, because getting a page of new memory costs more than filling it.
fn load_masters(found: &[FoundTensor]) -> BTreeMap<String, Tensor> {
    /// Large enough that the overhead of a chunk is negligible, small enough that all threads finish at the same time.
    const CHUNK_BYTES: usize = 4 << 20;
    let mut tensors: Vec<Tensor> = found
        .iter()
        .map(|(spec, view, kind)| match kind {
            Kind::Float => Tensor::empty(&spec.shape, (Kind::Float, Device::Cpu)),
            _ => Tensor::from_data_size(view.data(), &spec.shape, *kind).to_kind(Kind::Float),
        })
        .collect();
    let to_copy = found.iter().zip(&mut tensors).filter(|((_, _, kind), _)| *kind == Kind::Float);
    // The shapes are the same, so the sizes are too.
    let chunks = to_copy
        .flat_map(|((_, view, _), tensor)| {
            view.data().chunks(CHUNK_BYTES).zip(bytes_mut(tensor).chunks_mut(CHUNK_BYTES))
        })
        .collect();
    parallel::for_each(chunks, |(from, to): (&[u8], &mut [u8])| to.copy_from_slice(from));
    found.iter().map(|(spec, ..)| spec.name.clone()).zip(tensors).collect()
}

/// The safetensors file of a folder, or an error that says why there is none.
fn find(folder: &Path) -> Result<PathBuf, ModelError> {
    let path = folder.join(MODEL_SAFETENSORS);
    if path.is_file() {
        return Ok(path);
    }
    let entries = std::fs::read_dir(folder).map_err(|source| ModelError::Io { path: folder.to_path_buf(), source })?;
    let pickle = entries.filter_map(Result::ok).map(|entry| entry.path()).find(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("bin" | "pt" | "pth" | "ckpt")) && !path.ends_with("training_args.bin")
    });
    match pickle {
        Some(path) => Err(ModelError::Pickle { path }),
        None => Err(ModelError::Io { path, source: std::io::ErrorKind::NotFound.into() }),
    }
}

fn same_shape(view: &TensorView, shape: &[i64]) -> bool {
    view.shape().iter().map(|&size| size as i64).eq(shape.iter().copied())
}

/// Tensors that are not as expected, collected so that one message names them all.
#[derive(Default)]
struct Problems {
    missing: Vec<String>,
    misshapen: Vec<String>,
    wrong_dtype: Vec<String>,
}

impl Problems {
    /// The tensor and its dtype if it is as expected; otherwise records the problem.
    fn check<'a>(
        &mut self,
        ParameterSpec { name, shape, .. }: &ParameterSpec,
        view: Option<&'a TensorView<'a>>,
    ) -> Option<(&'a TensorView<'a>, Kind)> {
        let Some(view) = view else {
            self.missing.push(name.clone());
            return None;
        };
        if !same_shape(view, shape) {
            self.misshapen.push(format!("{name}: found {:?}, expected {shape:?}", view.shape()));
            return None;
        }
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            other => {
                self.wrong_dtype.push(format!("{name}: found {other:?}, expected F32, F16, BF16 or F64"));
                return None;
            }
        };
        Some((view, kind))
    }

    fn into_result(self, path: &Path, report: &LoadReport) -> Result<(), ModelError> {
        if self.missing.is_empty() && self.misshapen.is_empty() && self.wrong_dtype.is_empty() {
            return Ok(());
        }
        let mut details = String::new();
        let lists = [
            ("missing", &self.missing),
            ("misshapen", &self.misshapen),
            ("of an unsupported dtype", &self.wrong_dtype),
            ("in the file but not expected", &report.unused),
        ];
        for (what, list) in lists {
            const SHOWN: usize = 20;
            if !list.is_empty() {
                let _ = write!(details, "\n  {what}: {}", list.len());
                list.iter().take(SHOWN).for_each(|line| {
                    let _ = write!(details, "\n    {line}");
                });
                if list.len() > SHOWN {
                    let _ = write!(details, "\n    and {} more", list.len() - SHOWN);
                }
            }
        }
        details.push_str("\n  (hint: config.json and model.safetensors must come from the same model)");
        Err(ModelError::Mismatch { path: path.to_path_buf(), details })
    }
}

/// What is wrong with the file: which other format it has, if that is recognized, otherwise where it is damaged.
fn describe_invalid_file(error: &SafeTensorError, bytes: &[u8]) -> String {
    let length = bytes.len();
    if bytes.is_empty() {
        return "it is empty (hint: fetch it again)".to_owned();
    }
    if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return "it is a Git LFS pointer (hint: `git lfs pull` in its folder fetches the weights)".to_owned();
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return "it is a web page (hint: the address may need a login; fetch it again)".to_owned();
    }
    if bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) {
        return "it is a pickle under another name, and a pickle can run any code when it is opened (hint: \
                save_pretrained(folder, safe_serialization=True) in Python writes safetensors)"
            .to_owned();
    }
    let header = || u64::from_le_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
    let what = match error {
        SafeTensorError::HeaderTooSmall => format!("{length} bytes are too few for a header"),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            format!("it declares a header of {} bytes, but the file has {length}", header())
        }
        SafeTensorError::MetadataIncompleteBuffer => match end_of_tensors(bytes, header()) {
            Some(end) => format!("its tensors end at byte {end}, but the file has {length}"),
            None => format!("its tensors don't fill the file of {length} bytes"),
        },
        SafeTensorError::TensorInvalidInfo => "a tensor's shape and dtype don't match its number of bytes".to_owned(),
        SafeTensorError::ValidationOverflow => "a tensor's shape is too large".to_owned(),
        other => other.to_string(),
    };
    format!("{what} (hint: the file is cut off or damaged, fetch it again)")
}

/// The offset in the file at which its last tensor ends, according to its header.
fn end_of_tensors(bytes: &[u8], header: u64) -> Option<u64> {
    let start = usize::try_from(header).ok()?.checked_add(8)?;
    let tensors: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes.get(8..start)?).ok()?;
    let ends = tensors.values().filter_map(|tensor| tensor.pointer("/data_offsets/1")?.as_u64());
    ends.max()?.checked_add(start as u64)
}

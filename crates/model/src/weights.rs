//! safetensors in and out, under Hugging Face's names.
//!
//! A file's tensors are fitted to the names and shapes that `config.json` implies; nothing in the file can change
//! them. Old spellings (`gamma`, `beta`), a missing `bert.` prefix and half precision are understood.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::allocator;
use crate::classifier::LoadOptions;
use crate::config::Config;
use crate::error::ModelError;
use crate::fill::copy_all;
use crate::initialise::Initialiser;
use crate::parameters::Parameters;
use crate::tensor_file::write_tensors;

const FILE: &str = "model.safetensors";

/// What loading did besides copying tensors.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Parameters that start afresh: the classifier head of a pre-trained model, re-initialised layers.
    pub initialised: Vec<String>,
    /// Tensors of the file that this model has no place for, such as pre-training heads.
    pub unused: Vec<String>,
}

/// Name and shape of every parameter that a configuration implies.
pub(crate) fn expected_shapes(config: &Config) -> BTreeMap<String, Vec<i64>> {
    let (d, i) = (config.hidden_size, config.intermediate_size);
    let classes = config.num_classes();
    let mut shapes = BTreeMap::new();
    let mut add = |name: String, shape: &[i64]| {
        shapes.insert(name, shape.to_vec());
    };
    add("bert.embeddings.word_embeddings.weight".into(), &[config.vocab_size, d]);
    add("bert.embeddings.position_embeddings.weight".into(), &[config.max_position_embeddings, d]);
    add("bert.embeddings.token_type_embeddings.weight".into(), &[config.type_vocab_size, d]);
    let mut norms = vec!["bert.embeddings.LayerNorm".to_owned()];
    let mut linears = vec![("bert.pooler.dense".to_owned(), d, d), ("classifier".to_owned(), classes, d)];
    for layer in 0..config.num_hidden_layers {
        let prefix = format!("bert.encoder.layer.{layer}");
        norms.extend(["attention.output", "output"].map(|place| format!("{prefix}.{place}.LayerNorm")));
        let projections = ["self.query", "self.key", "self.value", "output.dense"];
        linears.extend(projections.map(|name| (format!("{prefix}.attention.{name}"), d, d)));
        linears.push((format!("{prefix}.intermediate.dense"), i, d));
        linears.push((format!("{prefix}.output.dense"), d, i));
    }
    for name in norms {
        add(format!("{name}.weight"), &[d]);
        add(format!("{name}.bias"), &[d]);
    }
    for (name, out, input) in linears {
        add(format!("{name}.weight"), &[out, input]);
        add(format!("{name}.bias"), &[out]);
    }
    shapes
}

/// Reads `model.safetensors` and returns every expected tensor in fp32 on the options' device.
pub(crate) fn load(
    folder: &Path,
    config: &Config,
    options: &LoadOptions,
) -> Result<(BTreeMap<String, Tensor>, LoadReport), ModelError> {
    allocator::prepare();
    let path = find(folder)?;
    let bytes = map(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| ModelError::Safetensors { path: path.clone(), message: describe(&error, &bytes) })?;
    let views: BTreeMap<String, (String, TensorView)> =
        file.iter().map(|(name, view)| (canonical(name), (name.to_owned(), view))).collect();

    let fresh_above = config.num_hidden_layers - options.reinit_layers;
    let (mut found, mut report, mut problems) = (Vec::new(), LoadReport::default(), Problems::default());
    let expected = expected_shapes(config);
    for (name, shape) in &expected {
        let view = views.get(name).map(|(_, view)| view);
        let fresh = match (part_of(name), view) {
            (Part::Classifier, None) => options.label_names.is_some(),
            // A head for another number of classes belongs to another task.
            (Part::Classifier, Some(view)) => options.label_names.is_some() && !same_shape(view, shape),
            (Part::Pooler, None) => options.label_names.is_some(),
            (Part::Layer(index), _) => index >= fresh_above,
            _ => false,
        };
        if fresh {
            report.initialised.push(name.clone());
        } else if let Some((view, kind)) = problems.check(name, shape, view) {
            found.push((name, shape, view, kind));
        }
    }
    report.unused =
        views.iter().filter(|(name, _)| !expected.contains_key(*name)).map(|(_, (raw, _))| raw.clone()).collect();
    problems.into_result(&path, &report)?;
    // Only now that the file bears out the configuration's sizes: a wrong one could ask for more memory than there is.
    let mut tensors = masters(&found);
    if options.device != Device::Cpu {
        tensors.values_mut().for_each(|tensor| *tensor = tensor.to_device(options.device));
    }
    let initialiser = Initialiser::new(options.seed, config.initializer_range);
    for name in &report.initialised {
        let tensor = initialiser.tensor(name, &expected[name]);
        tensors.insert(name.clone(), tensor.to_device(options.device));
    }
    Ok((tensors, report))
}

/// A file's bytes as they lie in the page cache, so that nothing of it is copied but its tensors, once.
fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: weights are never changed in place: a download and a save are written beside their place and renamed.
    unsafe { Mmap::map(&file) }
}

/// A tensor of the file: name, shape, bytes and type.
type Found<'a> = (&'a String, &'a Vec<i64>, &'a TensorView<'a>, Kind);

/// The tensors in fp32 on the CPU, filled by as many threads as libtorch uses.
fn masters(found: &[Found]) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    let mut copies = Vec::new();
    for &(name, shape, view, kind) in found {
        let tensor = if kind == Kind::Float {
            let tensor = Tensor::empty(shape, (kind, Device::Cpu));
            // The shapes are the same, so the sizes are too.
            if !view.data().is_empty() {
                // SAFETY: the tensor is new, contiguous and of this many bytes, any of which make an fp32 value; nobody
                // else uses it until all is copied, and it outlives the copies.
                let to = unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<u8>(), view.data().len()) };
                copies.push((view.data(), to));
            }
            tensor
        } else {
            Tensor::from_data_size(view.data(), shape, kind).to_kind(Kind::Float)
        };
        tensors.insert(name.clone(), tensor);
    }
    copy_all(copies, usize::try_from(tch::get_num_threads()).unwrap_or(1));
    tensors
}

/// Writes both files of a model folder. Each is written beside its place and renamed.
pub(crate) fn save(folder: &Path, config: &Config, parameters: &Parameters) -> Result<(), ModelError> {
    let tensors = || parameters.iter().map(|parameter| (parameter.name(), parameter.master()));
    put(&folder.join("config.json"), |out| out.write_all(config.to_json()?.as_bytes()))?;
    put(&folder.join(FILE), |out| write_tensors(out, tensors().collect::<Vec<_>>()))
}

fn put(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), ModelError> {
    let beside = path.with_extension("partial");
    let write = || {
        let mut out = BufWriter::new(File::create(&beside)?);
        content(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| ModelError::Io { path: path.to_owned(), source })
}

/// The safetensors file of a folder, or why there is none.
fn find(folder: &Path) -> Result<PathBuf, ModelError> {
    let path = folder.join(FILE);
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

/// Today's name of a tensor: `bert.` in front, `weight` and `bias` in norms.
fn canonical(name: &str) -> String {
    let name = match name {
        _ if name.starts_with("embeddings.") || name.starts_with("encoder.") || name.starts_with("pooler.") => {
            format!("bert.{name}")
        }
        _ => name.to_owned(),
    };
    match name.rsplit_once('.') {
        Some((stem, "gamma")) => format!("{stem}.weight"),
        Some((stem, "beta")) => format!("{stem}.bias"),
        _ => name,
    }
}

enum Part {
    Embeddings,
    Layer(i64),
    Pooler,
    Classifier,
}

fn part_of(name: &str) -> Part {
    if let Some(rest) = name.strip_prefix("bert.encoder.layer.") {
        let index = rest.split('.').next().and_then(|index| index.parse().ok());
        return Part::Layer(index.unwrap_or(0));
    }
    match name {
        _ if name.starts_with("bert.pooler.") => Part::Pooler,
        _ if name.starts_with("classifier.") => Part::Classifier,
        _ => Part::Embeddings,
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
    wrong_type: Vec<String>,
}

impl Problems {
    /// The tensor and its type, if it is as expected; else notes what is wrong with it.
    fn check<'a>(
        &mut self,
        name: &str,
        shape: &[i64],
        view: Option<&'a TensorView<'a>>,
    ) -> Option<(&'a TensorView<'a>, Kind)> {
        let Some(view) = view else {
            self.missing.push(name.to_owned());
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
                self.wrong_type.push(format!("{name}: found {other:?}, expected F32, F16, BF16 or F64"));
                return None;
            }
        };
        Some((view, kind))
    }

    fn into_result(self, path: &Path, report: &LoadReport) -> Result<(), ModelError> {
        if self.missing.is_empty() && self.misshapen.is_empty() && self.wrong_type.is_empty() {
            return Ok(());
        }
        let mut details = String::new();
        let lists = [
            ("missing", &self.missing),
            ("misshapen", &self.misshapen),
            ("of a type that is not a weight's", &self.wrong_type),
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

/// What the bytes are instead of safetensors, where that can be told, else what is wrong with them.
fn describe(error: &SafeTensorError, bytes: &[u8]) -> String {
    let length = bytes.len();
    if bytes.is_empty() {
        return "it is empty (hint: fetch it again)".to_owned();
    }
    if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return "it is a Git LFS pointer (hint: `git lfs pull` in its folder fetches the weights)".to_owned();
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return "it is a web page (hint: the address may want a login; fetch it again)".to_owned();
    }
    if bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) {
        return "it is a pickle under another name, and a pickle can run any code when it is opened (hint: \
                save_pretrained(folder, safe_serialization=True) in Python writes safetensors)"
            .to_owned();
    }
    let header = || u64::from_le_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
    let what = match error {
        SafeTensorError::HeaderTooSmall => format!("{length} bytes are too few for any tensor"),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            format!("it says that its header has {} bytes, and the file has {length}", header())
        }
        SafeTensorError::MetadataIncompleteBuffer => match last_byte(bytes, header()) {
            Some(end) => format!("its tensors end at byte {end}, and the file has {length}"),
            None => format!("its tensors don't fill the file of {length} bytes"),
        },
        SafeTensorError::TensorInvalidInfo => "a tensor's shape and type don't give its number of bytes".to_owned(),
        SafeTensorError::ValidationOverflow => "a tensor's shape is beyond all memory".to_owned(),
        other => other.to_string(),
    };
    format!("{what} (hint: the file is cut off or damaged, fetch it again)")
}

/// Where the last tensor of a file ends, as its header says.
fn last_byte(bytes: &[u8], header: u64) -> Option<u64> {
    let start = usize::try_from(header).ok()?.checked_add(8)?;
    let tensors: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes.get(8..start)?).ok()?;
    let ends = tensors.values().filter_map(|tensor| tensor.pointer("/data_offsets/1")?.as_u64());
    ends.max()?.checked_add(start as u64)
}

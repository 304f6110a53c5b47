//! Reading weights from safetensors files, under Hugging Face's names.
//!
//! A file's tensors must match the names and shapes that the architecture defines for `config.json`; nothing in the
//! file can change them. Older names and half precision are supported.

mod invalid_file;
mod problems;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use kernels::parallel;
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{ParameterSpec, Role};
use crate::config::Config;
use crate::error::ModelError;
use crate::initializer;
use crate::parameters::Parameters;
use crate::precision_choice::ChosenPrecision;
use crate::saved_head::HeadDecision;
use crate::tensor_slice::bytes_mut;
use invalid_file::describe_invalid_file;
use problems::{Problems, same_shape};

/// The weights file in a model folder.
pub const MODEL_SAFETENSORS: &str = "model.safetensors";

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The device of the parameters.
    pub device: Device,
    /// The number format that the passes compute in.
    pub precision: ChosenPrecision,
    /// For training: whether a head that the file lacks, or has for other labels than the configuration's, is randomly
    /// initialized, and the rows of one for the same labels put in their order. Otherwise the file's head is used as it
    /// is, and it is an error if it lacks one or has one of another kind.
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
    /// With `new_head`, why the file's classifier was kept or not; `None` if it has none.
    pub head_note: Option<String>,
}

/// Reads `model.safetensors` into the masters of the parameters of `specs`, on the options' device. The caller
/// [rounds](Parameters::sync) them into the compute tensors: by then the file's pages are no longer part of this process.
pub(crate) fn load(
    folder: &Path,
    config: &Config,
    specs: Vec<ParameterSpec>,
    backend: Backend,
    options: &LoadOptions,
) -> Result<(Parameters, LoadReport), ModelError> {
    let path = find(folder)?;
    let bytes = map(&path)?;
    let Selection { found, to_initialize, rows, report } =
        select(&path, &parse(&path, &bytes)?, config, &specs, options)?;
    // Only after the file has confirmed the sizes in config.json: wrong ones could need more memory than there is.
    let parameters = Parameters::uninitialized(specs.clone(), options.device, backend, options.precision.format.kind());
    let masters: BTreeMap<&str, &Tensor> =
        parameters.iter().map(|parameter| (parameter.name(), parameter.master())).collect();
    let master = |spec: &ParameterSpec| masters[spec.name.as_str()].shallow_clone();
    fill(&found, master);
    if let Some(rows) = rows {
        let rows = Tensor::from_slice(&rows).to_device(options.device);
        for (spec, ..) in found.iter().filter(|(spec, ..)| spec.per_class) {
            master(spec).copy_(&master(spec).index_select(0, &rows));
        }
    }
    for spec in to_initialize {
        master(spec).copy_(&initializer::initialize(spec, options.seed, config.initializer_range));
    }
    Ok((parameters, report))
}

/// Checks all that [`load`] checks, by the file's header alone.
pub(crate) fn check(
    folder: &Path,
    config: &Config,
    specs: &[ParameterSpec],
    options: &LoadOptions,
) -> Result<LoadReport, ModelError> {
    let path = find(folder)?;
    let bytes = map(&path)?;
    Ok(select(&path, &parse(&path, &bytes)?, config, specs, options)?.report)
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, ModelError> {
    SafeTensors::deserialize(bytes).map_err(|error| ModelError::Safetensors {
        path: path.to_path_buf(),
        message: describe_invalid_file(&error, bytes),
    })
}

/// A parameter with its tensor in the file and the dtype of that.
type FoundTensor<'a> = (&'a ParameterSpec, TensorView<'a>, Kind);

/// Where each parameter comes from.
struct Selection<'a> {
    found: Vec<FoundTensor<'a>>,
    to_initialize: Vec<&'a ParameterSpec>,
    /// The rows of the file's classifier in the order of the labels, if it is kept for a training.
    rows: Option<Vec<i64>>,
    report: LoadReport,
}

/// The tensors of a file by the current name of their parameter, with their name in the file.
type Views<'a> = BTreeMap<String, (String, TensorView<'a>)>;

/// Compares the tensors of a file with the parameters.
fn select<'a>(
    path: &Path,
    file: &SafeTensors<'a>,
    config: &Config,
    specs: &'a [ParameterSpec],
    options: &LoadOptions,
) -> Result<Selection<'a>, ModelError> {
    // Sorted by name, which is the order of the lists in reports and messages.
    let mut specs: Vec<&ParameterSpec> = specs.iter().collect();
    specs.sort_unstable_by_key(|spec| &spec.name);
    let mut problems = Problems::default();
    let views = current_views(file, config, &specs, &mut problems);
    let (rows, head_note) = if options.new_head { saved_rows(config, &specs, &views) } else { (None, None) };
    let kept_layers = (config.num_hidden_layers as usize).saturating_sub(options.reinit_layers);
    let (mut found, mut to_initialize) = (Vec::new(), Vec::new());
    for &spec in &specs {
        let view = views.get(&spec.name).map(|(_, view)| view);
        let is_initialized = match spec.role {
            Role::Embedding => false,
            Role::Layer(index) => index >= kept_layers,
            Role::Head => options.new_head && (view.is_none() || spec.per_class && rows.is_none()),
        };
        if is_initialized {
            to_initialize.push(spec);
        } else if let Some((view, kind)) = problems.check(spec, view) {
            found.push((spec, view, kind));
        }
    }
    if problems.are_all_of_the_head(&specs) {
        return Err(ModelError::NoHead { path: path.to_path_buf() });
    }
    let unused = views.iter().filter(|(name, _)| !is_expected(&specs, name));
    let report = LoadReport {
        initialized: to_initialize.iter().map(|spec| spec.name.clone()).collect(),
        unused: unused.map(|(_, (raw, _))| raw.clone()).collect(),
        head_note,
    };
    problems.into_result(path, &report.unused)?;
    Ok(Selection { found, to_initialize, rows, report })
}

fn is_expected(sorted: &[&ParameterSpec], name: &str) -> bool {
    sorted.binary_search_by(|spec| spec.name.as_str().cmp(name)).is_ok()
}

fn current_views<'a>(
    file: &SafeTensors<'a>,
    config: &Config,
    specs: &[&ParameterSpec],
    problems: &mut Problems,
) -> Views<'a> {
    let current_name = config.architecture.family().current_name;
    let mut views = Views::new();
    let mut sorted: Vec<(&str, TensorView)> = file.iter().collect();
    sorted.sort_unstable_by_key(|(raw, _)| *raw);
    for (raw, view) in sorted {
        let name = current_name(raw);
        if let Some((other, _)) = views.get(&name).filter(|_| is_expected(specs, &name)) {
            problems.ambiguous.push(format!("{name}: found {other} and {raw}"));
        }
        views.insert(name, (raw.to_owned(), view));
    }
    views
}

/// The rows of the file's classifier in the order of the labels, if training keeps it, and what is to be said about it.
fn saved_rows(config: &Config, specs: &[&ParameterSpec], views: &Views) -> (Option<Vec<i64>>, Option<String>) {
    let per_class: Vec<_> =
        specs.iter().filter(|spec| spec.per_class).map(|spec| (spec, views.get(&spec.name))).collect();
    if per_class.iter().all(|(_, view)| view.is_none()) {
        return (None, config.saved_head.replaced_problem());
    }
    match config.saved_head.decide(&config.label_names()) {
        HeadDecision::New { reason } => (None, Some(reason)),
        HeadDecision::Keep { rows } => {
            if !per_class.iter().all(|(spec, view)| view.is_some_and(|(_, view)| same_shape(view, &spec.shape))) {
                let reason = "the model's own head is incomplete, or not of the size of its label names";
                return (None, Some(reason.to_owned()));
            }
            let is_sorted = rows.iter().copied().eq(0..rows.len() as i64);
            let order = if is_sorted { "" } else { ", and its rows are put in their order" };
            (Some(rows), Some(format!("the model's own head is kept: it has the labels of your data{order}")))
        }
    }
}

/// Maps a file into memory, so that nothing but its tensors is copied, and these once.
fn map(path: &Path) -> Result<Mmap, ModelError> {
    let fail = |source| ModelError::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(fail)?;
    // SAFETY: nothing of this project changes a weights file in place: downloads and saves write another file and rename
    // it. The map is only read; another program that cut the file off meanwhile would end this process.
    unsafe { Mmap::map(&file) }.map_err(fail)
}

/// Copies the file's tensors into the fp32 masters, each byte once. On a CPU all threads copy, because getting a page of
/// new memory costs more than filling it.
fn fill(found: &[FoundTensor], master: impl Fn(&ParameterSpec) -> Tensor) {
    /// Large enough that the overhead of a chunk is negligible, small enough that all threads finish at the same time.
    const CHUNK_BYTES: usize = 4 << 20;
    let mut to_copy: Vec<(&TensorView, Tensor)> = Vec::new();
    for (spec, view, kind) in found {
        let mut master = master(spec);
        match (kind, master.device()) {
            (Kind::Float, Device::Cpu) => to_copy.push((view, master)),
            _ => master.copy_(&Tensor::from_data_size(view.data(), &spec.shape, *kind)),
        }
    }
    // The shapes are the same, so the sizes are too.
    let chunks = to_copy
        .iter_mut()
        .flat_map(|(view, master)| view.data().chunks(CHUNK_BYTES).zip(bytes_mut(master).chunks_mut(CHUNK_BYTES)))
        .collect();
    parallel::for_each(chunks, |(from, to): (&[u8], &mut [u8])| to.copy_from_slice(from));
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

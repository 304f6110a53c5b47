//! A trained model with its tokenizer and label names.

use std::path::{Path, PathBuf};

use model::{CONFIG_JSON, Config, Inputs, LoadOptions, Precision, SequenceClassifier};
use serde::Serialize;
use tch::{Device, Kind};
use tokenize::{Batch, TokenizeError, Tokenizer, sequential_batches};

const BATCH_SIZE: usize = 32;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    #[error("{}: config.json has no id2label, so there is nothing to answer with (hint: --run takes a folder that \
        training made)", path.display())]
    NoLabels { path: PathBuf },
    /// A tokenizer that makes ids which the model has no embedding for.
    #[error("{}: the tokenizer has ids up to {}, and the model knows {known} (hint: tokenizer files and \
        model.safetensors must come from the same run)", path.display(), ids - 1)]
    Vocabulary { path: PathBuf, ids: usize, known: i64 },
    #[error("{}: {what} (hint: --run takes the folder that training printed at its end)", path.display())]
    NoModel { path: PathBuf, what: &'static str },
    #[error("{}: config.json has id2label {found}; the numbers must be 0, 1, 2, ... and two at least (hint: --run takes \
        a folder that training made)", path.display())]
    LabelNumbers { path: PathBuf, found: String },
    /// A `data.json` that doesn't say how long the texts were that the model was trained on.
    #[error("{}: no JSON with a max_length of 3 or more, so it isn't known how long a text may be (hint: copy the run again; without \
        this file the model's own limit is taken)", path.display())]
    Description { path: PathBuf },
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Model(#[from] model::ModelError),
    /// Texts that can't be read or answers that can't be written.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("{what}: not UTF-8 (hint: from Windows or Latin-1, `iconv -f WINDOWS-1252 -t UTF-8 FILE`)")]
    NotText { what: String },
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub label: String,
    /// The probability of every class by name, in the order of the class indices. They sum to 1.
    #[serde(serialize_with = "as_map")]
    pub probabilities: Vec<(String, f32)>,
    /// Whether the text was longer than the model reads and lost its end.
    pub truncated: bool,
}

impl Prediction {
    pub fn probability(&self) -> f32 {
        self.probabilities.iter().find(|(name, _)| *name == self.label).map_or(0.0, |(_, p)| *p)
    }
}

fn as_map<S: serde::Serializer>(pairs: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, p)| (name, p)))
}

/// A trained run, ready to answer.
#[derive(Debug)]
pub struct Predictor {
    model: SequenceClassifier,
    tokenizer: Tokenizer,
    label_names: Vec<String>,
}

impl Predictor {
    /// Opens a run, or any Hugging Face folder of a BERT with a classification head.
    ///
    /// # Errors
    /// Files that are missing, damaged or don't fit each other.
    pub fn open(run: &Path, device: Device, precision: Precision) -> Result<Self, PredictError> {
        let missing = |what| Err(PredictError::NoModel { path: run.to_owned(), what });
        if !run.is_dir() {
            return missing("there is no such folder");
        }
        if !run.join(CONFIG_JSON).is_file() {
            return missing("no model is in this folder: it has no config.json");
        }
        let options = LoadOptions { device, precision, new_head: false, reinit_layers: 0, seed: 0 };
        let (model, _) = SequenceClassifier::load(run, Config::from_folder(run)?, &options)?;
        let label_names = model.config().label_names();
        let numbers = &model.config().id2label;
        if numbers.is_empty() {
            return Err(PredictError::NoLabels { path: run.to_owned() });
        }
        if label_names.len() < numbers.len().max(2) {
            let found =
                numbers.iter().map(|(number, name)| format!("{number} = {name}")).collect::<Vec<_>>().join(", ");
            return Err(PredictError::LabelNumbers { path: run.to_owned(), found });
        }
        let positions = model.config().max_position_embeddings as usize;
        let tokenizer = Tokenizer::from_folder(run, trained_length(run)?.unwrap_or(positions).min(positions))?;
        let (ids, known) = (tokenizer.vocab_size(), model.config().vocab_size);
        if ids as i64 > known {
            return Err(PredictError::Vocabulary { path: run.to_owned(), ids, known });
        }
        Ok(Self { model, tokenizer, label_names })
    }

    pub fn label_names(&self) -> &[String] {
        &self.label_names
    }

    pub fn model(&self) -> &SequenceClassifier {
        &self.model
    }

    /// Answers texts, in their order. Sentences of like length are computed together, which changes no answer.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn predict(&self, texts: &[&str]) -> Result<Vec<Prediction>, PredictError> {
        let encoded = self.tokenizer.encode_batch(texts)?;
        let counts: Vec<u32> = encoded.iter().map(|text| text.ids.len() as u32).collect();
        let mut answers: Vec<Option<Prediction>> = vec![None; texts.len()];
        for rows in sequential_batches(&counts, BATCH_SIZE) {
            let ids: Vec<&[u32]> = rows.iter().map(|&row| encoded[row].ids.as_slice()).collect();
            let batch = Batch::from_ids(&ids);
            let inputs = Inputs::new(&batch.input_ids, &batch.cu_seqlens, self.model.parameters().device());
            let probabilities = self.model.forward(&inputs).softmax(-1, Kind::Float).to_device(Device::Cpu);
            for (row, p) in rows.into_iter().zip(Vec::<Vec<f32>>::try_from(&probabilities)?) {
                answers[row] = Some(self.prediction(&p, encoded[row].truncated));
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn prediction(&self, probabilities: &[f32], truncated: bool) -> Prediction {
        let mut best = 0;
        for (class, p) in probabilities.iter().enumerate() {
            if *p > probabilities[best] {
                best = class;
            }
        }
        Prediction {
            label: self.label_names[best].clone(),
            probabilities: self.label_names.iter().cloned().zip(probabilities.iter().copied()).collect(),
            truncated,
        }
    }
}

/// The length that texts were cut to in training, from the manifest in the run; `None` in a folder of other making.
fn trained_length(run: &Path) -> Result<Option<usize>, PredictError> {
    let path = run.join("data.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PredictError::Io { what: path.display().to_string(), source }),
    };
    let manifest: Result<serde_json::Value, _> = serde_json::from_str(&text);
    let length = manifest.ok().and_then(|manifest| usize::try_from(manifest.get("max_length")?.as_u64()?).ok());
    // Less leaves no room for a word beside [CLS] and [SEP].
    let length = length.filter(|length| *length > 2);
    length.map(Some).ok_or(PredictError::Description { path })
}

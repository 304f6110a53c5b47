//! A trained model with its tokenizer and label names.

use std::path::{Path, PathBuf};

use model::{
    CONFIG_JSON, ChosenPrecision, Config, InferencePrecision, Inputs, LoadOptions, Precision, SequenceClassifier,
};
use serde::Serialize;
use tch::{Device, Kind, Tensor};
use tokenize::{Batch, Encoded, TokenizeError, Tokenizer, sequential_batches};

const BATCH_SIZE: usize = 32;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    #[error("{}: config.json has no id2label, so the labels are unknown (hint: --run takes a folder that \
        training made)", path.display())]
    NoLabels { path: PathBuf },
    /// The tokenizer makes ids for which the model has no embedding.
    #[error("{}: the tokenizer has ids up to {}, but the model has {known} embeddings (hint: tokenizer files and \
        model.safetensors must come from the same run)", path.display(), ids - 1)]
    Vocabulary { path: PathBuf, ids: usize, known: i64 },
    #[error("{}: {what} (hint: --run takes the folder that training printed at its end)", path.display())]
    NoModel { path: PathBuf, what: &'static str },
    #[error("{}: expected the numbers 0, 1, 2, ... in config.json's id2label, at least two of them, found {found} (hint: \
        --run takes a folder that training made)", path.display())]
    LabelNumbers { path: PathBuf, found: String },
    /// `data.json` doesn't say how long the texts were on which the model was trained.
    #[error("{}: expected JSON with a max_length of at least 3, the most tokens of a text (hint: copy the run again, or delete \
        this file to use the model's own limit)", path.display())]
    Description { path: PathBuf },
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Model(#[from] model::ModelError),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub label: String,
    /// The probability of every class by name, in the order of the class indices. They sum to 1.
    #[serde(serialize_with = "as_map")]
    pub probabilities: Vec<(String, f32)>,
    /// Whether the end of the text was cut off, because the text is longer than the model's limit.
    pub truncated: bool,
    /// How many words the vocabulary has no pieces for. The model reads the same sign in place of each of them.
    pub unknown_words: usize,
    /// How many words and pieces of words the model read, unknown ones included.
    #[serde(skip)]
    pub tokens: usize,
}

impl Prediction {
    pub fn probability(&self) -> f32 {
        self.probabilities.iter().find(|(name, _)| *name == self.label).map_or(0.0, |(_, p)| *p)
    }

    /// Whether the vocabulary knows no word of the text, so that the model had nothing to go by.
    pub fn nothing_known(&self) -> bool {
        self.unknown_words == self.tokens
    }
}

fn as_map<S: serde::Serializer>(pairs: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, p)| (name, p)))
}

/// A trained run, ready to label texts.
#[derive(Debug)]
pub struct Predictor {
    model: SequenceClassifier,
    tokenizer: Tokenizer,
    label_names: Vec<String>,
}

impl Predictor {
    /// The configuration of a run's model, which says in which precision to open it.
    ///
    /// # Errors
    /// A folder without a model; a configuration that is damaged.
    pub fn config(run: &Path) -> Result<Config, PredictError> {
        let missing = |what| Err(PredictError::NoModel { path: run.to_owned(), what });
        if !run.is_dir() {
            return missing("this folder does not exist");
        }
        if !run.join(CONFIG_JSON).is_file() {
            return missing("this folder holds no model: config.json is missing");
        }
        Ok(Config::from_folder(run)?)
    }

    /// Opens a run, or any Hugging Face folder of a BERT with a classification head.
    ///
    /// # Errors
    /// Files that are missing, damaged or inconsistent with each other; int8 where it is not available.
    pub fn open(run: &Path, device: Device, precision: impl Into<InferencePrecision>) -> Result<Self, PredictError> {
        let precision = precision.into();
        let model = Self::load(run, device, precision.float())?;
        let model = match precision {
            InferencePrecision::Int8 => model.quantized()?,
            InferencePrecision::Float(_) => model.packed(),
        };
        Self::of_parts(run, model)
    }

    /// Opens a run in fp32 with weights that gradients can be computed from, which takes more time than [`open`](Self::open)
    /// for a prediction.
    ///
    /// # Errors
    /// Files that are missing, damaged or inconsistent with each other.
    pub fn open_for_gradients(run: &Path, device: Device) -> Result<Self, PredictError> {
        Self::of_parts(run, Self::load(run, device, Precision::Fp32.into())?)
    }

    fn load(run: &Path, device: Device, precision: ChosenPrecision) -> Result<SequenceClassifier, PredictError> {
        let options = LoadOptions { device, precision, new_head: false, reinit_layers: 0, seed: 0 };
        Ok(SequenceClassifier::load(run, Self::config(run)?, &options)?.0)
    }

    fn of_parts(run: &Path, model: SequenceClassifier) -> Result<Self, PredictError> {
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

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub fn model(&self) -> &SequenceClassifier {
        &self.model
    }

    /// The model, the tokenizer and the label names, for whoever batches texts in another way: see [`batch_scores`].
    pub fn into_parts(self) -> (SequenceClassifier, Tokenizer, Vec<String>) {
        (self.model, self.tokenizer, self.label_names)
    }

    /// Labels texts, in their order. Texts of similar length share a forward pass, which changes no result.
    ///
    /// # Errors
    /// A text that the tokenizer rejects.
    pub fn predict(&self, texts: &[&str]) -> Result<Vec<Prediction>, PredictError> {
        self.predict_by(texts, |ids| Ok(self.probabilities(ids, |_| true)?.into_iter().flatten().collect()))
    }

    /// Labels texts by probabilities that `compute` gets from their token ids: for each text those of all classes.
    ///
    /// # Errors
    /// A text that the tokenizer rejects; what `compute` returns.
    pub fn predict_by<E: From<PredictError>>(
        &self,
        texts: &[&str],
        compute: impl FnOnce(&[&[u32]]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<Vec<Prediction>, E> {
        let encoded = self.tokenizer.encode_batch(texts).map_err(PredictError::from)?;
        let ids: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
        let probabilities = compute(&ids)?;
        Ok(probabilities.iter().zip(&encoded).map(|(p, text)| self.prediction(p, text)).collect())
    }

    /// The probabilities of all classes for each text, given as token ids; `None` for texts of batches that aren't wanted.
    /// Which texts are a batch follows from their lengths, so that several processes that want other batches of the same
    /// texts compute together, to the bit, what one computes.
    ///
    /// # Errors
    /// Scores that can't be read from the device.
    pub fn probabilities(
        &self,
        ids: &[&[u32]],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<Vec<f32>>>, PredictError> {
        let counts: Vec<u32> = ids.iter().map(|text| text.len() as u32).collect();
        let mut probabilities = vec![None; ids.len()];
        for (_, rows) in sequential_batches(&counts, BATCH_SIZE).into_iter().enumerate().filter(|(at, _)| wanted(*at)) {
            let batch = Batch::from_ids(&rows.iter().map(|&row| ids[row]).collect::<Vec<_>>());
            for (row, p) in rows.into_iter().zip(batch_scores(&self.model, &batch)?.probabilities) {
                probabilities[row] = Some(p);
            }
        }
        Ok(probabilities)
    }

    fn prediction(&self, probabilities: &[f32], text: &Encoded) -> Prediction {
        let mut best = 0;
        for (class, p) in probabilities.iter().enumerate() {
            if *p > probabilities[best] {
                best = class;
            }
        }
        Prediction {
            label: self.label_names[best].clone(),
            probabilities: self.label_names.iter().cloned().zip(probabilities.iter().copied()).collect(),
            truncated: text.truncated,
            unknown_words: text.unknown,
            tokens: text.ids.len() - self.tokenizer.special_tokens(),
        }
    }
}

/// The scores of the texts of a batch, in their order; each by class.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchScores {
    pub logits: Vec<Vec<f32>>,
    pub probabilities: Vec<Vec<f32>>,
}

/// Scores a token-packed batch, as every prediction is made: the same batch has the same scores, to the bit.
///
/// # Errors
/// Scores that can't be read from the device.
///
/// # Panics
/// Where libtorch fails in the forward pass, such as for a lack of memory. The model is unchanged by that.
pub fn batch_scores(model: &SequenceClassifier, batch: &Batch) -> Result<BatchScores, PredictError> {
    let inputs = Inputs::new(&batch.input_ids, &batch.cu_seqlens, model.parameters().device());
    let logits = model.forward(&inputs);
    let rows = |scores: &Tensor| Vec::<Vec<f32>>::try_from(scores.to_device(Device::Cpu));
    Ok(BatchScores { probabilities: rows(&logits.softmax(-1, Kind::Float))?, logits: rows(&logits)? })
}

/// The length that texts were cut to in training, from the manifest in the run; `None` in a folder without one.
fn trained_length(run: &Path) -> Result<Option<usize>, PredictError> {
    let path = run.join("data.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PredictError::Io { what: path.display().to_string(), source }),
    };
    let manifest: Result<serde_json::Value, _> = serde_json::from_str(&text);
    let length = manifest.ok().and_then(|manifest| usize::try_from(manifest.get("max_length")?.as_u64()?).ok());
    // A shorter text can't hold a word beside [CLS] and [SEP].
    let length = length.filter(|length| *length > 2);
    length.map(Some).ok_or(PredictError::Description { path })
}

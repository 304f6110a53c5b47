//! `BertForSequenceClassification`: embeddings, encoder, pooler and a linear classifier on `[CLS]`.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::config::{Config, DropoutOverrides};
use crate::dropout::{DropoutStream, Site};
use crate::embeddings::{self, Embeddings};
use crate::encoder::{self, Layer};
use crate::error::ModelError;
use crate::initialise::Initialiser;
use crate::inputs::{Inputs, Rows};
use crate::layer_norm::{Upstream, times};
use crate::linear::Linear;
use crate::parameters::{Gradients, Parameters};
use crate::precision::Precision;
use crate::weights::{self, LoadReport};

/// BERT with a classification head.
#[derive(Debug)]
pub struct BertForSequenceClassification {
    config: Config,
    parameters: Parameters,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
}

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Class names by index. `None` keeps the names and the head of the file, which must then have both.
    pub label_names: Option<Vec<String>>,
    /// Where the parameters go.
    pub device: Device,
    /// What the passes compute in.
    pub precision: Precision,
    /// Seed of a fresh head and of re-initialised layers.
    pub seed: u64,
    /// Dropout probabilities in the place of `config.json`'s.
    pub dropout: DropoutOverrides,
    /// How many of the topmost layers start afresh instead of from the file.
    pub reinit_layers: i64,
}

/// What [`BertForSequenceClassification::backward`] needs of a forward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    inputs: &'a Inputs,
    embeddings: embeddings::Saved,
    layers: Vec<encoder::Saved>,
    /// `[B, D]` fp32: what the pooler read.
    cls: Tensor,
    /// `[B, D]` fp32: after the pooler's tanh.
    pooled: Tensor,
    site: Option<Site>,
}

impl BertForSequenceClassification {
    /// Loads a Hugging Face model folder: `config.json` and `model.safetensors`.
    ///
    /// A head that the file lacks, or whose class count differs from the labels, is initialised afresh; the report
    /// says so. Everything else must be there with the right shape.
    ///
    /// # Errors
    /// All of [`ModelError`].
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<(Self, LoadReport), ModelError> {
        let mut config = Config::from_folder(folder)?;
        config.override_dropout(options.dropout);
        if let Some(names) = &options.label_names {
            config.set_labels(names);
        }
        let (mut tensors, report) = weights::load(folder, &config, options)?;
        let mut take = |name: &str| {
            let tensor = tensors.remove(name);
            tensor.unwrap_or_else(|| panic!("{name} is built but not in the list of expected tensors"))
        };
        Ok((Self::build(config, options.device, options.precision, &mut take), report))
    }

    /// A model of random weights as Hugging Face initialises them: for tests and for measuring speed.
    pub fn random(config: Config, device: Device, precision: Precision, seed: u64) -> Self {
        let shapes = weights::expected_shapes(&config);
        let initialiser = Initialiser::new(seed, config.initializer_range);
        let mut take = |name: &str| initialiser.tensor(name, &shapes[name]).to_device(device);
        Self::build(config, device, precision, &mut take)
    }

    fn build(config: Config, device: Device, precision: Precision, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut parameters = Parameters::new(device, precision.kind());
        let embeddings = Embeddings::new(&mut parameters, &config, take);
        let layers =
            (0..config.num_hidden_layers).map(|index| Layer::new(&mut parameters, &config, index, take)).collect();
        let pooler = Linear::new_fp32(&mut parameters, "bert.pooler.dense", take);
        let classifier = Linear::new_fp32(&mut parameters, "classifier", take);
        Self { config, parameters, embeddings, layers, pooler, classifier }
    }

    /// The configuration, with the labels and dropout in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The ordered parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The ordered parameters, to freeze some.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// The logits without dropout: `[B, C]` fp32.
    pub fn forward(&self, inputs: &Inputs) -> Tensor {
        let mut hidden = self.embeddings.forward(inputs, &self.parameters); // [T, D]
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, inputs, self.rows_of(index));
        }
        let pooled = self.pooler.forward(&hidden.to_kind(Kind::Float)).tanh(); // [B, D]
        self.classifier.forward(&pooled)
    }

    /// The logits with dropout, `[B, C]` fp32, and the tape for [`backward`](Self::backward).
    pub fn forward_train<'a>(&self, inputs: &'a Inputs, dropout: &DropoutStream) -> (Tensor, Tape<'a>) {
        let (mut hidden, embeddings) = self.embeddings.forward_train(inputs, &self.parameters, dropout); // [T, D]
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let (y, saved) = layer.forward_train(hidden, inputs, self.rows_of(index), dropout);
            layers.push(saved);
            hidden = y;
        }
        let cls = hidden.to_kind(Kind::Float); // [B, D]
        let pooled = self.pooler.forward(&cls).tanh();
        let site = dropout.site(self.config.classifier_dropout_prob());
        let logits = self.classifier.forward(&times(&pooled, site)); // [B, C]
        (logits, Tape { inputs, embeddings, layers, cls, pooled, site })
    }

    /// The gradient of every trainable parameter from that of the logits, `[B, C]` fp32.
    pub fn backward(&self, tape: Tape, dlogits: &Tensor) -> Gradients {
        let (parameters, mut gradients) = (&self.parameters, Gradients::none_for(&self.parameters));
        let Tape { inputs, embeddings, layers, cls, pooled, site } = tape;
        self.classifier.backward_weights(&times(&pooled, site), dlogits, parameters, &mut gradients);
        let dpooled = times(&self.classifier.backward_input(dlogits), site);
        let dbefore = Tensor::tanh_backward(&dpooled, &pooled); // [B, D]
        self.pooler.backward_weights(&cls, &dbefore, parameters, &mut gradients);

        let lowest = self.lowest_trainable_layer();
        let dcls = self.pooler.backward_input(&dbefore).to_kind(self.compute_kind()); // [B, D]
        let mut dhidden = Some(Upstream { dy: dcls, dy_too: None });
        for (index, saved) in layers.into_iter().enumerate().rev() {
            let Some(dy) = dhidden.take() else { break };
            if lowest.is_none_or(|lowest| index < lowest) {
                break;
            }
            let input_wanted = lowest.is_some_and(|lowest| index > lowest) || self.embeddings_trainable();
            dhidden = self.layers[index].backward(saved, &dy, inputs, input_wanted, parameters, &mut gradients);
        }
        if let (true, Some(dy)) = (self.embeddings_trainable(), dhidden) {
            self.embeddings.backward(&embeddings, &dy, inputs, parameters, &mut gradients);
        }
        gradients
    }

    /// Writes `config.json` and `model.safetensors` (fp32) into `folder`, as transformers reads them.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Safetensors`].
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        weights::save(folder, &self.config, &self.parameters)
    }

    // Only the classifier reads the last layer, and only its [CLS] rows.
    fn rows_of(&self, index: usize) -> Rows {
        if index + 1 == self.layers.len() { Rows::Cls } else { Rows::All }
    }

    fn compute_kind(&self) -> Kind {
        self.parameters.compute_kind()
    }

    fn embeddings_trainable(&self) -> bool {
        self.any_trainable("bert.embeddings.")
    }

    // The lowest layer that the backward pass must reach: 0 if the embeddings train, `None` if nothing below the
    // pooler does.
    fn lowest_trainable_layer(&self) -> Option<usize> {
        if self.embeddings_trainable() {
            return Some(0);
        }
        (0..self.layers.len()).find(|index| self.any_trainable(&format!("bert.encoder.layer.{index}.")))
    }

    fn any_trainable(&self, prefix: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.trainable() && parameter.name().starts_with(prefix))
    }
}

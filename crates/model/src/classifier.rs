//! A model with a classification head: loading, the forward pass, and the explicit backward pass.

use std::io::{self, Write};
use std::path::Path;

use disk::write_atomic_with;
use tch::{Device, Kind, Tensor};

use crate::architecture::Network;
use crate::backend::Backend;
use crate::builder::Role;
use crate::config::{CONFIG_JSON, Config};
use crate::device::device_name;
use crate::dropout::DropoutStream;
use crate::error::ModelError;
use crate::gradients::Gradients;
use crate::head;
use crate::inference_weights::InferenceForm;
use crate::initializer::initialize;
use crate::inputs::{Inputs, RowSelection};
use crate::layers::encoder_layer;
use crate::layers::layer_norm::{self, Upstream};
use crate::parameters::Parameters;
use crate::pass::{Backward, Forward};
use crate::precision::Precision;
use crate::precision_choice::ChosenPrecision;
use crate::tensor_file::write_tensors;
use crate::weights::{self, LoadOptions, LoadReport, MODEL_SAFETENSORS};

/// An encoder with a classification head.
#[derive(Debug)]
pub struct SequenceClassifier {
    config: Config,
    parameters: Parameters,
    network: Network,
}

/// What [`SequenceClassifier::backward`] needs of a forward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    embeddings: layer_norm::Saved,
    encoder: EncoderTape<'a>,
}

/// What [`SequenceClassifier::embedding_gradient`] needs of a forward pass: everything above the embeddings.
#[derive(Debug)]
pub struct EncoderTape<'a> {
    inputs: &'a Inputs,
    layers: Vec<encoder_layer::Saved>,
    head: head::Saved,
}

impl SequenceClassifier {
    /// Loads `model.safetensors` of a Hugging Face folder. `config` is the folder's own `config.json`, with the labels
    /// and dropout that the caller has set.
    ///
    /// The report lists the parameters that were randomly initialized, where the options allow it. All others must be
    /// in the file with the right shape.
    ///
    /// # Errors
    /// All of [`ModelError`].
    pub fn load(folder: &Path, config: Config, options: &LoadOptions) -> Result<(Self, LoadReport), ModelError> {
        if let Some(message) = config.saved_head.refusal().filter(|_| !options.new_head) {
            return Err(ModelError::Config { path: folder.join(CONFIG_JSON), message });
        }
        let backend = Backend::on(options.device)?;
        let (specs, network) = config.build();
        let (mut parameters, report) = weights::load(folder, &config, specs, backend, options)?;
        parameters.sync();
        parameters.set_multiplier(options.precision.multiplier());
        Ok((Self { config, parameters, network }, report))
    }

    /// The same model with int8 weights in the encoder's linear layers, for forward passes only. It must compute in fp32,
    /// on a CPU with the kernels.
    ///
    /// # Errors
    /// [`ModelError::Int8`] for another device or backend.
    ///
    /// # Panics
    /// If it computes in another format than fp32.
    pub fn quantized(mut self) -> Result<Self, ModelError> {
        let parameters = &mut self.parameters;
        if parameters.backend() != Backend::Kernels {
            return Err(ModelError::Int8 { device: device_name(parameters.device()) });
        }
        assert!(parameters.compute_kind() == Kind::Float, "only an fp32 model can be quantized");
        parameters.convert_for_inference(InferenceForm::Quantized);
        Ok(self)
    }

    /// The same model for forward passes only, with the weights of the encoder's linear layers in the order in which
    /// products read them, if the kernels multiply. The results do not change.
    #[must_use]
    pub fn packed(mut self) -> Self {
        if self.parameters.multiplier() == Backend::Kernels {
            self.parameters.convert_for_inference(InferenceForm::Packed);
        }
        self
    }

    /// Checks a Hugging Face folder as [`load`](Self::load) does for a training, but reads no tensors: the names,
    /// shapes and dtypes in the header of `model.safetensors`. Returns the configuration.
    ///
    /// # Errors
    /// All of [`ModelError`] that `load` returns for this folder.
    pub fn check(folder: &Path) -> Result<Config, ModelError> {
        let config = Config::from_folder(folder)?;
        let (device, precision) = (Device::Cpu, Precision::Fp32);
        let options = LoadOptions { device, precision: precision.into(), new_head: true, reinit_layers: 0, seed: 0 };
        weights::check(folder, &config, &config.parameters(), &options)?;
        Ok(config)
    }

    /// A model with random weights, initialized as by Hugging Face: for tests and benchmarks.
    ///
    /// # Panics
    /// If [`Backend::on`] the device is not defined.
    pub fn random(config: Config, device: Device, precision: Precision, seed: u64) -> Self {
        let backend = Backend::on(device).unwrap_or_else(|error| panic!("{error}"));
        let (specs, network) = config.build();
        let master = |spec: &_| initialize(spec, seed, config.initializer_range);
        let mut parameters = Parameters::new(specs, device, backend, precision.kind(), master);
        parameters.set_multiplier(ChosenPrecision::from(precision).multiplier());
        Self { config, parameters, network }
    }

    /// The configuration, with the labels and dropout in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The ordered parameters, to freeze some.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// The logits without dropout: `[B, C]` fp32.
    pub fn forward(&self, inputs: &Inputs) -> Tensor {
        let pass = Forward { inputs, parameters: &self.parameters, dropout: None };
        let Network { embeddings, layers, head } = &self.network;
        let mut hidden = embeddings.forward(pass); // [T, D]
        for (index, layer) in layers.iter().enumerate() {
            hidden = layer.forward(&hidden, self.rows_of(index), pass);
        }
        head.forward(&hidden, pass).0
    }

    /// The logits with dropout, `[B, C]` fp32, and the tape for [`backward`](Self::backward).
    ///
    /// # Panics
    /// If the model is for forward passes only.
    pub fn forward_train<'a>(&self, inputs: &'a Inputs, dropout: &DropoutStream) -> (Tensor, Tape<'a>) {
        assert!(!self.parameters.is_for_inference(), "a model for inference can't be trained");
        let pass = Forward { inputs, parameters: &self.parameters, dropout: Some(dropout) };
        let (hidden, embeddings) = self.network.embeddings.forward_train(pass); // [T, D]
        let (logits, encoder) = self.encode(inputs, hidden, Some(dropout));
        (logits, Tape { embeddings, encoder })
    }

    /// The embeddings of a batch without dropout, as the first layer reads them: summed and normalized, `[T, D]` in the
    /// compute format.
    pub fn embed(&self, inputs: &Inputs) -> Tensor {
        let pass = Forward { inputs, parameters: &self.parameters, dropout: None };
        self.network.embeddings.forward(pass).narrow(0, 0, inputs.token_count())
    }

    /// The logits without dropout, `[B, C]` fp32, of `embeddings`, `[T, D]` in the compute format, in place of those of
    /// [`embed`](Self::embed); and the tape for [`embedding_gradient`](Self::embedding_gradient). The ids of `inputs` are
    /// not read, only where its sentences begin.
    ///
    /// # Panics
    /// If the model is for forward passes only.
    pub fn forward_embedded<'a>(&self, embeddings: &Tensor, inputs: &'a Inputs) -> (Tensor, EncoderTape<'a>) {
        assert!(!self.parameters.is_for_inference(), "a model for inference has no gradients");
        let hidden = match self.parameters.backend() {
            // Rows after the tokens belong to no sentence.
            Backend::Kernels => embeddings.constant_pad_nd([0, 0, 0, inputs.row_count() - inputs.token_count()]),
            Backend::Libtorch => embeddings.shallow_clone(),
        };
        self.encode(inputs, hidden, None)
    }

    /// The gradient of the embeddings, `[T, D]` fp32, from that of the logits, `[B, C]` fp32. No gradient of a parameter is
    /// computed.
    pub fn embedding_gradient(&self, tape: EncoderTape, dlogits: &Tensor) -> Tensor {
        let (inputs, parameters) = (tape.inputs, &self.parameters);
        let mut gradients = Gradients::none(parameters);
        let mut pass = Backward { inputs, parameters, gradients: &mut gradients };
        let rows = |tensor: &Tensor| tensor.narrow(0, 0, inputs.token_count()).to_kind(Kind::Float);
        match self.backward_encoder(tape, dlogits, 0, true, &mut pass, &mut |_, _| ()) {
            Some(Upstream { dy, dy_residual: Some(residual) }) => rows(&dy) + rows(&residual),
            Some(Upstream { dy, dy_residual: None }) => rows(&dy),
            None => unreachable!("the gradient of the lowest layer's input was asked for"),
        }
    }

    /// From the embeddings, `[R, D]`, to the logits, `[B, C]` fp32.
    fn encode<'a>(
        &self,
        inputs: &'a Inputs,
        mut hidden: Tensor,
        dropout: Option<&DropoutStream>,
    ) -> (Tensor, EncoderTape<'a>) {
        let pass = Forward { inputs, parameters: &self.parameters, dropout };
        let mut layers = Vec::with_capacity(self.network.layers.len());
        for (index, layer) in self.network.layers.iter().enumerate() {
            let (y, saved) = layer.forward_train(hidden, self.rows_of(index), pass);
            layers.push(saved);
            hidden = y;
        }
        let (logits, head) = self.network.head.forward(&hidden, pass);
        (logits, EncoderTape { inputs, layers, head })
    }

    /// The gradient of every trainable parameter from that of the logits, `[B, C]` fp32, in new memory.
    pub fn backward(&self, tape: Tape, dlogits: &Tensor) -> Gradients {
        let mut gradients = Gradients::of_pass(&self.parameters);
        self.backward_into(tape, dlogits, &mut gradients, &mut |_, _| ());
        gradients
    }

    /// Writes the gradient of every trainable parameter to [`Gradients::of_pass`] of these parameters. Calls `ready` with each
    /// part of the model, from the head down, as soon as the gradients of its parameters are final.
    pub fn backward_into(
        &self,
        tape: Tape,
        dlogits: &Tensor,
        gradients: &mut Gradients,
        ready: &mut dyn FnMut(Role, &Gradients),
    ) {
        let parameters = &self.parameters;
        let Tape { embeddings, encoder } = tape;
        let mut pass = Backward { inputs: encoder.inputs, parameters, gradients };

        let embeddings_trainable = parameters.any_trainable(Role::Embedding);
        let trains = |layer: &usize| embeddings_trainable || parameters.any_trainable(Role::Layer(*layer));
        // The lowest layer that the gradient must reach; the number of layers if nothing below the head is trainable.
        let layers = encoder.layers.len();
        let lowest = (0..layers).find(trains).unwrap_or(layers);
        let dembeddings = self.backward_encoder(encoder, dlogits, lowest, embeddings_trainable, &mut pass, ready);
        if let (true, Some(dy)) = (embeddings_trainable, dembeddings) {
            self.network.embeddings.backward(&embeddings, &dy, &mut pass);
            ready(Role::Embedding, pass.gradients);
        }
    }

    /// Multiplies all logits by `factor`, by weight and bias of the classifier: computed in fp64, and rounded to fp32.
    pub fn scale_logits(&mut self, factor: f64) {
        for parameter in self.parameters.iter().filter(|parameter| parameter.spec().per_class) {
            let scaled = (parameter.master().to_kind(Kind::Double) * factor).to_kind(Kind::Float);
            parameter.master().shallow_clone().copy_(&scaled);
            parameter.sync();
        }
    }

    /// Writes the weights as `model.safetensors` (fp32), in the format of transformers.
    ///
    /// # Errors
    /// What `out` returns.
    ///
    /// # Panics
    /// If the model is for forward passes only.
    pub fn write_weights(&self, out: &mut impl Write) -> io::Result<()> {
        assert!(!self.parameters.is_for_inference(), "a model for inference can't be saved");
        write_tensors(out, self.parameters.iter().map(|parameter| (parameter.name(), parameter.master())))
    }

    /// From the gradient of the logits, `[B, C]` fp32, down to the input of layer `lowest`, `[R, D]`; `None` if that is not
    /// needed.
    fn backward_encoder(
        &self,
        tape: EncoderTape,
        dlogits: &Tensor,
        lowest: usize,
        needs_input_gradient: bool,
        pass: &mut Backward,
        ready: &mut dyn FnMut(Role, &Gradients),
    ) -> Option<Upstream> {
        let EncoderTape { layers, head, .. } = tape;
        let kind = self.parameters.compute_kind();
        let dcls = self.network.head.backward(&head, dlogits, pass).to_kind(kind); // [B, D]
        ready(Role::Head, pass.gradients);
        let mut dhidden = Some(Upstream { dy: dcls, dy_residual: None });
        for (index, saved) in layers.into_iter().enumerate().skip(lowest).rev() {
            let needs_input_gradient = index > lowest || needs_input_gradient;
            dhidden = self.network.layers[index].backward(saved, &dhidden?, needs_input_gradient, pass);
            ready(Role::Layer(index), pass.gradients);
        }
        dhidden
    }

    /// Writes `config.json` and `model.safetensors` (fp32) into `folder`, in the format of transformers. Each file is
    /// written atomically.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Safetensors`].
    ///
    /// # Panics
    /// If the model is for forward passes only.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        assert!(!self.parameters.is_for_inference(), "a model for inference can't be saved");
        write_atomic_with(&folder.join(CONFIG_JSON), |out| out.write_all(self.config.to_json()?.as_bytes()))?;
        Ok(write_atomic_with(&folder.join(MODEL_SAFETENSORS), |out| self.write_weights(out))?)
    }

    // Only the classifier reads the last layer, and only its [CLS] rows.
    fn rows_of(&self, index: usize) -> RowSelection {
        if index + 1 == self.network.layers.len() { RowSelection::Cls } else { RowSelection::All }
    }
}

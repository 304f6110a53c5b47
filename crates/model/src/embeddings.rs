//! Word, position and token-type embeddings, summed, normalised and dropped out.

use tch::{Kind, Tensor};

use crate::config::Config;
use crate::dropout::DropoutStream;
use crate::inputs::Inputs;
use crate::layer_norm::{self, LayerNorm};
use crate::parameters::{Gradient, Gradients, ParameterId, Parameters};

#[derive(Debug)]
pub(crate) struct Embeddings {
    word: ParameterId,
    position: ParameterId,
    token_type: ParameterId,
    norm: LayerNorm,
    dropout: f64,
}

#[derive(Debug)]
pub(crate) struct Saved {
    norm: layer_norm::Saved,
    mask: Option<Tensor>,
}

impl Embeddings {
    pub(crate) fn new(parameters: &mut Parameters, config: &Config, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut add = |table: &str| {
            let name = format!("bert.embeddings.{table}_embeddings.weight");
            let tensor = take(&name);
            parameters.add(name, tensor)
        };
        let (word, position, token_type) = (add("word"), add("position"), add("token_type"));
        let norm = LayerNorm::new(parameters, "bert.embeddings.LayerNorm", config.layer_norm_eps, take);
        Self { word, position, token_type, norm, dropout: config.hidden_dropout_prob }
    }

    /// `T` token ids to `[T, D]`. Single sentences only: every token is of type 0.
    pub(crate) fn forward(
        &self,
        inputs: &Inputs,
        parameters: &Parameters,
        dropout: Option<&DropoutStream>,
    ) -> (Tensor, Saved) {
        let table = |id: ParameterId| parameters.at(id).compute();
        let sum = table(self.word).index_select(0, &inputs.input_ids)
            + table(self.position).index_select(0, &inputs.position_ids)
            + table(self.token_type).narrow(0, 0, 1); // [T, D]
        let (y, norm) = self.norm.forward(sum);
        let mask = dropout.and_then(|stream| stream.mask(&y.size(), self.dropout, y.kind(), y.device()));
        let y = match &mask {
            Some(mask) => y.g_mul(mask),
            None => y,
        };
        (y, Saved { norm, mask })
    }

    /// Takes the gradient of the output, `[T, D]`.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        dy: Tensor,
        inputs: &Inputs,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) {
        let dy = match &saved.mask {
            Some(mask) => dy.g_mul(mask),
            None => dy,
        };
        // Sums over many tokens: fp32, or the small terms are lost.
        let dsum = self.norm.backward(&saved.norm, &dy, parameters, gradients).to_kind(Kind::Float); // [T, D]
        let trainable = |id: ParameterId| parameters.at(id).trainable();
        let zeros = |rows: i64| Tensor::zeros([rows, dsum.size()[1]], (Kind::Float, dsum.device()));
        if trainable(self.word) {
            let values = zeros(inputs.unique_ids.size()[0]).index_add_(0, &inputs.unique_inverse, &dsum); // [U, D]
            gradients.set(self.word, Gradient::Rows { ids: inputs.unique_ids.shallow_clone(), values });
        }
        if trainable(self.position) {
            let rows = parameters.at(self.position).master().size()[0];
            let dense = zeros(rows).index_add_(0, &inputs.position_ids, &dsum);
            gradients.set(self.position, Gradient::Dense(dense));
        }
        if trainable(self.token_type) {
            let rows = parameters.at(self.token_type).master().size()[0];
            let dense = zeros(rows);
            dense.narrow(0, 0, 1).copy_(&dsum.sum_dim_intlist(0, true, Kind::Float));
            gradients.set(self.token_type, Gradient::Dense(dense));
        }
    }
}

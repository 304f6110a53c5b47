//! One encoder layer: attention, then the position-wise feed-forward network, each with residual and norm.

use tch::Tensor;

use crate::attention::{self, Attention, Rows, add_masked, times};
use crate::config::{Activation, Config};
use crate::dropout::DropoutStream;
use crate::inputs::Inputs;
use crate::layer_norm::{self, LayerNorm};
use crate::linear::Linear;
use crate::parameters::{Gradients, Parameters};

#[derive(Debug)]
pub(crate) struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
}

#[derive(Debug)]
pub(crate) struct Saved {
    attention: attention::Saved,
    feed_forward: FeedForwardSaved,
}

impl Layer {
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        index: i64,
        take: &mut dyn FnMut(&str) -> Tensor,
    ) -> Self {
        let prefix = format!("bert.encoder.layer.{index}");
        Self {
            attention: Attention::new(parameters, config, &format!("{prefix}.attention"), take),
            feed_forward: FeedForward::new(parameters, config, &prefix, take),
        }
    }

    /// `[T, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, hidden: &Tensor, inputs: &Inputs, rows: Rows) -> Tensor {
        self.feed_forward.forward(&self.attention.forward(hidden, inputs, rows))
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(
        &self,
        hidden: Tensor,
        inputs: &Inputs,
        rows: Rows,
        dropout: &DropoutStream,
    ) -> (Tensor, Saved) {
        let (attended, attention) = self.attention.forward_train(hidden, inputs, rows, dropout);
        let (y, feed_forward) = self.feed_forward.forward_train(attended, dropout);
        (y, Saved { attention, feed_forward })
    }

    /// The gradient of the input `[T, D]` from that of the output `[R, D]`; `None` if it is not wanted.
    pub(crate) fn backward(
        &self,
        saved: Saved,
        dy: &Tensor,
        inputs: &Inputs,
        input_wanted: bool,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Option<Tensor> {
        let dattended = self.feed_forward.backward(&saved.feed_forward, dy, parameters, gradients);
        self.attention.backward(&saved.attention, &dattended, inputs, input_wanted, parameters, gradients)
    }
}

#[derive(Debug)]
struct FeedForward {
    intermediate: Linear,
    output: Linear,
    norm: LayerNorm,
    activation: Activation,
    dropout: f64,
}

#[derive(Debug)]
struct FeedForwardSaved {
    /// `[R, D]`.
    x: Tensor,
    /// `[R, I]`: before and after the activation.
    before: Tensor,
    after: Tensor,
    mask: Option<Tensor>,
    norm: layer_norm::Saved,
}

impl FeedForward {
    fn new(parameters: &mut Parameters, config: &Config, prefix: &str, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        Self {
            intermediate: Linear::new(parameters, &[format!("{prefix}.intermediate.dense")], take),
            output: Linear::new(parameters, &[format!("{prefix}.output.dense")], take),
            norm: LayerNorm::new(parameters, &format!("{prefix}.output.LayerNorm"), config.layer_norm_eps, take),
            activation: config.hidden_act,
            dropout: config.hidden_dropout_prob,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let after = self.activation.forward(&self.intermediate.forward(x)); // [R, I]
        self.norm.forward(self.output.forward(&after) + x).0
    }

    fn forward_train(&self, x: Tensor, dropout: &DropoutStream) -> (Tensor, FeedForwardSaved) {
        let before = self.intermediate.forward(&x); // [R, I]
        let after = self.activation.forward(&before);
        let dense = self.output.forward(&after); // [R, D]
        let mask = dropout.mask(&dense.size(), self.dropout, dense.kind(), dense.device());
        let (y, norm) = self.norm.forward(add_masked(&x, dense, &mask));
        (y, FeedForwardSaved { x, before, after, mask, norm })
    }

    fn backward(
        &self,
        saved: &FeedForwardSaved,
        dy: &Tensor,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Tensor {
        let dsum = self.norm.backward(&saved.norm, dy, parameters, gradients); // [R, D]
        let ddense = times(&dsum, &saved.mask);
        self.output.backward_weights(&saved.after, &ddense, parameters, gradients);
        let dbefore = self.activation.backward(&self.output.backward_input(&ddense), &saved.before); // [R, I]
        self.intermediate.backward_weights(&saved.x, &dbefore, parameters, gradients);
        self.intermediate.backward_input(&dbefore).g_add_(&dsum)
    }
}

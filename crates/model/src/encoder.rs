//! One encoder layer: attention, then the position-wise feed-forward network, each with residual and norm.

use tch::Tensor;

use crate::attention::{self, Attention};
use crate::config::{Activation, Config};
use crate::dropout::DropoutStream;
use crate::inputs::{Inputs, Rows};
use crate::layer_norm::{self, LayerNorm, Sites, Upstream};
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
        upstream: &Upstream,
        inputs: &Inputs,
        input_wanted: bool,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Option<Upstream> {
        let dattended = self.feed_forward.backward(&saved.feed_forward, upstream, parameters, gradients);
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
    /// `[R, I]`: before the activation. What is behind it is made again.
    before: Tensor,
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
        self.norm.forward(self.output.forward(&after), Some(x))
    }

    fn forward_train(&self, x: Tensor, dropout: &DropoutStream) -> (Tensor, FeedForwardSaved) {
        let before = self.intermediate.forward(&x); // [R, I]
        let dense = self.output.forward(&self.activation.forward(&before)); // [R, D]
        let sites = Sites { before: dropout.site(self.dropout), after: None };
        let (y, norm) = self.norm.forward_train(dense, Some(&x), sites);
        (y, FeedForwardSaved { x, before, norm })
    }

    fn backward(
        &self,
        saved: &FeedForwardSaved,
        upstream: &Upstream,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Upstream {
        let dnorm = self.norm.backward(&saved.norm, upstream, parameters, gradients); // [R, D]
        let dafter = self.output.backward_input(&dnorm.dense); // [R, I]
        let (dbefore, after) = self.activation.backward(dafter, &saved.before);
        self.output.backward_weights(&after, &dnorm.dense, parameters, gradients);
        self.intermediate.backward_weights(&saved.x, &dbefore, parameters, gradients);
        Upstream { dy: self.intermediate.backward_input(&dbefore), dy_too: Some(dnorm.residual) }
    }
}

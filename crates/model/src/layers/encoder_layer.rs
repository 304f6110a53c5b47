//! One encoder layer: attention, then the position-wise feed-forward network, each with residual and norm.

use tch::Tensor;

use crate::config::Activation;
use crate::dropout::DropoutStream;
use crate::inputs::{Inputs, Rows};
use crate::layers::attention::{self, Attention};
use crate::layers::layer_norm::{self, LayerNorm, Sites, Upstream};
use crate::layers::linear::Linear;
use crate::parameters::{Gradients, Parameters};

#[derive(Debug)]
pub(crate) struct EncoderLayer {
    pub(crate) attention: Attention,
    pub(crate) feed_forward: FeedForward,
}

#[derive(Debug)]
pub(crate) struct Saved {
    attention: attention::Saved,
    feed_forward: FeedForwardSaved,
}

impl EncoderLayer {
    /// `[T, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, hidden: &Tensor, inputs: &Inputs, rows: Rows, parameters: &Parameters) -> Tensor {
        self.feed_forward.forward(&self.attention.forward(hidden, inputs, rows, parameters), parameters)
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(
        &self,
        hidden: Tensor,
        inputs: &Inputs,
        rows: Rows,
        parameters: &Parameters,
        dropout: &DropoutStream,
    ) -> (Tensor, Saved) {
        let (attended, attention) = self.attention.forward_train(hidden, inputs, rows, parameters, dropout);
        let (y, feed_forward) = self.feed_forward.forward_train(attended, parameters, dropout);
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
pub(crate) struct FeedForward {
    pub(crate) intermediate: Linear,
    pub(crate) output: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) activation: Activation,
    pub(crate) dropout: f64,
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
    /// `[R, D]` to `[R, D]`, without dropout and without a tape.
    fn forward(&self, x: &Tensor, parameters: &Parameters) -> Tensor {
        let after = self.activation.forward(&self.intermediate.forward(x, parameters)); // [R, I]
        self.norm.forward(self.output.forward(&after, parameters), Some(x), parameters)
    }

    fn forward_train(&self, x: Tensor, parameters: &Parameters, dropout: &DropoutStream) -> (Tensor, FeedForwardSaved) {
        let before = self.intermediate.forward(&x, parameters); // [R, I]
        let dense = self.output.forward(&self.activation.forward(&before), parameters); // [R, D]
        let sites = Sites { before: dropout.site(self.dropout), after: None };
        let (y, norm) = self.norm.forward_train(dense, Some(&x), sites, parameters);
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
        let dafter = self.output.backward_input(&dnorm.dense, parameters); // [R, I]
        let (dbefore, after) = self.activation.backward(dafter, &saved.before);
        self.output.backward_weights(&after, &dnorm.dense, parameters, gradients);
        self.intermediate.backward_weights(&saved.x, &dbefore, parameters, gradients);
        let dy = self.intermediate.backward_input(&dbefore, parameters);
        Upstream { dy, dy_residual: Some(dnorm.residual) }
    }
}

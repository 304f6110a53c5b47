//! One encoder layer: attention, then the position-wise feed-forward network, each with a residual connection and a
//! norm.

use tch::Tensor;

use crate::config::Activation;
use crate::inputs::RowSelection;
use crate::layers::attention::{self, Attention};
use crate::layers::layer_norm::{self, DropoutSites, LayerNorm, Upstream};
use crate::layers::linear::Linear;
use crate::pass::{Backward, Forward};

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
    pub(crate) fn forward(&self, hidden: &Tensor, rows: RowSelection, pass: Forward) -> Tensor {
        self.feed_forward.forward(&self.attention.forward(hidden, rows, pass), pass)
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(&self, hidden: Tensor, rows: RowSelection, pass: Forward) -> (Tensor, Saved) {
        let (attended, attention) = self.attention.forward_train(hidden, rows, pass);
        let (y, feed_forward) = self.feed_forward.forward_train(attended, rows, pass);
        (y, Saved { attention, feed_forward })
    }

    /// The gradient of the input `[T, D]` from that of the output `[R, D]`; `None` if it is not needed.
    pub(crate) fn backward(
        &self,
        saved: Saved,
        upstream: &Upstream,
        needs_input_gradient: bool,
        pass: &mut Backward,
    ) -> Option<Upstream> {
        let dattended = self.feed_forward.backward(&saved.feed_forward, upstream, pass);
        self.attention.backward(&saved.attention, &dattended, needs_input_gradient, pass)
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
    /// `[R, I]`: before the activation, whose output the backward pass recomputes.
    before: Tensor,
    norm: layer_norm::Saved,
}

impl FeedForward {
    /// `[R, D]` to `[R, D]`, without dropout and without a tape.
    fn forward(&self, x: &Tensor, Forward { parameters, .. }: Forward) -> Tensor {
        let after = self.intermediate.forward_activated(x, self.activation, parameters); // [R, I]
        self.norm.forward(self.output.forward(&after, parameters), Some(x), parameters)
    }

    fn forward_train(&self, x: Tensor, rows: RowSelection, pass: Forward) -> (Tensor, FeedForwardSaved) {
        let parameters = pass.parameters;
        let before = self.intermediate.forward(&x, parameters); // [R, I]
        let after = self.activation.forward(&before, parameters.backend());
        let dense = self.output.forward(&after, parameters); // [R, D]
        let sites = DropoutSites { before: pass.site(self.dropout, rows), after: None };
        let (y, norm) = self.norm.forward_train(dense, Some(&x), sites, parameters);
        (y, FeedForwardSaved { x, before, norm })
    }

    fn backward(&self, saved: &FeedForwardSaved, upstream: &Upstream, pass: &mut Backward) -> Upstream {
        let dnorm = self.norm.backward(&saved.norm, upstream, pass); // [R, D]
        let dafter = self.output.backward_input(&dnorm.dense, pass.parameters); // [R, I]
        let (dbefore, after) = self.activation.backward(dafter, &saved.before, pass.parameters.backend());
        self.output.backward_weights(&after, &dnorm.dense, pass);
        self.intermediate.backward_weights(&saved.x, &dbefore, pass);
        let dy = self.intermediate.backward_input(&dbefore, pass.parameters);
        Upstream { dy, dy_residual: Some(dnorm.residual) }
    }
}

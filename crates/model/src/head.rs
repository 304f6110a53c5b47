//! The classification head on `[CLS]`: a dense layer with its activation (BERT's pooler), dropout, and the classifier.
//!
//! It computes in fp32 at either precision: it sees one row a sentence, and logits are then not rounded.

use tch::{Kind, Tensor};

use crate::config::Activation;
use crate::dropout::{DropoutStream, Site};
use crate::layers::layer_norm::times;
use crate::layers::linear::Linear;
use crate::parameters::{Gradients, Parameters};

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) dense: Linear,
    pub(crate) activation: Activation,
    pub(crate) dropout: f64,
    pub(crate) classifier: Linear,
}

/// What the backward pass needs of a forward pass.
#[derive(Debug)]
pub(crate) struct Saved {
    /// `[B, D]`: the last hidden states of `[CLS]`.
    cls: Tensor,
    /// `[B, D]`: before the activation.
    before: Tensor,
    /// `[B, D]`: after it.
    after: Tensor,
    site: Option<Site>,
}

impl Head {
    /// `[B, D]` to the logits, `[B, C]` fp32; without a stream, without dropout.
    pub(crate) fn forward(
        &self,
        cls: &Tensor,
        parameters: &Parameters,
        dropout: Option<&DropoutStream>,
    ) -> (Tensor, Saved) {
        let cls = cls.to_kind(Kind::Float);
        let before = self.dense.forward(&cls, parameters); // [B, D]
        let after = self.activation.forward_aten(&before);
        let site = dropout.and_then(|dropout| dropout.site(self.dropout));
        let logits = self.classifier.forward(&times(&after, site), parameters);
        (logits, Saved { cls, before, after, site })
    }

    /// The gradient of the hidden states, `[B, D]` fp32, from that of the logits.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        dlogits: &Tensor,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Tensor {
        let Saved { cls, before, after, site } = saved;
        self.classifier.backward_weights(&times(after, *site), dlogits, parameters, gradients);
        let dafter = times(&self.classifier.backward_input(dlogits, parameters), *site);
        let dbefore = self.activation.backward_aten(&dafter, before); // [B, D]
        self.dense.backward_weights(cls, &dbefore, parameters, gradients);
        self.dense.backward_input(&dbefore, parameters)
    }
}

//! The classification head on `[CLS]`: a dense layer with its activation (BERT's pooler), dropout, and the classifier.
//!
//! It always computes in fp32: it has only one row per sentence, and this way the logits are not rounded.

use tch::{Kind, Tensor};

use crate::config::Activation;
use crate::dropout::{KeptMask, apply_mask, apply_site};
use crate::inputs::RowSelection;
use crate::layers::linear::Linear;
use crate::pass::{Backward, Forward};

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
    mask: Option<KeptMask>,
}

impl Head {
    /// `[B, D]` to the logits, `[B, C]` fp32.
    pub(crate) fn forward(&self, cls: &Tensor, pass: Forward) -> (Tensor, Saved) {
        let cls = cls.to_kind(Kind::Float);
        let before = self.dense.forward(&cls, pass.parameters); // [B, D]
        let after = self.activation.forward_aten(&before);
        let (dropped, mask) = apply_site(&after, pass.site(self.dropout, RowSelection::Cls));
        let logits = self.classifier.forward(&dropped, pass.parameters);
        (logits, Saved { cls, before, after, mask })
    }

    /// The gradient of the hidden states, `[B, D]` fp32, from that of the logits.
    pub(crate) fn backward(&self, saved: &Saved, dlogits: &Tensor, pass: &mut Backward) -> Tensor {
        let Saved { cls, before, after, mask } = saved;
        let mask = mask.as_ref();
        self.classifier.backward_weights(&apply_mask(after, mask), dlogits, pass);
        let dafter = apply_mask(&self.classifier.backward_input(dlogits, pass.parameters), mask);
        let dbefore = self.activation.backward_aten(&dafter, before); // [B, D]
        self.dense.backward_weights(cls, &dbefore, pass);
        self.dense.backward_input(&dbefore, pass.parameters)
    }
}

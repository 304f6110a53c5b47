//! Multi-head self-attention with its output projection, residual and norm.
//!
//! `softmax(Q K^T / sqrt(H)) V` a head (Vaswani et al. 2017). Linear layers see packed rows; only the products between
//! queries, keys and values see the padded `[B, S]` slots.
//!
//! The classifier reads nothing but `[CLS]`. So the last layer has queries for the `B` rows of `[CLS]` alone, against
//! the keys and values of all tokens: exact, and most of a layer saved.

use tch::Tensor;

use crate::config::Config;
use crate::dropout::DropoutStream;
use crate::inputs::Inputs;
use crate::layer_norm::{self, LayerNorm};
use crate::linear::{Linear, Part};
use crate::parameters::{Gradients, Parameters};

const QUERY: Part = Part { first: 0, count: 1 };
const KEY_VALUE: Part = Part { first: 1, count: 2 };

/// Which rows a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All `T` tokens.
    All,
    /// The `B` rows of `[CLS]`.
    Cls,
}

#[derive(Debug)]
pub(crate) struct Attention {
    qkv: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: i64,
    head_size: i64,
    attention_dropout: f64,
    hidden_dropout: f64,
}

#[derive(Debug)]
pub(crate) struct Saved {
    rows: Rows,
    /// `[T, D]`.
    hidden: Tensor,
    /// `[R, D]`: the rows of `hidden` that ask, which are also the residual.
    asking: Tensor,
    /// `[B, N, Sq, H]` and twice `[B, N, S, H]`.
    query: Tensor,
    key: Tensor,
    value: Tensor,
    /// `[B, N, Sq, S]`.
    probabilities: Tensor,
    attention_mask: Option<Tensor>,
    /// `[R, D]`.
    context: Tensor,
    output_mask: Option<Tensor>,
    norm: layer_norm::Saved,
}

impl Attention {
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        prefix: &str,
        take: &mut dyn FnMut(&str) -> Tensor,
    ) -> Self {
        let names = ["query", "key", "value"].map(|name| format!("{prefix}.self.{name}"));
        Self {
            qkv: Linear::new(parameters, &names, take),
            output: Linear::new(parameters, &[format!("{prefix}.output.dense")], take),
            norm: LayerNorm::new(parameters, &format!("{prefix}.output.LayerNorm"), config.layer_norm_eps, take),
            heads: config.num_attention_heads,
            head_size: config.head_size(),
            attention_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: config.hidden_dropout_prob,
        }
    }

    /// `[T, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, hidden: &Tensor, inputs: &Inputs, rows: Rows) -> Tensor {
        let (asking, [query, key, value]) = self.project(hidden, inputs, rows);
        let mask = inputs.padding.key_mask();
        let context = Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false);
        let context = self.gather(&context, inputs, rows);
        self.norm.forward(self.output.forward(&context) + asking).0
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(
        &self,
        hidden: Tensor,
        inputs: &Inputs,
        rows: Rows,
        dropout: &DropoutStream,
    ) -> (Tensor, Saved) {
        let (asking, [query, key, value]) = self.project(&hidden, inputs, rows);
        let mut scores = query.matmul(&key.transpose(2, 3)).g_mul_scalar_(self.scale()); // [B, N, Sq, S]
        if let Some(is_token) = inputs.padding.key_mask() {
            scores = scores.masked_fill_(&is_token.logical_not(), f64::NEG_INFINITY);
        }
        let probabilities = scores.softmax(-1, None); // [B, N, Sq, S]
        let (kind, device) = (hidden.kind(), hidden.device());
        let attention_mask = dropout.mask(&probabilities.size(), self.attention_dropout, kind, device);
        let context = times(&probabilities, &attention_mask).matmul(&value); // [B, N, Sq, H]
        let context = self.gather(&context, inputs, rows); // [R, D]
        let dense = self.output.forward(&context);
        let output_mask = dropout.mask(&dense.size(), self.hidden_dropout, kind, device);
        let (y, norm) = self.norm.forward(add_masked(&asking, dense, &output_mask));
        let saved = Saved {
            rows,
            hidden,
            asking,
            query,
            key,
            value,
            probabilities,
            attention_mask,
            context,
            output_mask,
            norm,
        };
        (y, saved)
    }

    /// The gradient of the input `[T, D]` from that of the output `[R, D]`; `None` if it is not wanted.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        dy: &Tensor,
        inputs: &Inputs,
        input_wanted: bool,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Option<Tensor> {
        let dsum = self.norm.backward(&saved.norm, dy, parameters, gradients); // [R, D]
        let ddense = times(&dsum, &saved.output_mask);
        self.output.backward_weights(&saved.context, &ddense, parameters, gradients);
        let dcontext = self.scatter(&self.output.backward_input(&ddense), inputs, saved.rows); // [B, N, Sq, H]

        let dropped = times(&saved.probabilities, &saved.attention_mask); // [B, N, Sq, S]
        let dvalue = dropped.transpose(2, 3).matmul(&dcontext); // [B, N, S, H]
        let dprobabilities = times(&dcontext.matmul(&saved.value.transpose(2, 3)), &saved.attention_mask);
        let dscores = Tensor::internal_softmax_backward_data(
            &dprobabilities,
            &saved.probabilities,
            -1,
            saved.probabilities.kind(),
        )
        .g_mul_scalar_(self.scale()); // [B, N, Sq, S]
        let dquery = dscores.matmul(&saved.key); // [B, N, Sq, H]
        let dkey = dscores.transpose(2, 3).matmul(&saved.query); // [B, N, S, H]

        match saved.rows {
            Rows::All => {
                let dqkv = self.merge(&[dquery, dkey, dvalue], inputs); // [T, 3D]
                self.qkv.backward_weights(&saved.hidden, &dqkv, parameters, gradients);
                input_wanted.then(|| self.qkv.backward_input(&dqkv).g_add_(&dsum))
            }
            Rows::Cls => {
                let dquery = dquery.reshape(dsum.size()); // [B, D]
                let dkv = self.merge(&[dkey, dvalue], inputs); // [T, 2D]
                self.qkv.backward_weights_part(&saved.asking, &dquery, &QUERY, parameters, gradients);
                self.qkv.backward_weights_part(&saved.hidden, &dkv, &KEY_VALUE, parameters, gradients);
                input_wanted.then(|| {
                    let dasking = self.qkv.backward_input_part(&dquery, &QUERY).g_add_(&dsum);
                    self.qkv.backward_input_part(&dkv, &KEY_VALUE).index_add_(0, &inputs.cls_rows, &dasking)
                })
            }
        }
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head_size as f64).sqrt()
    }

    /// `[T, D]` to the asking rows `[R, D]` and queries, keys, values by head: `[B, N, Sq or S, H]`.
    fn project(&self, hidden: &Tensor, inputs: &Inputs, rows: Rows) -> (Tensor, [Tensor; 3]) {
        match rows {
            Rows::All => {
                let qkv = self.split(&self.qkv.forward(hidden), 3, inputs); // [3, B, N, S, H]
                (hidden.shallow_clone(), [qkv.get(0), qkv.get(1), qkv.get(2)])
            }
            Rows::Cls => {
                let asking = hidden.index_select(0, &inputs.cls_rows); // [B, D]
                let query = self.qkv.forward_part(&asking, &QUERY);
                let query = query.view([inputs.batch_size(), self.heads, 1, self.head_size]);
                let kv = self.split(&self.qkv.forward_part(hidden, &KEY_VALUE), 2, inputs); // [2, B, N, S, H]
                (asking, [query, kv.get(0), kv.get(1)])
            }
        }
    }

    /// `[T, parts * D]` to `[parts, B, N, S, H]`.
    fn split(&self, packed: &Tensor, parts: i64, inputs: &Inputs) -> Tensor {
        let (batch, longest) = (inputs.batch_size(), inputs.max_seqlen());
        let padded = inputs.padding.pad(packed); // [B * S, parts * D]
        padded.view([batch, longest, parts, self.heads, self.head_size]).permute([2, 0, 3, 1, 4]).contiguous()
    }

    /// `[B, N, S, H]` of each part to `[T, parts * D]`: the adjoint of [`split`](Self::split).
    fn merge(&self, parts: &[Tensor], inputs: &Inputs) -> Tensor {
        let (batch, longest, count) = (inputs.batch_size(), inputs.max_seqlen(), parts.len() as i64);
        let first = &parts[0];
        let shape = [batch, longest, count, self.heads, self.head_size];
        let merged = Tensor::empty(shape, (first.kind(), first.device()));
        for (index, part) in (0..).zip(parts) {
            merged.select(2, index).copy_(&part.transpose(1, 2)); // [B, S, N, H]
        }
        inputs.padding.unpad(&merged.view([batch * longest, count * self.heads * self.head_size]))
    }

    /// `[B, N, Sq, H]` to `[R, D]`.
    fn gather(&self, context: &Tensor, inputs: &Inputs, rows: Rows) -> Tensor {
        let by_row = context.transpose(1, 2).reshape([-1, self.heads * self.head_size]); // [B * Sq, D]
        match rows {
            Rows::All => inputs.padding.unpad(&by_row),
            Rows::Cls => by_row,
        }
    }

    /// `[R, D]` to `[B, N, Sq, H]`: the adjoint of [`gather`](Self::gather).
    fn scatter(&self, dcontext: &Tensor, inputs: &Inputs, rows: Rows) -> Tensor {
        let by_slot = match rows {
            Rows::All => inputs.padding.pad_with_zeros(dcontext),
            Rows::Cls => dcontext.shallow_clone(),
        };
        by_slot.view([inputs.batch_size(), -1, self.heads, self.head_size]).transpose(1, 2).contiguous()
    }
}

/// `x` times a dropout mask, if there is one.
pub(crate) fn times(x: &Tensor, mask: &Option<Tensor>) -> Tensor {
    match mask {
        Some(mask) => x * mask,
        None => x.shallow_clone(),
    }
}

/// `residual + x * mask`.
pub(crate) fn add_masked(residual: &Tensor, mut x: Tensor, mask: &Option<Tensor>) -> Tensor {
    match mask {
        Some(mask) => residual.addcmul(&x, mask),
        None => x.g_add_(residual),
    }
}

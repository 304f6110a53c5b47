//! Attention by libtorch's operations on `[B, S]` slots, for devices that the kernels don't support.

use tch::Tensor;

use super::{Attention, Projected, Saved};
use crate::dropout::DropoutSite;
use crate::inputs::{Inputs, RowSelection};

impl Attention {
    /// `[R, D]`, without dropout, by libtorch's fused attention.
    pub(super) fn context_padded_fused(&self, projected: &Projected, inputs: &Inputs) -> Tensor {
        let [query, key, value] = self.split_projected(projected, inputs);
        let mask = inputs.padding().key_mask();
        let context = Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false);
        self.merge_heads(&context, inputs, projected.rows())
    }

    /// `[R, D]`, and the probabilities `[B, N, Sq, S]`.
    pub(super) fn context_padded(
        &self,
        projected: &Projected,
        inputs: &Inputs,
        site: Option<DropoutSite>,
    ) -> (Tensor, Tensor) {
        let [query, key, value] = self.split_projected(projected, inputs);
        let mut scores = query.matmul(&key.transpose(2, 3)).g_mul_scalar_(self.scale()); // [B, N, Sq, S]
        if let Some(is_token) = inputs.padding().key_mask() {
            scores = scores.masked_fill_(&is_token.logical_not(), f64::NEG_INFINITY);
        }
        let probabilities = scores.softmax(-1, None); // [B, N, Sq, S]
        let mask = self.mask(site, inputs, projected.rows(), &probabilities);
        let context = apply_mask(&probabilities, &mask).matmul(&value); // [B, N, Sq, H]
        (self.merge_heads(&context, inputs, projected.rows()), probabilities)
    }

    /// The gradients of queries, keys and values from `[R, D]`.
    pub(super) fn backward_padded(
        &self,
        saved: &Saved,
        probabilities: &Tensor,
        dcontext: &Tensor,
        inputs: &Inputs,
    ) -> Projected {
        let rows = saved.projected.rows();
        let [query, key, value] = self.split_projected(&saved.projected, inputs);
        let dcontext = self.split_heads(dcontext, inputs, rows); // [B, N, Sq, H]
        let mask = self.mask(saved.site, inputs, rows, probabilities);
        let dvalue = apply_mask(probabilities, &mask).transpose(2, 3).matmul(&dcontext); // [B, N, S, H]
        let dprobabilities = apply_mask(&dcontext.matmul(&value.transpose(2, 3)), &mask);
        let dscores = Tensor::internal_softmax_backward_data(&dprobabilities, probabilities, -1, probabilities.kind())
            .g_mul_scalar_(self.scale()); // [B, N, Sq, S]
        let dquery = dscores.matmul(&key); // [B, N, Sq, H]
        let dkey = dscores.transpose(2, 3).matmul(&query); // [B, N, S, H]
        match rows {
            RowSelection::All => Projected::Fused(self.merge(&[dquery, dkey, dvalue], inputs)),
            RowSelection::Cls => Projected::Separate {
                query: dquery.reshape([inputs.batch_size(), self.heads * self.head_size]),
                key_value: self.merge(&[dkey, dvalue], inputs),
            },
        }
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head_size as f64).sqrt()
    }

    fn mask(&self, site: Option<DropoutSite>, inputs: &Inputs, rows: RowSelection, like: &Tensor) -> Option<Tensor> {
        site.map(|site| site.attention_tensor(inputs, rows, self.heads, like.kind(), like.device()))
    }

    /// Queries, keys and values by head: `[B, N, Sq or S, H]`.
    fn split_projected(&self, projected: &Projected, inputs: &Inputs) -> [Tensor; 3] {
        match projected {
            Projected::Fused(qkv) => {
                let qkv = self.split(qkv, 3, inputs); // [3, B, N, S, H]
                [qkv.get(0), qkv.get(1), qkv.get(2)]
            }
            Projected::Separate { query, key_value } => {
                let query = query.view([inputs.batch_size(), self.heads, 1, self.head_size]);
                let kv = self.split(key_value, 2, inputs); // [2, B, N, S, H]
                [query, kv.get(0), kv.get(1)]
            }
        }
    }

    /// `[T, parts * D]` to `[parts, B, N, S, H]`.
    fn split(&self, packed: &Tensor, parts: i64, inputs: &Inputs) -> Tensor {
        let (batch, max_seqlen) = (inputs.batch_size(), inputs.max_seqlen());
        let padded = inputs.padding().pad(packed); // [B * S, parts * D]
        padded.view([batch, max_seqlen, parts, self.heads, self.head_size]).permute([2, 0, 3, 1, 4]).contiguous()
    }

    /// `[B, N, S, H]` of each part to `[T, parts * D]`: the adjoint of [`split`](Self::split).
    fn merge(&self, parts: &[Tensor], inputs: &Inputs) -> Tensor {
        let (batch, max_seqlen, count) = (inputs.batch_size(), inputs.max_seqlen(), parts.len() as i64);
        let first = &parts[0];
        let shape = [batch, max_seqlen, count, self.heads, self.head_size];
        let merged = Tensor::empty(shape, (first.kind(), first.device()));
        for (index, part) in (0..).zip(parts) {
            merged.select(2, index).copy_(&part.transpose(1, 2)); // [B, S, N, H]
        }
        inputs.padding().unpad(&merged.view([batch * max_seqlen, count * self.heads * self.head_size]))
    }

    /// `[B, N, Sq, H]` to `[R, D]`.
    fn merge_heads(&self, context: &Tensor, inputs: &Inputs, rows: RowSelection) -> Tensor {
        let by_row = context.transpose(1, 2).reshape([-1, self.heads * self.head_size]); // [B * Sq, D]
        match rows {
            RowSelection::All => inputs.padding().unpad(&by_row),
            RowSelection::Cls => by_row,
        }
    }

    /// `[R, D]` to `[B, N, Sq, H]`: the adjoint of [`merge_heads`](Self::merge_heads).
    fn split_heads(&self, dcontext: &Tensor, inputs: &Inputs, rows: RowSelection) -> Tensor {
        let by_slot = match rows {
            RowSelection::All => inputs.padding().pad_with_zeros(dcontext),
            RowSelection::Cls => dcontext.shallow_clone(),
        };
        by_slot.view([inputs.batch_size(), -1, self.heads, self.head_size]).transpose(1, 2).contiguous()
    }
}

fn apply_mask(x: &Tensor, mask: &Option<Tensor>) -> Tensor {
    match mask {
        Some(mask) => x * mask,
        None => x.shallow_clone(),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::builder::{Builder, Role};
    use crate::dropout::DropoutStream;
    use crate::layers::attention::Probabilities;
    use crate::layers::layer_norm::LayerNorm;
    use crate::layers::linear::Linear;
    use crate::parameters::Parameters;
    use crate::pass::Forward;

    fn attention() -> (Attention, Parameters) {
        let mut builder = Builder::default();
        let mut scope = builder.scope(Role::Layer(0), "attention");
        let attention = Attention {
            qkv: Linear::fused(scope.scope("self"), &["query", "key", "value"], 24, 24),
            output: Linear::new(scope.scope("output"), 24, 24),
            norm: LayerNorm::new(scope.scope("norm"), 24, 1e-12),
            heads: 3,
            head_size: 8,
            attention_dropout: 0.1,
            hidden_dropout: 0.1,
        };
        let master = |spec: &crate::ParameterSpec| Tensor::randn(&spec.shape, (Kind::Float, Device::Cpu));
        (attention, Parameters::new(builder.specs, Device::Cpu, Kind::Float, master))
    }

    /// The kernel's result has rows of zeros after the tokens, which the reference lacks.
    fn close(ours: &Tensor, reference: &Tensor) {
        let (tokens, rows) = (reference.size()[0], ours.size()[0]);
        assert_eq!(f64::try_from(ours.narrow(0, tokens, rows - tokens).abs().sum(Kind::Float)).expect("a number"), 0.0);
        let ours = &ours.narrow(0, 0, tokens);
        assert!(ours.allclose(reference, 1e-4, 1e-5, false), "{ours:?} {}", (ours - reference).abs().max());
    }

    /// The kernel's pass, forward and backward, against the one of padded operations.
    fn compare(cu_seqlens: &[i64], rows: RowSelection) {
        tch::manual_seed(7);
        let tokens = cu_seqlens[cu_seqlens.len() - 1];
        let inputs = Inputs::new(&(0..tokens).collect::<Vec<_>>(), cu_seqlens, Device::Cpu);
        let (attention, parameters) = attention();
        let hidden = Tensor::randn([inputs.row_count(), 24], (Kind::Float, Device::Cpu)) * 0.3;
        let dropout = Some(&DropoutStream::new(1, 2, 0));
        let pass = Forward { inputs: &inputs, parameters: &parameters, dropout };
        let (_, saved) = attention.forward_train(hidden, rows, pass);
        let (context, probabilities) = attention.context_padded(&saved.projected, &inputs, saved.site);
        close(&saved.context, &context);
        let plain = attention.context_kernel::<f32>(&saved.projected, &inputs, None, false).0;
        close(&plain, &attention.context_padded_fused(&saved.projected, &inputs));
        let dcontext = saved.context.randn_like();
        let ours = attention.projections_backward(&saved, &dcontext, &inputs);
        let dcontext = dcontext.narrow(0, 0, context.size()[0]);
        assert!(matches!(saved.probabilities, Probabilities::LogSums(_)));
        match (ours, attention.backward_padded(&saved, &probabilities, &dcontext, &inputs)) {
            (Projected::Fused(ours), Projected::Fused(reference)) => close(&ours, &reference),
            (Projected::Separate { query, key_value }, Projected::Separate { query: dquery, key_value: dkv }) => {
                close(&query, &dquery);
                close(&key_value, &dkv);
            }
            _ => panic!("the two must have the same layout"),
        }
    }

    #[test]
    fn padded_and_packed_agree() {
        for rows in [RowSelection::All, RowSelection::Cls] {
            compare(&[0, 5, 6, 23], rows);
            compare(&[0, 4, 8], rows);
        }
    }
}

//! Attention by libtorch's operations on `[B, S]` slots, for devices that the kernels don't support.
//!
//! Without dropout libtorch's fused attention computes scores and softmax in fp32, whatever the format of the activations.
//! So does the pass with dropout, whose probabilities are rounded once, before dropout; scores that are rounded to bf16
//! would change a probability by up to 2 %.

use tch::{Kind, Tensor};

use super::{Attention, Probabilities, Projected};
use crate::dropout::{DropoutSite, KeptMask, apply_mask, apply_site};
use crate::inputs::{Inputs, RowSelection};

impl Attention {
    /// `[R, D]`, without dropout, by libtorch's fused attention.
    pub(super) fn context_padded_fused(&self, projected: &Projected, inputs: &Inputs) -> Tensor {
        let [query, key, value] = self.split_projected(projected, inputs);
        let mask = inputs.padding().key_mask();
        let context = Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false);
        self.merge_heads(&context, inputs, projected.rows())
    }

    /// `[R, D]`, and what the backward pass needs.
    pub(super) fn context_padded(
        &self,
        projected: &Projected,
        inputs: &Inputs,
        site: Option<DropoutSite>,
    ) -> (Tensor, Probabilities) {
        let [query, key, value] = self.split_projected(projected, inputs);
        let probabilities = self.probabilities(&query, &key, inputs);
        let (dropped, mask) = apply_site(&probabilities, site);
        let context = dropped.matmul(&value); // [B, N, Sq, H]
        (self.merge_heads(&context, inputs, projected.rows()), Probabilities::Padded { probabilities, mask })
    }

    /// `[B, N, Sq, S]`: the softmax of the scores, in the format of queries and keys.
    fn probabilities(&self, query: &Tensor, key: &Tensor, inputs: &Inputs) -> Tensor {
        let (kind, query, key) = (query.kind(), query.to_kind(Kind::Float), key.to_kind(Kind::Float));
        let mut scores = query.matmul(&key.transpose(2, 3)).g_mul_scalar_(self.scale()); // [B, N, Sq, S]
        if let Some(is_token) = inputs.padding().key_mask() {
            scores = scores.masked_fill_(&is_token.logical_not(), f64::NEG_INFINITY);
        }
        scores.softmax(-1, None).to_kind(kind)
    }

    /// The gradients of queries, keys and values from `[R, D]`.
    pub(super) fn backward_padded(
        &self,
        projected: &Projected,
        probabilities: &Tensor,
        mask: Option<&KeptMask>,
        dcontext: &Tensor,
        inputs: &Inputs,
    ) -> Projected {
        let rows = projected.rows();
        let [query, key, value] = self.split_projected(projected, inputs);
        let dcontext = self.split_heads(dcontext, inputs, rows); // [B, N, Sq, H]
        let dvalue = apply_mask(probabilities, mask).transpose(2, 3).matmul(&dcontext); // [B, N, S, H]
        let dprobabilities = apply_mask(&dcontext.matmul(&value.transpose(2, 3)), mask);
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

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::backend::Backend;
    use crate::builder::{Builder, Role};
    use crate::dropout::DropoutStream;
    use crate::layers::layer_norm::LayerNorm;
    use crate::layers::linear::Linear;
    use crate::parameters::Parameters;
    use crate::pass::Forward;
    use crate::test_tensors::normal;

    fn attention(kind: Kind, backend: Backend) -> (Attention, Parameters) {
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
        let master = |spec: &crate::ParameterSpec| normal(&spec.shape, spec.name.len() as u64);
        (attention, Parameters::new(builder.specs, Device::Cpu, backend, kind, master))
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
        let tokens = cu_seqlens[cu_seqlens.len() - 1];
        let inputs = Inputs::new(&(0..tokens).collect::<Vec<_>>(), cu_seqlens, Device::Cpu);
        let (attention, parameters) = attention(Kind::Float, Backend::Kernels);
        let hidden = normal(&[inputs.row_count(), 24], 1) * 0.3;
        let dropout = Some(&DropoutStream::new(1, 2));
        let pass = Forward { inputs: &inputs, parameters: &parameters, dropout };
        let (_, saved) = attention.forward_train(hidden, rows, pass);
        let Probabilities::Recomputed { site: Some(site), .. } = &saved.probabilities else { panic!("by the kernel") };
        let [query, key, value] = attention.split_projected(&saved.projected, &inputs);
        let probabilities = attention.probabilities(&query, &key, &inputs);
        let mask = site.attention_mask(&inputs, rows, attention.heads);
        let context = attention.merge_heads(&mask.apply(&probabilities).matmul(&value), &inputs, rows);
        close(&saved.context, &context);
        let plain = attention.context_kernel::<f32>(&saved.projected, &inputs, None, false).0;
        close(&plain, &attention.context_padded_fused(&saved.projected, &inputs));
        let dcontext = normal(&saved.context.size(), 2);
        let ours = attention.projections_backward(&saved, &dcontext, &inputs);
        let dcontext = dcontext.narrow(0, 0, context.size()[0]);
        let theirs = attention.backward_padded(&saved.projected, &probabilities, Some(&mask), &dcontext, &inputs);
        match (ours, theirs) {
            (Projected::Fused(ours), Projected::Fused(reference)) => close(&ours, &reference),
            (Projected::Separate { query, key_value }, Projected::Separate { query: dquery, key_value: dkv }) => {
                close(&query, &dquery);
                close(&key_value, &dkv);
            }
            _ => panic!("the two must have the same layout"),
        }
    }

    /// Each of the two rounds the probabilities to bf16, and differs from the other by as much as from fp32. Scores that are
    /// rounded to bf16 before the softmax make the difference twice as large, with scores of about 2 as here.
    #[test]
    fn training_and_evaluation_agree_in_bf16() {
        let inputs = Inputs::new(&(0..60).collect::<Vec<_>>(), &[0, 17, 20, 60], Device::Cpu);
        let (attention, parameters) = attention(Kind::BFloat16, Backend::Libtorch);
        let pass = Forward { inputs: &inputs, parameters: &parameters, dropout: None };
        let hidden = (normal(&[60, 24], 1) * 0.3).to_kind(Kind::BFloat16);
        for rows in [RowSelection::All, RowSelection::Cls] {
            let (_, projected) = attention.project(&hidden, rows, pass);
            let trained = attention.context_padded(&projected, &inputs, None).0;
            let evaluated = attention.context_padded_fused(&projected, &inputs);
            let kernel = attention.context_kernel::<kernels::element::Bf16>(&projected, &inputs, None, false).0;
            let kernel = kernel.narrow(0, 0, trained.size()[0]);
            let difference = |other: &Tensor| {
                let (a, b) = (trained.to_kind(Kind::Double), other.to_kind(Kind::Double));
                f64::try_from((&a - &b).norm() / b.norm()).expect("a number")
            };
            println!("{rows:?}: evaluation {:e}, kernel {:e}", difference(&evaluated), difference(&kernel));
            assert!(
                difference(&evaluated) < 3e-3 && difference(&kernel) < 3e-3,
                "{rows:?}: {:e}",
                difference(&evaluated)
            );
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

//! Multi-head self-attention with its output projection, residual and norm.
//!
//! `softmax(Q K^T / sqrt(H)) V` per head (Vaswani et al. 2017). A kernel works on packed rows ([`kernels::attention`]);
//! `padded.rs` does the same with libtorch's operations on padded slots.
//!
//! The classifier reads only `[CLS]`. So the last layer has queries only for the `B` rows of `[CLS]`, against the keys
//! and values of all tokens. That is exact and saves most of the layer's computation.

mod padded;

use std::ops::Range;

use kernels::attention as kernel;
use kernels::attention::{AttentionShape, Projections, Vectors, VectorsMut};
use tch::Tensor;

use crate::backend::Backend;
use crate::dropout::{DropoutSite, KeptMask};
use crate::inputs::{Inputs, RowSelection};
use crate::layers::layer_norm::{self, DropoutSites, LayerNorm, Upstream};
use crate::layers::linear::Linear;
use crate::pass::{Backward, Forward};
use crate::profile::{Phase, timed};
use crate::tensor_slice::{Float, empty, slice, slice_mut, with_float};

const QUERY: Range<usize> = 0..1;
const KEY_VALUE: Range<usize> = 1..3;

#[derive(Debug)]
pub(crate) struct Attention {
    /// Query, key and value, fused in this order.
    pub(crate) qkv: Linear,
    pub(crate) output: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) heads: i64,
    pub(crate) head_size: i64,
    /// Dropout of the probabilities.
    pub(crate) attention_dropout: f64,
    /// Dropout of the output.
    pub(crate) hidden_dropout: f64,
}

/// Queries, keys and values of packed rows.
#[derive(Debug)]
enum Projected {
    /// `[T, 3 D]`.
    Fused(Tensor),
    /// In the last layer: `[B, D]` and `[T, 2 D]`.
    Separate { query: Tensor, key_value: Tensor },
}

impl Projected {
    fn rows(&self) -> RowSelection {
        match self {
            Projected::Fused(_) => RowSelection::All,
            Projected::Separate { .. } => RowSelection::Cls,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Saved {
    /// `[T, D]`.
    hidden: Tensor,
    /// `[R, D]`: the rows of `hidden` that have queries, which are also the residual.
    query_rows: Tensor,
    projected: Projected,
    probabilities: Probabilities,
    /// `[R, D]`.
    context: Tensor,
    norm: layer_norm::Saved,
}

/// How the backward pass gets the attention probabilities.
#[derive(Debug)]
enum Probabilities {
    /// The kernel computes them and their dropout again.
    Recomputed {
        /// `[R, N]` fp32: the log-sum-exp of each softmax.
        log_sums: Tensor,
        site: Option<DropoutSite>,
    },
    /// `[B, N, Sq, S]`: the probabilities themselves, before dropout, and its mask.
    Padded { probabilities: Tensor, mask: Option<KeptMask> },
}

impl Attention {
    /// `[T, D]` to `[R, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, hidden: &Tensor, rows: RowSelection, pass: Forward) -> Tensor {
        let Forward { inputs, parameters, .. } = pass;
        let (query_rows, projected) = self.project(hidden, rows, pass);
        let context = timed(Phase::Attention, || {
            if parameters.backend() == Backend::Kernels {
                with_float!(hidden, T => self.context_kernel::<T>(&projected, inputs, None, false).0)
            } else {
                self.context_padded_fused(&projected, inputs)
            }
        });
        self.norm.forward(self.output.forward(&context, parameters), Some(&query_rows), parameters)
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(&self, hidden: Tensor, rows: RowSelection, pass: Forward) -> (Tensor, Saved) {
        let (query_rows, projected) = self.project(&hidden, rows, pass);
        let site = pass.site(self.attention_dropout, rows);
        let (context, probabilities) = timed(Phase::Attention, || self.context(&projected, pass, site));
        let dense = self.output.forward(&context, pass.parameters);
        let sites = DropoutSites { before: pass.site(self.hidden_dropout, rows), after: None };
        let (y, norm) = self.norm.forward_train(dense, Some(&query_rows), sites, pass.parameters);
        (y, Saved { hidden, query_rows, projected, probabilities, context, norm })
    }

    /// The gradient of the input `[T, D]` from that of the output `[R, D]`; `None` if it is not needed.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        upstream: &Upstream,
        needs_input_gradient: bool,
        pass: &mut Backward,
    ) -> Option<Upstream> {
        let &mut Backward { inputs, parameters, .. } = pass;
        let dnorm = self.norm.backward(&saved.norm, upstream, pass); // [R, D]
        self.output.backward_weights(&saved.context, &dnorm.dense, pass);
        let dcontext = self.output.backward_input(&dnorm.dense, parameters); // [R, D]
        match timed(Phase::Attention, || self.projections_backward(saved, &dcontext, inputs)) {
            Projected::Fused(dqkv) => {
                self.qkv.backward_weights(&saved.hidden, &dqkv, pass);
                needs_input_gradient.then(|| {
                    let dy = self.qkv.backward_input(&dqkv, parameters);
                    Upstream { dy, dy_residual: Some(dnorm.residual) }
                })
            }
            Projected::Separate { query, key_value } => {
                self.qkv.backward_weights_part(&saved.query_rows, &query, &QUERY, pass);
                self.qkv.backward_weights_part(&saved.hidden, &key_value, &KEY_VALUE, pass);
                needs_input_gradient.then(|| {
                    let dquery_rows = self.qkv.backward_input_part(&query, &QUERY, parameters).g_add_(&dnorm.residual);
                    let mut dy = self.qkv.backward_input_part(&key_value, &KEY_VALUE, parameters);
                    Upstream { dy: dy.index_add_(0, &inputs.cls_rows, &dquery_rows), dy_residual: None }
                })
            }
        }
    }

    /// `[T, D]` to the rows that have queries, `[R, D]`, and their queries and the keys and values of all.
    fn project(&self, hidden: &Tensor, rows: RowSelection, pass: Forward) -> (Tensor, Projected) {
        let Forward { inputs, parameters, .. } = pass;
        match rows {
            RowSelection::All => (hidden.shallow_clone(), Projected::Fused(self.qkv.forward(hidden, parameters))),
            RowSelection::Cls => {
                let query_rows = hidden.index_select(0, &inputs.cls_rows); // [B, D]
                let query = self.qkv.forward_part(&query_rows, &QUERY, parameters);
                let key_value = self.qkv.forward_part(hidden, &KEY_VALUE, parameters);
                (query_rows, Projected::Separate { query, key_value })
            }
        }
    }

    /// `[R, D]`: the values, averaged by each query's probabilities.
    fn context(&self, projected: &Projected, pass: Forward, site: Option<DropoutSite>) -> (Tensor, Probabilities) {
        let Forward { inputs, parameters, .. } = pass;
        if parameters.backend() == Backend::Libtorch {
            return self.context_padded(projected, inputs, site);
        }
        let (Projected::Fused(query) | Projected::Separate { query, .. }) = projected;
        let (context, log_sums) = with_float!(query, T => self.context_kernel::<T>(projected, inputs, site, true));
        (context, Probabilities::Recomputed { log_sums, site })
    }

    /// The gradients of queries, keys and values, in the same layout as these, from `[R, D]`.
    fn projections_backward(&self, saved: &Saved, dcontext: &Tensor, inputs: &Inputs) -> Projected {
        match &saved.probabilities {
            Probabilities::Padded { probabilities, mask } => {
                self.backward_padded(&saved.projected, probabilities, mask.as_ref(), dcontext, inputs)
            }
            Probabilities::Recomputed { log_sums, site } => {
                with_float!(dcontext, T => self.backward_kernel::<T>(&saved.projected, log_sums, *site, dcontext, inputs))
            }
        }
    }

    fn shape<'a>(&self, inputs: &'a Inputs, rows: RowSelection) -> AttentionShape<'a> {
        AttentionShape {
            cu_seqlens_q: inputs.cu_seqlens_of(rows),
            cu_seqlens_k: inputs.cu_seqlens_of(RowSelection::All),
            heads: self.heads as usize,
            head_size: self.head_size as usize,
        }
    }

    fn width(&self) -> usize {
        (self.heads * self.head_size) as usize
    }

    fn projections<'a, T: Float>(&self, projected: &'a Projected) -> Projections<'a, T> {
        let width = self.width();
        let part = |tensor: &'a Tensor, parts: usize, index: usize| Vectors {
            data: slice::<T>(tensor),
            stride: parts * width,
            offset: index * width,
        };
        match projected {
            Projected::Fused(qkv) => {
                Projections { query: part(qkv, 3, 0), key: part(qkv, 3, 1), value: part(qkv, 3, 2) }
            }
            Projected::Separate { query, key_value } => {
                Projections { query: part(query, 1, 0), key: part(key_value, 2, 0), value: part(key_value, 2, 1) }
            }
        }
    }

    /// Context `[R, D]`, and log sums `[R, N]` if they are needed (otherwise empty).
    fn context_kernel<T: Float>(
        &self,
        projected: &Projected,
        inputs: &Inputs,
        site: Option<DropoutSite>,
        needs_log_sums: bool,
    ) -> (Tensor, Tensor) {
        let shape = self.shape(inputs, projected.rows());
        let rows = shape.cu_seqlens_q[shape.cu_seqlens_q.len() - 1] as i64;
        let query_rows = if projected.rows() == RowSelection::All { inputs.row_count() } else { rows };
        let mut context = empty::<T>(&[query_rows, self.width() as i64]);
        let (sentence_rows, rest) = slice_mut::<T>(&mut context).split_at_mut(rows as usize * self.width());
        rest.fill(T::default());
        let mut log_sums = empty::<f32>(&[if needs_log_sums { rows } else { 0 }, self.heads]);
        kernel::forward::<T>(
            self.projections(projected),
            shape,
            site.and_then(|site| site.mask_of_heads(self.heads)),
            sentence_rows,
            needs_log_sums.then(|| slice_mut(&mut log_sums)),
        );
        (context, log_sums)
    }

    fn backward_kernel<T: Float>(
        &self,
        projected: &Projected,
        log_sums: &Tensor,
        site: Option<DropoutSite>,
        dcontext: &Tensor,
        inputs: &Inputs,
    ) -> Projected {
        let width = self.width();
        let shape = self.shape(inputs, projected.rows());
        let mask = site.and_then(|site| site.mask_of_heads(self.heads));
        let sentence_rows = &slice::<T>(dcontext)[..shape.cu_seqlens_q[shape.cu_seqlens_q.len() - 1] * width];
        let run = |gradients| {
            let projections = self.projections::<T>(projected);
            kernel::backward(projections, shape, mask, slice(log_sums), sentence_rows, gradients);
        };
        // Rows that belong to no sentence have zero gradients.
        let tokens = inputs.token_count() as usize;
        let clear_rest = |gradient: &mut [T], parts: usize| gradient[tokens * parts * width..].fill(T::default());
        match projected {
            Projected::Fused(qkv) => {
                let mut dqkv = empty::<T>(&qkv.size());
                let offsets = [0, width, 2 * width];
                let data = slice_mut(&mut dqkv);
                clear_rest(data, 3);
                run(kernel::AttentionGradients::Fused(VectorsMut { data, stride: 3 * width, offsets: &offsets }));
                Projected::Fused(dqkv)
            }
            Projected::Separate { query, key_value } => {
                let (mut dquery, mut dkv) = (empty::<T>(&query.size()), empty::<T>(&key_value.size()));
                clear_rest(slice_mut(&mut dkv), 2);
                run(kernel::AttentionGradients::Separate(
                    VectorsMut { data: slice_mut(&mut dquery), stride: width, offsets: &[0] },
                    VectorsMut { data: slice_mut(&mut dkv), stride: 2 * width, offsets: &[0, width] },
                ));
                Projected::Separate { query: dquery, key_value: dkv }
            }
        }
    }
}

//! Multi-head self-attention with its output projection, residual and norm.
//!
//! `softmax(Q K^T / sqrt(H)) V` a head (Vaswani et al. 2017). On the CPU a kernel works on packed rows
//! ([`kernels::attention`]); elsewhere `padded.rs` does the same with libtorch's operations on padded slots.
//!
//! The classifier reads nothing but `[CLS]`. So the last layer has queries for the `B` rows of `[CLS]` alone, against
//! the keys and values of all tokens: exact, and most of a layer saved.

mod padded;

use kernels::attention as kernel;
use kernels::attention::{Projections, Shape, Vectors, VectorsMut};
use tch::Tensor;

use crate::config::Config;
use crate::cpu::{Float, empty, is_cpu, slice, slice_mut, with_float};
use crate::dropout::{DropoutStream, Site};
use crate::inputs::{Inputs, Rows};
use crate::layer_norm::{self, LayerNorm, Sites, Upstream};
use crate::linear::{Linear, Part};
use crate::parameters::{Gradients, Parameters};
use crate::profile::{Phase, timed};

const QUERY: Part = Part { first: 0, count: 1 };
const KEY_VALUE: Part = Part { first: 1, count: 2 };

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

/// Queries, keys and values of packed rows.
#[derive(Debug)]
enum Projected {
    /// `[T, 3 D]`.
    Joint(Tensor),
    /// Of the last layer: `[B, D]` and `[T, 2 D]`.
    Apart { query: Tensor, key_value: Tensor },
}

impl Projected {
    fn rows(&self) -> Rows {
        match self {
            Projected::Joint(_) => Rows::All,
            Projected::Apart { .. } => Rows::Cls,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Saved {
    /// `[T, D]`.
    hidden: Tensor,
    /// `[R, D]`: the rows of `hidden` that ask, which are also the residual.
    asking: Tensor,
    projected: Projected,
    site: Option<Site>,
    probabilities: Probabilities,
    /// `[R, D]`.
    context: Tensor,
    norm: layer_norm::Saved,
}

/// What the backward pass makes attention's probabilities of.
#[derive(Debug)]
enum Probabilities {
    /// `[R, N]` fp32: the logarithm of each softmax's sum.
    LogSums(Tensor),
    /// `[B, N, Sq, S]`: themselves.
    Padded(Tensor),
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
        let (asking, projected) = self.project(hidden, inputs, rows);
        let context = timed(Phase::Attention, || {
            if is_cpu(hidden) {
                with_float!(hidden, T => self.context_kernel::<T>(&projected, inputs, None, false).0)
            } else {
                self.context_padded_fused(&projected, inputs)
            }
        });
        self.norm.forward(self.output.forward(&context), Some(&asking))
    }

    /// `[T, D]` to `[R, D]`.
    pub(crate) fn forward_train(
        &self,
        hidden: Tensor,
        inputs: &Inputs,
        rows: Rows,
        dropout: &DropoutStream,
    ) -> (Tensor, Saved) {
        let (asking, projected) = self.project(&hidden, inputs, rows);
        let site = dropout.site(self.attention_dropout);
        let (context, probabilities) = timed(Phase::Attention, || self.context(&projected, inputs, site));
        let dense = self.output.forward(&context);
        let sites = Sites { before: dropout.site(self.hidden_dropout), after: None };
        let (y, norm) = self.norm.forward_train(dense, Some(&asking), sites);
        (y, Saved { hidden, asking, projected, site, probabilities, context, norm })
    }

    /// The gradient of the input `[T, D]` from that of the output `[R, D]`; `None` if it is not wanted.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        upstream: &Upstream,
        inputs: &Inputs,
        input_wanted: bool,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) -> Option<Upstream> {
        let dnorm = self.norm.backward(&saved.norm, upstream, parameters, gradients); // [R, D]
        self.output.backward_weights(&saved.context, &dnorm.dense, parameters, gradients);
        let dcontext = self.output.backward_input(&dnorm.dense); // [R, D]
        match timed(Phase::Attention, || self.projections_backward(saved, &dcontext, inputs)) {
            Projected::Joint(dqkv) => {
                self.qkv.backward_weights(&saved.hidden, &dqkv, parameters, gradients);
                input_wanted.then(|| Upstream { dy: self.qkv.backward_input(&dqkv), dy_too: Some(dnorm.residual) })
            }
            Projected::Apart { query, key_value } => {
                self.qkv.backward_weights_part(&saved.asking, &query, &QUERY, parameters, gradients);
                self.qkv.backward_weights_part(&saved.hidden, &key_value, &KEY_VALUE, parameters, gradients);
                input_wanted.then(|| {
                    let dasking = self.qkv.backward_input_part(&query, &QUERY).g_add_(&dnorm.residual);
                    let mut dy = self.qkv.backward_input_part(&key_value, &KEY_VALUE);
                    Upstream { dy: dy.index_add_(0, &inputs.cls_rows, &dasking), dy_too: None }
                })
            }
        }
    }

    /// `[T, D]` to the asking rows `[R, D]`, and their queries and everybody's keys and values.
    fn project(&self, hidden: &Tensor, inputs: &Inputs, rows: Rows) -> (Tensor, Projected) {
        match rows {
            Rows::All => (hidden.shallow_clone(), Projected::Joint(self.qkv.forward(hidden))),
            Rows::Cls => {
                let asking = hidden.index_select(0, &inputs.cls_rows); // [B, D]
                let query = self.qkv.forward_part(&asking, &QUERY);
                (asking, Projected::Apart { query, key_value: self.qkv.forward_part(hidden, &KEY_VALUE) })
            }
        }
    }

    /// `[R, D]`: each asking row's mean of values.
    fn context(&self, projected: &Projected, inputs: &Inputs, site: Option<Site>) -> (Tensor, Probabilities) {
        let (Projected::Joint(any) | Projected::Apart { query: any, .. }) = projected;
        if !is_cpu(any) {
            let (context, probabilities) = self.context_padded(projected, inputs, site);
            return (context, Probabilities::Padded(probabilities));
        }
        let (context, log_sums) = with_float!(any, T => self.context_kernel::<T>(projected, inputs, site, true));
        (context, Probabilities::LogSums(log_sums))
    }

    /// The gradients of queries, keys and values, laid out as they are, from `[R, D]`.
    fn projections_backward(&self, saved: &Saved, dcontext: &Tensor, inputs: &Inputs) -> Projected {
        match &saved.probabilities {
            Probabilities::Padded(probabilities) => self.backward_padded(saved, probabilities, dcontext, inputs),
            Probabilities::LogSums(log_sums) => {
                with_float!(dcontext, T => self.backward_kernel::<T>(saved, log_sums, dcontext, inputs))
            }
        }
    }

    fn shape<'a>(&self, inputs: &'a Inputs, rows: Rows) -> Shape<'a> {
        Shape {
            queries: inputs.limits(rows),
            keys: inputs.limits(Rows::All),
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
            Projected::Joint(qkv) => {
                Projections { query: part(qkv, 3, 0), key: part(qkv, 3, 1), value: part(qkv, 3, 2) }
            }
            Projected::Apart { query, key_value } => {
                Projections { query: part(query, 1, 0), key: part(key_value, 2, 0), value: part(key_value, 2, 1) }
            }
        }
    }

    /// Context `[R, D]`, and log sums `[R, N]` where they are wanted (else empty).
    fn context_kernel<T: Float>(
        &self,
        projected: &Projected,
        inputs: &Inputs,
        site: Option<Site>,
        sums_wanted: bool,
    ) -> (Tensor, Tensor) {
        let shape = self.shape(inputs, projected.rows());
        let rows = shape.queries[shape.queries.len() - 1] as i64;
        let asking = if projected.rows() == Rows::All { inputs.row_count() } else { rows };
        let mut context = empty::<T>(&[asking, self.width() as i64]);
        let (owned, rest) = slice_mut::<T>(&mut context).split_at_mut(rows as usize * self.width());
        rest.fill(T::default());
        let mut log_sums = empty::<f32>(&[if sums_wanted { rows } else { 0 }, self.heads]);
        kernel::forward::<T>(
            self.projections(projected),
            shape,
            site.and_then(|site| site.mask()),
            owned,
            sums_wanted.then(|| slice_mut(&mut log_sums)),
        );
        (context, log_sums)
    }

    fn backward_kernel<T: Float>(
        &self,
        saved: &Saved,
        log_sums: &Tensor,
        dcontext: &Tensor,
        inputs: &Inputs,
    ) -> Projected {
        let width = self.width();
        let shape = self.shape(inputs, saved.projected.rows());
        let mask = saved.site.and_then(|site| site.mask());
        let asked = &slice::<T>(dcontext)[..shape.queries[shape.queries.len() - 1] * width];
        let run = |gradients| {
            let projections = self.projections::<T>(&saved.projected);
            kernel::backward(projections, shape, mask, slice(log_sums), asked, gradients);
        };
        // Rows that no sentence owns get no gradient.
        let tokens = inputs.token_count() as usize;
        let clear_rest = |gradient: &mut [T], parts: usize| gradient[tokens * parts * width..].fill(T::default());
        match &saved.projected {
            Projected::Joint(qkv) => {
                let mut dqkv = empty::<T>(&qkv.size());
                let offsets = [0, width, 2 * width];
                let data = slice_mut(&mut dqkv);
                clear_rest(data, 3);
                run(kernel::Gradients::Joint(VectorsMut { data, stride: 3 * width, offsets: &offsets }));
                Projected::Joint(dqkv)
            }
            Projected::Apart { query, key_value } => {
                let (mut dquery, mut dkv) = (empty::<T>(&query.size()), empty::<T>(&key_value.size()));
                clear_rest(slice_mut(&mut dkv), 2);
                run(kernel::Gradients::Apart(
                    VectorsMut { data: slice_mut(&mut dquery), stride: width, offsets: &[0] },
                    VectorsMut { data: slice_mut(&mut dkv), stride: 2 * width, offsets: &[0, width] },
                ));
                Projected::Apart { query: dquery, key_value: dkv }
            }
        }
    }
}

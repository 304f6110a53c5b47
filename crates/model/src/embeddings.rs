//! Word, position and token-type embeddings, summed, normalised and dropped out.

use kernels::rows::{Groups, Lookup, gather, group_sums};
use tch::{Kind, Tensor};

use crate::config::Config;
use crate::cpu::{empty, is_cpu, slice, slice_mut, with_float};
use crate::dropout::DropoutStream;
use crate::inputs::Inputs;
use crate::layer_norm::{self, LayerNorm, Sites, Upstream};
use crate::linear::column_sums;
use crate::parameters::{Gradient, Gradients, ParameterId, Parameters};
use crate::profile::{Phase, timed};

#[derive(Debug)]
pub(crate) struct Embeddings {
    word: ParameterId,
    position: ParameterId,
    token_type: ParameterId,
    norm: LayerNorm,
    dropout: f64,
}

pub(crate) type Saved = layer_norm::Saved;

impl Embeddings {
    pub(crate) fn new(parameters: &mut Parameters, config: &Config, take: &mut dyn FnMut(&str) -> Tensor) -> Self {
        let mut add = |table: &str| {
            let name = format!("bert.embeddings.{table}_embeddings.weight");
            let tensor = take(&name);
            parameters.add(name, tensor)
        };
        let (word, position, token_type) = (add("word"), add("position"), add("token_type"));
        let norm = LayerNorm::new(parameters, "bert.embeddings.LayerNorm", config.layer_norm_eps, take);
        Self { word, position, token_type, norm, dropout: config.hidden_dropout_prob }
    }

    /// `T` token ids to `[T, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, inputs: &Inputs, parameters: &Parameters) -> Tensor {
        self.norm.forward(self.sum(inputs, parameters), None)
    }

    /// `T` token ids to `[T, D]`.
    pub(crate) fn forward_train(
        &self,
        inputs: &Inputs,
        parameters: &Parameters,
        dropout: &DropoutStream,
    ) -> (Tensor, Saved) {
        let sites = Sites { before: None, after: dropout.site(self.dropout) };
        self.norm.forward_train(self.sum(inputs, parameters), None, sites)
    }

    /// `[T, D]`. Single sentences only: every token is of type 0.
    fn sum(&self, inputs: &Inputs, parameters: &Parameters) -> Tensor {
        let table = |id: ParameterId| parameters.at(id).compute();
        let (word, position, token_type) = (table(self.word), table(self.position), table(self.token_type));
        timed(Phase::Embeddings, || {
            if is_cpu(word) {
                return with_float!(word, T => {
                    let width = word.size()[1];
                    let mut sum = empty::<T>(&[inputs.row_count(), width]);
                    let words = Lookup { table: slice::<T>(word), rows: &inputs.input_ids };
                    let positions = Lookup { table: slice::<T>(position), rows: &inputs.position_ids };
                    gather(words, positions, &slice::<T>(token_type)[..width as usize], slice_mut(&mut sum));
                    sum
                });
            }
            let indices = inputs.indices();
            word.index_select(0, &indices.input_ids)
                + position.index_select(0, &indices.position_ids)
                + token_type.narrow(0, 0, 1)
        })
    }

    /// Takes the gradient of the output, `[T, D]`.
    pub(crate) fn backward(
        &self,
        saved: &Saved,
        upstream: &Upstream,
        inputs: &Inputs,
        parameters: &Parameters,
        gradients: &mut Gradients,
    ) {
        let dsum = self.norm.backward(saved, upstream, parameters, gradients).residual; // [T, D]
        timed(Phase::Embeddings, || self.backward_tables(&dsum, inputs, parameters, gradients));
    }

    // Sums over many tokens are in fp32, or the small terms are lost.
    fn backward_tables(&self, dsum: &Tensor, inputs: &Inputs, parameters: &Parameters, gradients: &mut Gradients) {
        let trainable = |id: ParameterId| parameters.at(id).trainable();
        let table_rows = |id: ParameterId| parameters.at(id).master().size()[0];
        let width = dsum.size()[1];
        if trainable(self.word) {
            let rows = inputs.unique_ids.size()[0];
            let values = if is_cpu(dsum) {
                sum_groups(dsum, &inputs.tokens_by_id())
            } else {
                sum_at(dsum, &inputs.indices().unique_inverse, rows)
            };
            gradients.set(self.word, Gradient::Rows { ids: inputs.unique_ids.shallow_clone(), values });
        }
        if trainable(self.position) {
            let rows = table_rows(self.position);
            let dense = if is_cpu(dsum) {
                sum_groups(dsum, &inputs.tokens_by_position(rows as usize))
            } else {
                sum_at(dsum, &inputs.indices().position_ids, rows)
            };
            gradients.set(self.position, Gradient::Dense(dense));
        }
        if trainable(self.token_type) {
            let dense = Tensor::zeros([table_rows(self.token_type), width], (Kind::Float, dsum.device()));
            dense.get(0).copy_(&column_sums(dsum));
            gradients.set(self.token_type, Gradient::Dense(dense));
        }
    }
}

/// `[T, D]` to `[G, D]` fp32: each group's sum of its rows. Rows behind the last member count for nobody.
fn sum_groups(values: &Tensor, groups: &Groups) -> Tensor {
    let width = values.size()[1];
    let mut sums = empty::<f32>(&[groups.len() as i64, width]);
    with_float!(values, T => {
        let members = &slice::<T>(values)[..groups.members() * width as usize];
        group_sums(members, groups, width as usize, slice_mut(&mut sums));
    });
    sums
}

/// The same for devices without kernels of ours, by each row's group.
fn sum_at(values: &Tensor, group_of: &Tensor, groups: i64) -> Tensor {
    let values = values.to_kind(Kind::Float);
    Tensor::zeros([groups, values.size()[1]], (Kind::Float, values.device())).index_add_(0, group_of, &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn both_ways_to_sum_rows_agree() {
        let inputs = Inputs::new(&[7, 5, 9, 7, 9, 9], &[0, 1, 4, 6], Device::Cpu);
        let values = Tensor::randn([6, 5], (Kind::Float, Device::Cpu));
        let ours = sum_groups(&values, &inputs.tokens_by_id());
        let reference = sum_at(&values, &inputs.indices().unique_inverse, 3);
        assert!(ours.allclose(&reference, 1e-6, 1e-6, false));
        let ours = sum_groups(&values, &inputs.tokens_by_position(4));
        assert!(ours.allclose(&sum_at(&values, &inputs.indices().position_ids, 4), 1e-6, 1e-6, false));
    }
}

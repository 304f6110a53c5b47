//! Word, position and token-type embeddings, summed, normalized and dropped out.

use kernels::rows::{Groups, Lookup, group_sums, sum_embeddings};
use tch::{Kind, Tensor};

use crate::backend::Backend;
use crate::builder::{GradientForm, Initial, ParameterId, Traits};
use crate::inputs::{Inputs, RowSelection};
use crate::layers::layer_norm::{self, DropoutSites, LayerNorm, Upstream};
use crate::layers::linear::column_sums;
use crate::parameters::Parameters;
use crate::pass::{Backward, Forward};
use crate::profile::{Phase, timed};
use crate::tensor_slice::{empty, slice, slice_mut, with_float};

/// A table, `[rows, D]`.
pub(crate) const TABLE: Traits =
    Traits { decays: true, always_fp32: false, initial: Initial::Normal, gradient: GradientForm::Sum };
/// A table of which a batch uses few rows.
pub(crate) const LARGE_TABLE: Traits = Traits { gradient: GradientForm::Rows, ..TABLE };

#[derive(Debug)]
pub(crate) struct Embeddings {
    pub(crate) word: ParameterId,
    pub(crate) position: ParameterId,
    /// `None` if the architecture has no token types.
    pub(crate) token_type: Option<ParameterId>,
    pub(crate) norm: LayerNorm,
    pub(crate) dropout: f64,
}

impl Embeddings {
    /// `T` token ids to `[T, D]`, without dropout and without a tape.
    pub(crate) fn forward(&self, pass: Forward) -> Tensor {
        self.norm.forward(self.sum(pass.inputs, pass.parameters), None, pass.parameters)
    }

    /// `T` token ids to `[T, D]`.
    pub(crate) fn forward_train(&self, pass: Forward) -> (Tensor, layer_norm::Saved) {
        let sites = DropoutSites { before: None, after: pass.site(self.dropout, RowSelection::All) };
        self.norm.forward_train(self.sum(pass.inputs, pass.parameters), None, sites, pass.parameters)
    }

    /// `[T, D]`. Single sentences only: every token is of type 0.
    fn sum(&self, inputs: &Inputs, parameters: &Parameters) -> Tensor {
        let table = |id: ParameterId| parameters.at(id).compute();
        let (word, position, token_type) = (table(self.word), table(self.position), self.token_type.map(table));
        timed(Phase::Embeddings, || {
            if parameters.backend() == Backend::Kernels {
                return with_float!(word, T => {
                    let width = word.size()[1];
                    let mut sum = empty::<T>(&[inputs.row_count(), width]);
                    let words = Lookup { table: slice::<T>(word), indices: &inputs.input_ids };
                    let positions = Lookup { table: slice::<T>(position), indices: &inputs.position_ids };
                    let zeros = vec![T::default(); width as usize];
                    let type_0 = token_type.map_or(&zeros[..], |table| &slice::<T>(table)[..width as usize]);
                    sum_embeddings(words, positions, type_0, slice_mut(&mut sum));
                    sum
                });
            }
            let indices = inputs.indices();
            let sum = word.index_select(0, &indices.input_ids) + position.index_select(0, &indices.position_ids);
            match token_type {
                Some(table) => sum + table.narrow(0, 0, 1),
                None => sum,
            }
        })
    }

    /// Computes the gradients of the parameters from that of the output, `[T, D]`.
    pub(crate) fn backward(&self, saved: &layer_norm::Saved, upstream: &Upstream, pass: &mut Backward) {
        let dsum = self.norm.backward(saved, upstream, pass).residual; // [T, D]
        timed(Phase::Embeddings, || self.backward_tables(&dsum, pass));
    }

    // Sums over many tokens are in fp32; otherwise small terms would be lost.
    fn backward_tables(&self, dsum: &Tensor, pass: &mut Backward) {
        let inputs = pass.inputs;
        let parameters = pass.parameters;
        let backend = parameters.backend();
        if pass.needs_gradient(self.word) {
            let rows = inputs.unique_ids.size()[0];
            let mut values = Tensor::empty([rows, dsum.size()[1]], (Kind::Float, dsum.device()));
            if backend == Backend::Kernels {
                sum_groups(dsum, &inputs.tokens_by_id(), &mut values);
            } else {
                sum_by_index(dsum, &inputs.indices().unique_inverse, &mut values);
            }
            pass.gradients.set_rows(self.word, inputs.unique_ids.shallow_clone(), values);
        }
        if let Some(mut dense) = pass.gradients.dense(self.position) {
            if backend == Backend::Kernels {
                sum_groups(dsum, &inputs.tokens_by_position(dense.size()[0] as usize), &mut dense);
            } else {
                sum_by_index(dsum, &inputs.indices().position_ids, &mut dense);
            }
        }
        if let Some(mut dense) = self.token_type.and_then(|id| pass.gradients.dense(id)) {
            let _ = dense.zero_();
            column_sums(dsum, &mut dense.get(0), backend);
        }
    }
}

/// `[T, D]` to `sums`, `[G, D]` fp32: the sum of each group's rows. Rows after the tokens belong to no group.
fn sum_groups(values: &Tensor, groups: &Groups, sums: &mut Tensor) {
    let width = values.size()[1] as usize;
    with_float!(values, T => {
        group_sums(&slice::<T>(values)[..groups.members() * width], groups, width, slice_mut(sums));
    });
}

/// The same for devices that the kernels don't support; `group_of` has the group of each row.
fn sum_by_index(values: &Tensor, group_of: &Tensor, sums: &mut Tensor) {
    let _ = sums.zero_().index_add_(0, group_of, &values.to_kind(Kind::Float));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Builder, Role};
    use crate::gradients::Gradients;
    use crate::test_tensors::normal;
    use tch::Device;

    #[test]
    fn an_architecture_may_lack_token_types() {
        let mut builder = Builder::default();
        let mut scope = builder.scope(Role::Embedding, "tables");
        let word = scope.parameter("word", &[9, 5], LARGE_TABLE);
        let position = scope.parameter("position", &[4, 5], TABLE);
        let token_type = scope.parameter("token_type", &[2, 5], TABLE);
        let norm = LayerNorm::new(builder.scope(Role::Embedding, "norm"), 5, 1e-5);
        let with = Embeddings { word, position, token_type: Some(token_type), norm, dropout: 0.0 };
        let norm = LayerNorm::new(builder.scope(Role::Embedding, "another norm"), 5, 1e-5);
        let without = Embeddings { word, position, token_type: None, norm, dropout: 0.0 };
        let master = |spec: &crate::ParameterSpec| match spec.name.as_str() {
            "tables.token_type" => Tensor::zeros(&spec.shape, (Kind::Float, Device::Cpu)),
            _ => normal(&spec.shape, 1),
        };
        let parameters = Parameters::new(builder.specs, Device::Cpu, Backend::Kernels, Kind::Float, master);
        let inputs = Inputs::new(&[7, 5, 3], &[0, 1, 3], Device::Cpu);
        assert!(with.sum(&inputs, &parameters).equal(&without.sum(&inputs, &parameters)));
        let dsum = normal(&[3, 5], 2);
        let mut gradients = Gradients::of_pass(&parameters);
        let _ = gradients.dense(token_type).expect("it is trainable").fill_(7.0);
        let mut pass = Backward { inputs: &inputs, parameters: &parameters, gradients: &mut gradients };
        without.backward_tables(&dsum, &mut pass);
        assert!(gradients.iter().nth(word.0).flatten().is_some());
        let untouched = gradients.dense(token_type).expect("it is trainable");
        assert!(untouched.eq(7.0).all().int64_value(&[]) == 1, "nothing is written for what the network lacks");
    }

    #[test]
    fn sum_groups_agrees_with_sum_by_index() {
        let inputs = Inputs::new(&[7, 5, 9, 7, 9, 9], &[0, 1, 4, 6], Device::Cpu);
        let values = normal(&[6, 5], 3);
        for (groups, group_of, count) in [
            (inputs.tokens_by_id(), &inputs.indices().unique_inverse, 3),
            (inputs.tokens_by_position(4), &inputs.indices().position_ids, 4),
        ] {
            let [mut ours, mut reference] =
                [(); 2].map(|()| Tensor::full([count, 5], f64::NAN, (Kind::Float, Device::Cpu)));
            sum_groups(&values, &groups, &mut ours);
            sum_by_index(&values, group_of, &mut reference);
            assert!(ours.allclose(&reference, 1e-6, 1e-6, false));
        }
    }
}

//! Estimates the memory of a model and its passes from the configuration alone, before anything is loaded.
//!
//! The size of the parameters follows from what the architecture declares; the size of the passes from what `layers/`
//! and `head.rs` save for the backward pass on a CPU. A change that saves another tensor there must add a term here.
//! With the crate's shape letters, `T` rounded up as in `inputs.rs`, and `e` bytes per activation (4 or 2); sums, means
//! and standard deviations are fp32:
//!
//! ```text
//! embeddings      TD                       the norm's input
//! each layer      8 TD + TI                hidden; query, key, value; context; the inputs of both norms, the
//!                                          feed-forward and its activation
//! the last layer  3 TD + B (6 D + I)       hidden, key, value, and the same as above for the rows of [CLS] alone
//! sums            TN + 4 T per layer, 2 T  log-sum-exp of each softmax, mean and deviation of each norm
//! backward        8 TD + 2 TI              working memory of the feed-forward, which needs the most
//! forward         4 TD + 2 TI              without a tape
//! ```

use crate::builder::{GradientForm, ParameterSpec};
use crate::config::Config;
use crate::inputs::ROW_BLOCK;
use crate::precision::Precision;

impl ParameterSpec {
    pub fn master_bytes(&self) -> u64 {
        4 * self.elements()
    }

    /// Bytes of the compute tensor; 0 if it is the master itself.
    pub fn compute_bytes(&self, precision: Precision) -> u64 {
        if self.traits.always_fp32 || precision == Precision::Fp32 { 0 } else { 2 * self.elements() }
    }

    /// Bytes of the gradient of one pass; of one row if the gradient [consists of rows](Self::has_row_gradient).
    pub fn gradient_bytes(&self, precision: Precision) -> u64 {
        match self.traits.gradient {
            GradientForm::Rows => 4 * self.elements() / self.shape[0] as u64,
            GradientForm::Product if self.compute_bytes(precision) > 0 => 2 * self.elements(),
            GradientForm::Product | GradientForm::Sum => 4 * self.elements(),
        }
    }

    /// Whether the gradient consists of rows: one for each distinct token of a batch, so at most
    /// [`BatchShape::tokens`].
    pub fn has_row_gradient(&self) -> bool {
        self.traits.gradient == GradientForm::Rows
    }

    pub(crate) fn elements(&self) -> u64 {
        self.shape.iter().product::<i64>() as u64
    }
}

/// The sizes of a token-packed batch that determine the memory of its pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchShape {
    /// `B`.
    pub sentences: u64,
    /// `T`: tokens in all sentences.
    pub tokens: u64,
    /// `S`: tokens in the longest sentence.
    pub longest: u64,
}

impl BatchShape {
    /// The shape of a batch of sentences with these numbers of tokens.
    pub fn of(token_counts: impl IntoIterator<Item = u32>) -> Self {
        token_counts.into_iter().fold(Self::default(), |shape, count| Self {
            sentences: shape.sentences + 1,
            tokens: shape.tokens + u64::from(count),
            longest: shape.longest.max(u64::from(count)),
        })
    }
}

/// Bytes of a training pass over a batch, without parameters and gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassSize {
    /// Tensors that the forward pass saves for the backward pass.
    pub tape: u64,
    /// Additional memory of a layer's backward pass.
    pub working: u64,
}

impl Config {
    /// Bytes of a training pass over a batch.
    pub fn training_pass(&self, precision: Precision, batch: BatchShape) -> PassSize {
        let [t, b, d, i, n, e] = self.dimensions(precision, batch);
        let layers = self.num_hidden_layers as u64;
        let last = 3 * t * d + b * (6 * d + i);
        let sums = (layers - 1) * t * (n + 4) + b * (n + 4) + 2 * t;
        PassSize {
            tape: e * (t * d + (layers - 1) * (8 * t * d + t * i) + last) + 4 * sums + index_bytes(t),
            working: e * (8 * t * d + 2 * t * i),
        }
    }

    /// Bytes of a pass without a tape, as in evaluation and prediction.
    pub fn forward_pass(&self, precision: Precision, batch: BatchShape) -> u64 {
        let [t, _, d, i, _, e] = self.dimensions(precision, batch);
        e * (4 * t * d + 2 * t * i) + index_bytes(t)
    }

    /// `[T, B, D, I, N, e]`.
    fn dimensions(&self, precision: Precision, batch: BatchShape) -> [u64; 6] {
        let t = batch.tokens.next_multiple_of(ROW_BLOCK as u64);
        let [d, i, n] = [self.hidden_size, self.intermediate_size, self.num_attention_heads].map(|size| size as u64);
        [t, batch.sentences, d, i, n, if precision == Precision::Fp32 { 4 } else { 2 }]
    }
}

/// Bytes of the index lists of `inputs.rs`, 8 per element: ids, positions, distinct ids and their positions, two
/// groups.
fn index_bytes(t: u64) -> u64 {
    8 * 8 * t
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tch::Device;

    use super::*;
    use crate::{DropoutStream, Gradient, Inputs, SequenceClassifier};

    const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16,
        "id2label": {"0": "a", "1": "b", "2": "c"}}"#;

    fn config() -> Config {
        Config::from_json(CONFIG, Path::new("config.json")).expect("parses")
    }

    fn bytes(tensor: &tch::Tensor) -> u64 {
        (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64
    }

    #[test]
    fn estimated_bytes_match_a_real_model() {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let model = SequenceClassifier::random(config(), Device::Cpu, precision, 1);
            let inputs = Inputs::new(&[2, 7, 9, 3, 2, 8, 3], &[0, 4, 7], Device::Cpu);
            let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 0));
            let gradients = model.backward(tape, &logits.ones_like());
            let specs = config().parameters();
            assert_eq!(specs.len(), model.parameters().len());
            for ((spec, parameter), gradient) in specs.iter().zip(model.parameters().iter()).zip(gradients.iter()) {
                let name = parameter.name();
                assert_eq!((spec.name.as_str(), spec.role), (name, parameter.role()));
                assert_eq!(spec.shape, parameter.master().size(), "{name}");
                let compute = if parameter.is_shared() { 0 } else { bytes(parameter.compute()) };
                let sizes = (spec.master_bytes(), spec.compute_bytes(precision));
                assert_eq!(sizes, (bytes(parameter.master()), compute), "{name}");
                let (by_rows, gradient) = match gradient.expect("nothing is frozen") {
                    Gradient::Dense(gradient) => (false, bytes(gradient)),
                    Gradient::Rows { values, .. } => (true, bytes(&values.get(0))),
                };
                let sizes = (spec.has_row_gradient(), spec.gradient_bytes(precision));
                assert_eq!(sizes, (by_rows, gradient), "{name} in {precision:?}");
            }
        }
    }

    #[test]
    fn batch_shape_counts_sentences_and_tokens() {
        let expected = BatchShape { sentences: 3, tokens: 12, longest: 7 };
        assert_eq!(BatchShape::of([4, 7, 1]), expected);
        assert_eq!(BatchShape::of([]), BatchShape::default());
    }

    #[test]
    fn pass_size_matches_the_formulas() {
        // B = 2, T = 8 and so 16, D = 8, I = 16, N = 2.
        let batch = BatchShape { sentences: 2, tokens: 8, longest: 5 };
        let (embeddings, layer, last) = (128, 8 * 128 + 256, 3 * 128 + 2 * (48 + 16));
        let (tape, sums, lists) = (embeddings + 2 * layer + last, 2 * 16 * 6 + 2 * 6 + 32, 64 * 16);
        let fp32 = config().training_pass(Precision::Fp32, batch);
        assert_eq!(fp32, PassSize { tape: 4 * tape + 4 * sums + lists, working: 4 * (1024 + 512) });
        assert_eq!(config().training_pass(Precision::Bf16, batch).tape, 2 * tape + 4 * sums + lists);
        assert_eq!(config().forward_pass(Precision::Fp32, batch), 4 * (512 + 512) + lists);
    }
}

//! How many bytes a model and its passes take, from the configuration alone: for asking before anything is loaded.
//!
//! [`Config::parameter_sizes`] follows `parameters.rs`; the passes follow what `embeddings.rs`, `encoder.rs`,
//! `attention.rs`, `layer_norm.rs` and `classifier.rs` keep on their tapes. Whoever keeps another tensor there changes a
//! term here. With the letters of the crate, `P = B S` for the padded slots, and `e` bytes an activation (4 or 2):
//!
//! ```text
//! embeddings      2 TD                            norm's input, mask
//! a layer         3 PD + 7 TD + 2 TI + 2 PNS      query, key, value; hidden, context, mask, norm's input, and the
//!                                                 feed-forward's input, mask and norm's input; before and after the
//!                                                 activation; probabilities and their mask
//! the last layer  2 PD + TD + 2 PN + B (7 D + 2 I)   the same for the rows of [CLS] alone
//! backward        3 PNS + 8 PD + 8 TD             at once in a layer's attention, which needs more than the rest
//! forward         7 PD + 5 TD  or  4 TD + 2 TI    without a tape, in attention or feed-forward
//! ```

use crate::config::Config;
use crate::precision::Precision;
use crate::weights::expected_shapes;

/// The sizes of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSize {
    /// Hugging Face's name.
    pub name: String,
    /// The shape.
    pub shape: Vec<i64>,
    /// Bytes of the fp32 master.
    pub master: u64,
    /// Bytes of the compute tensor; 0 where it is the master itself.
    pub compute: u64,
    /// Bytes of the gradient of one pass. That of the word embeddings comes as rows: as many as a batch has different
    /// tokens, so at most [`BatchShape::tokens`]; this is the size of one row.
    pub gradient: u64,
    /// Whether the gradient comes as rows.
    pub by_rows: bool,
}

/// What of a token-packed batch decides the memory of its pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchShape {
    /// `B`.
    pub sentences: u64,
    /// `T`: tokens in all sentences.
    pub tokens: u64,
    /// `S`: tokens in the longest.
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
    /// What the forward pass keeps for the backward pass.
    pub tape: u64,
    /// What a layer's backward pass has besides at once.
    pub working: u64,
}

impl Config {
    /// The sizes of every parameter at a precision, by name.
    pub fn parameter_sizes(&self, precision: Precision) -> Vec<ParameterSize> {
        let sizes = expected_shapes(self).into_iter().map(|(name, shape)| {
            let elements = shape.iter().product::<i64>() as u64;
            let embedding = name.starts_with("bert.embeddings.");
            let fp32 = name.contains("LayerNorm") || name.starts_with("bert.pooler") || name.starts_with("classifier");
            let by_rows = name == "bert.embeddings.word_embeddings.weight";
            let compute = if fp32 || precision == Precision::Fp32 { 0 } else { 2 * elements };
            // Matrices get theirs from a product in the compute format, everything else is summed in fp32.
            let matrix = shape.len() == 2 && !embedding;
            let gradient = match (by_rows, matrix && compute > 0) {
                (true, _) => 4 * self.hidden_size as u64,
                (false, true) => 2 * elements,
                (false, false) => 4 * elements,
            };
            ParameterSize { name, shape, master: 4 * elements, compute, gradient, by_rows }
        });
        sizes.collect()
    }

    /// Bytes of a training pass over a batch.
    pub fn training_pass(&self, precision: Precision, batch: BatchShape) -> PassSize {
        let Letters { t, s, b, p, d, i, n, e } = self.letters(precision, batch);
        let dropout = |probability: f64| u64::from(probability > 0.0);
        let (hidden, attention) = (dropout(self.hidden_dropout_prob), dropout(self.attention_probs_dropout_prob));
        let layers = self.num_hidden_layers as u64;
        let embeddings = (1 + hidden) * t * d;
        let layer = 3 * p * d + (5 + 2 * hidden) * t * d + 2 * t * i + (1 + attention) * p * n * s;
        let last = 2 * p * d + t * d + (1 + attention) * p * n + b * ((5 + 2 * hidden) * d + 2 * i);
        let working = if layers > 1 { 3 * p * n * s } else { 3 * p * n };
        PassSize {
            tape: e * (embeddings + (layers - 1) * layer + last) + indices(t, p),
            working: e * (working + 8 * p * d + 8 * t * d).max(3 * t * i),
        }
    }

    /// Bytes of a pass without a tape, as evaluation and prediction make it.
    pub fn forward_pass(&self, precision: Precision, batch: BatchShape) -> u64 {
        let Letters { t, p, d, i, e, .. } = self.letters(precision, batch);
        e * (7 * p * d + 5 * t * d).max(4 * t * d + 2 * t * i) + indices(t, p)
    }

    fn letters(&self, precision: Precision, batch: BatchShape) -> Letters {
        let BatchShape { sentences, tokens, longest } = batch;
        Letters {
            t: tokens,
            s: longest,
            b: sentences,
            p: sentences * longest,
            d: self.hidden_size as u64,
            i: self.intermediate_size as u64,
            n: self.num_attention_heads as u64,
            e: if precision == Precision::Fp32 { 4 } else { 2 },
        }
    }
}

struct Letters {
    t: u64,
    s: u64,
    b: u64,
    p: u64,
    d: u64,
    i: u64,
    n: u64,
    e: u64,
}

/// The int64 lists of `inputs.rs`: ids, positions, distinct ids and where they are, slots and rows.
fn indices(t: u64, p: u64) -> u64 {
    8 * (5 * t + p)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tch::Device;

    use super::*;
    use crate::{BertForSequenceClassification, DropoutStream, Gradient, Inputs};

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
    fn parameters_and_gradients_have_the_sizes_of_a_real_model() {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let model = BertForSequenceClassification::random(config(), Device::Cpu, precision, 1);
            let inputs = Inputs::new(&[2, 7, 9, 3, 2, 8, 3], &[0, 4, 7], Device::Cpu);
            let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 0, 0));
            let gradients = model.backward(tape, &logits.ones_like());
            let sizes = config().parameter_sizes(precision);
            assert_eq!(sizes.len(), model.parameters().len());
            for (parameter, gradient) in model.parameters().iter().zip(gradients.0) {
                let name = parameter.name();
                let size = sizes.iter().find(|size| size.name == name).expect(name);
                let compute = if parameter.is_shared() { 0 } else { bytes(parameter.compute()) };
                assert_eq!((size.master, size.compute), (bytes(parameter.master()), compute), "{name}");
                let (by_rows, gradient) = match gradient.expect("nothing is frozen") {
                    Gradient::Dense(gradient) => (false, bytes(&gradient)),
                    Gradient::Rows { values, .. } => (true, bytes(&values.get(0))),
                };
                assert_eq!((size.by_rows, size.gradient), (by_rows, gradient), "{name} in {precision:?}");
            }
        }
    }

    #[test]
    fn a_batch_has_its_longest_and_its_sum() {
        let expected = BatchShape { sentences: 3, tokens: 12, longest: 7 };
        assert_eq!(BatchShape::of([4, 7, 1]), expected);
        assert_eq!(BatchShape::of([]), BatchShape::default());
    }

    #[test]
    fn a_pass_in_figures() {
        // B = 2, S = 5, T = 8, P = 10, D = 8, I = 16, N = 2.
        let batch = BatchShape { sentences: 2, tokens: 8, longest: 5 };
        let (embeddings, layer) = (2 * 64, 3 * 80 + 7 * 64 + 2 * 128 + 2 * 100);
        let last = 2 * 80 + 64 + 2 * 20 + 2 * (56 + 32);
        let (tape, lists) = (embeddings + 2 * layer + last, 8 * (40 + 10));
        let fp32 = config().training_pass(Precision::Fp32, batch);
        assert_eq!(fp32, PassSize { tape: 4 * tape + lists, working: 4 * (300 + 640 + 512) });
        assert_eq!(config().training_pass(Precision::Bf16, batch).tape, 2 * tape + lists);
        assert_eq!(config().forward_pass(Precision::Fp32, batch), 4 * (560 + 320) + lists);
        let mut dry = config();
        dry.hidden_dropout_prob = 0.0;
        dry.attention_probs_dropout_prob = 0.0;
        let masks = 64 + 2 * (2 * 64 + 100) + 20 + 2 * 16;
        assert_eq!(dry.training_pass(Precision::Fp32, batch).tape, fp32.tape - 4 * masks);
    }
}

//! Integrated gradients (Sundararajan, Taly and Yan 2017): what each token adds to a model's output on the way from a
//! baseline to a text.
//!
//! The path is straight between the outputs of the embeddings, after their norm, as in Captum's `LayerIntegratedGradients`
//! on `bert.embeddings`. Token `t` gets `sum_d (x - x')_td * integral of dF/de_td (x' + a (x - x')) da` over `a` from 0 to 1,
//! by Gauss-Legendre quadrature.

use std::ops::ControlFlow;

use judge::Completeness;
use model::{Inputs, SequenceClassifier};
use tch::{Kind, Tensor};

use crate::error::ExplainError;
use crate::quadrature::gauss_legendre;

/// How many points the path has, and how many are computed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathSteps {
    /// The number that is tried first; it is doubled until the attributions are complete within 1 %.
    pub first: usize,
    /// The most that are tried.
    pub most: usize,
    /// Tokens of a forward and backward pass: as many points at a time as they have room for, at least one.
    pub tokens_per_pass: usize,
}

/// Called after each pass, so that whoever has other work can do it; `Break` gives the explanation up.
pub type Pause<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

impl Default for PathSteps {
    /// From 16 to 512 points, with some hundred MB for what a pass of BERT-base keeps.
    fn default() -> Self {
        Self { first: 16, most: 512, tokens_per_pass: 1024 }
    }
}

/// The attribution of each token to the sum of the logits with these weights, and their completeness.
///
/// `ids` and `baseline` are those of the whole sequence, special tokens included; where they are equal the attribution is 0.
///
/// # Errors
/// [`ExplainError::GivenUp`] if `pause` breaks; numbers that can't be read from the device.
///
/// # Panics
/// If both have not the same length, or there is not one weight for each class.
pub fn token_attributions(
    model: &SequenceClassifier,
    [ids, baseline]: [&[u32]; 2],
    weights: &[f32],
    steps: PathSteps,
    pause: Pause,
) -> Result<(Vec<f64>, Completeness), ExplainError> {
    assert_eq!(ids.len(), baseline.len(), "tokens of the text and of the baseline");
    assert_eq!(weights.len() as i64, model.config().num_classes(), "weights of the logits");
    let path = Path::new(model, ids, baseline, weights);
    let [logit, baseline_logit] = path.ends()?;
    if !(logit.is_finite() && baseline_logit.is_finite()) {
        return Err(ExplainError::NotFinite);
    }
    let mut count = steps.first.clamp(1, steps.most.max(1));
    loop {
        let values = path.integral(count, steps.tokens_per_pass, pause)?;
        let (sum, difference) = (values.iter().sum::<f64>(), logit - baseline_logit);
        let relative_error = (sum - difference).abs() / difference.abs().max(Completeness::SMALLEST_DIFFERENCE);
        let completeness = Completeness { logit, baseline_logit, sum, relative_error, steps: count };
        if completeness.is_complete() || 2 * count > steps.most {
            return Ok((values, completeness));
        }
        count *= 2;
    }
}

/// The straight path from the embeddings of the baseline to those of the text.
struct Path<'a> {
    model: &'a SequenceClassifier,
    ids: Vec<i64>,
    /// `[T, D]` each: where it begins, and where it leads from there.
    begin: Tensor,
    difference: Tensor,
    /// `[1, C]`: the gradient of the explained sum with respect to the logits.
    weights: Tensor,
}

impl<'a> Path<'a> {
    fn new(model: &'a SequenceClassifier, ids: &[u32], baseline: &[u32], weights: &[f32]) -> Self {
        let device = model.parameters().device();
        let as_i64 = |ids: &[u32]| ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>();
        let embed = |ids: &[i64]| model.embed(&Inputs::new(ids, &[0, ids.len() as i64], device));
        let ids = as_i64(ids);
        let (end, begin) = (embed(&ids), embed(&as_i64(baseline)));
        let weights = Tensor::from_slice(weights).view([1, -1]).to_device(device);
        Self { model, ids, difference: end - &begin, begin, weights }
    }

    /// `[points * T, D]`: the embeddings at the points of the path, one after the other; and their sentences.
    fn points(&self, at: &[f64]) -> (Tensor, Inputs) {
        let (points, tokens) = (at.len() as i64, self.ids.len() as i64);
        let kind = self.begin.kind();
        let at = Tensor::from_slice(at).to_kind(kind).to_device(self.begin.device()).view([points, 1, 1]);
        let embeddings = (&self.difference * at + &self.begin).view([points * tokens, -1]);
        let cu_seqlens: Vec<i64> = (0..=points).map(|point| point * tokens).collect();
        (embeddings, Inputs::new(&self.ids.repeat(points as usize), &cu_seqlens, self.begin.device()))
    }

    /// The explained sum of the text and of the baseline.
    fn ends(&self) -> Result<[f64; 2], ExplainError> {
        let (embeddings, inputs) = self.points(&[1.0, 0.0]);
        let (logits, _) = self.model.forward_embedded(&embeddings, &inputs);
        let sums = (logits.to_kind(Kind::Double) * &self.weights).sum_dim_intlist(1i64, false, Kind::Double); // [2]
        let sums = Vec::<f64>::try_from(sums)?;
        Ok([sums[0], sums[1]])
    }

    /// The attribution of each token, with so many points.
    fn integral(&self, count: usize, tokens_per_pass: usize, pause: Pause) -> Result<Vec<f64>, ExplainError> {
        let nodes = gauss_legendre(count);
        let mut sum = self.difference.zeros_like().to_kind(Kind::Double); // [T, D]
        for nodes in nodes.chunks((tokens_per_pass / self.ids.len()).max(1)) {
            let (at, weights): (Vec<f64>, Vec<f64>) = nodes.iter().copied().unzip();
            let (embeddings, inputs) = self.points(&at);
            let (logits, tape) = self.model.forward_embedded(&embeddings, &inputs);
            let dlogits = self.weights.expand_as(&logits).contiguous();
            let gradient = self.model.embedding_gradient(tape, &dlogits).to_kind(Kind::Double); // [points * T, D]
            let weights = Tensor::from_slice(&weights).to_device(gradient.device()).view([-1, 1, 1]);
            let points = gradient.view([nodes.len() as i64, self.ids.len() as i64, -1]) * weights;
            let _ = sum.g_add_(&points.sum_dim_intlist(0i64, false, Kind::Double));
            if pause().is_break() {
                return Err(ExplainError::GivenUp);
            }
        }
        let by_token = (sum * &self.difference).sum_dim_intlist(1i64, false, Kind::Double); // [T]
        Ok(Vec::<f64>::try_from(by_token)?)
    }
}

//! Cross-entropy over the classes, with class weights and label smoothing, and its gradient.
//!
//! For logits `z`, true class `y`, class weights `w`, smoothing `e` and `C` classes, an example's loss is
//! `-(1 - e) w_y log p_y - (e / C) sum_c w_c log p_c` with `p = softmax(z)`. The loss of a step is the sum over its
//! examples divided by the sum of their `w_y`, as in `torch.nn.CrossEntropyLoss`. If this sum is 0, because the classes
//! of all its examples have weight 0, the step has loss 0 and gradient 0; PyTorch returns NaN.

use tch::{Device, Kind, Tensor};

/// The loss that training minimizes.
#[derive(Debug)]
pub struct Loss {
    /// `[C]` fp32, or `None` if every class has weight 1.
    class_weights: Option<Vec<f64>>,
    label_smoothing: f64,
}

impl Loss {
    /// A loss with one weight for each class (or none, for equal ones) and a smoothing in [0, 1).
    pub fn new(class_weights: Option<Vec<f64>>, label_smoothing: f64) -> Self {
        Self { class_weights, label_smoothing }
    }

    /// The sum of the class weights of a step's examples, by which the step's summed loss is divided.
    pub fn total_weight(&self, labels: &[i64]) -> f64 {
        match &self.class_weights {
            None => labels.len() as f64,
            Some(weights) => labels.iter().map(|&label| weights[label as usize]).sum(),
        }
    }

    /// The loss of a batch as its share of a step of `total_weight`, a scalar on the logits' device, and the gradient
    /// of the logits. `logits` is `[B, C]` fp32; `labels` are `B` class indices.
    pub fn forward_backward(&self, logits: &Tensor, labels: &[i64], total_weight: f64) -> (Tensor, Tensor) {
        let (device, classes) = (logits.device(), logits.size()[1]);
        if total_weight == 0.0 {
            return (Tensor::zeros([], (Kind::Float, device)), logits.zeros_like().to_kind(Kind::Float));
        }
        let labels = Tensor::from_slice(labels).to_device(device); // [B]
        let log_p = logits.log_softmax(-1, Kind::Float); // [B, C]
        let targets = self.targets(&labels, classes, device); // [B, C]
        let loss = -(&log_p * &targets).sum(Kind::Float) / total_weight;
        // d(-sum_c t_c log p_c) / dz = p sum_c t_c - t.
        let mass = targets.sum_dim_intlist(-1, true, Kind::Float); // [B, 1]
        let gradient = (log_p.exp() * mass - targets) / total_weight; // [B, C]
        (loss, gradient)
    }

    /// The target matrix, the coefficient of each `-log p`: `(1 - e) w_y` at the true class and `(e / C) w_c`
    /// everywhere.
    fn targets(&self, labels: &Tensor, classes: i64, device: Device) -> Tensor {
        let one_hot = labels.one_hot(classes).to_kind(Kind::Float); // [B, C]
        let smoothed = one_hot * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        match &self.class_weights {
            None => smoothed,
            Some(weights) => smoothed * Tensor::from_slice(weights).to_kind(Kind::Float).to_device(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_with_total_weight_0_has_loss_0_and_gradient_0() {
        let loss = Loss::new(Some(vec![0.0, 2.0]), 0.1);
        let (labels, logits) = ([0i64, 0, 0], Tensor::from_slice2(&[[0.5f32, -1.0], [2.0, 0.0], [0.0, 3.0]]));
        let total_weight = loss.total_weight(&labels);
        assert_eq!(total_weight, 0.0);
        let (value, gradient) = loss.forward_backward(&logits, &labels, total_weight);
        assert_eq!(f64::try_from(&value).unwrap(), 0.0);
        assert_eq!((gradient.size(), gradient.kind()), (vec![3, 2], Kind::Float));
        assert_eq!(f64::try_from(gradient.abs().sum(Kind::Float)).unwrap(), 0.0);
    }
}

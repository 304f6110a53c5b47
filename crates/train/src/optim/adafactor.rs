//! Adafactor (Shazeer & Stern 2018) with a given learning rate: transformers' `Adafactor` with `scale_parameter=False`,
//! `relative_step=False`, `beta1=None` and its other defaults.
//!
//! For a matrix, only the row and column means of the average squared gradient are stored:
//!
//! ```text
//! b = 1 - step^-0.8
//! r = b * r + (1 - b) * mean over columns of (gradient^2 + 1e-30)
//! c = b * c + (1 - b) * mean over rows of (gradient^2 + 1e-30)
//! u = gradient / sqrt(r * c / mean(r))              for a vector with the full average v: u = gradient / sqrt(v)
//! u = u / max(1, rms(u))
//! w = w - learning_rate * (u + weight_decay * w)
//! ```

use tch::{Kind, Tensor};

use super::{OptimizerSpec, Update, update_each};
use crate::error::Result;

const EPSILON: f64 = 1e-30;
/// Exponent of the step in the decay rate of the averages.
const DECAY_RATE: f64 = -0.8;
/// The maximum root mean square of the update.
const CLIP_THRESHOLD: f64 = 1.0;

pub(super) const ADAFACTOR: OptimizerSpec = OptimizerSpec {
    name: "adafactor",
    aliases: &[],
    summary: "Adafactor: second moments kept as rows and columns (Shazeer & Stern 2018)",
    reads: &[],
    defaults: &[],
    state: |shape| match shape {
        [leading @ .., rows, columns] => {
            vec![("exp_avg_sq_row", [leading, &[*rows]].concat()), ("exp_avg_sq_col", [leading, &[*columns]].concat())]
        }
        _ => vec![("exp_avg_sq", shape.to_vec())],
    },
    is_elementwise: false,
    update_copies: 4,
    step: |updates, _, steps| update_each(updates, |update| step(update, steps)),
};

fn step(update: &mut Update, steps: u64) -> Result<()> {
    let gradient = update.dense_gradient()?;
    let beta2 = 1.0 - (steps as f64).powf(DECAY_RATE);
    let square = gradient.f_square()?.f_add_scalar_(EPSILON)?;
    let means = match update.state.tensors.as_slice() {
        [_, _] => vec![square.f_mean_dim(-1, false, Kind::Float)?, square.f_mean_dim(-2, false, Kind::Float)?],
        _ => vec![square],
    };
    let averages = update.state.tensors.iter().zip(means).map(|(old, mean)| average(old, mean, beta2));
    let averages = averages.collect::<Result<Vec<Tensor>>>()?;
    let mut direction = inverse_sqrt(&averages)?.f_mul(&gradient)?;
    let root_mean_square = direction.f_norm()?.f_div_scalar((direction.numel() as f64).sqrt())?;
    let _ = direction.f_div_(&root_mean_square.f_div_scalar(CLIP_THRESHOLD)?.f_clamp_min(1.0)?)?;
    // From here on nothing is allocated.
    for (old, new) in update.state.tensors.iter_mut().zip(&averages) {
        old.f_copy_(new)?;
    }
    update.apply(direction, update.state.weight_decay)
}

/// `beta * average + (1 - beta) * value`
fn average(average: &Tensor, mut value: Tensor, beta: f64) -> Result<Tensor> {
    let _ = value.f_mul_scalar_(1.0 - beta)?;
    Ok(average.f_mul_scalar(beta)?.f_add_(&value)?)
}

/// `1 / sqrt(v)` for the average squared gradient `v`, which for a matrix is computed from its row and column means.
fn inverse_sqrt(state: &[Tensor]) -> Result<Tensor> {
    match state {
        [rows, columns] => {
            let row_factor = rows.f_div(&rows.f_mean_dim(-1, true, Kind::Float)?)?;
            Ok(row_factor.f_rsqrt()?.f_unsqueeze(-1)?.f_mul(&columns.f_unsqueeze(-2)?.f_rsqrt()?)?)
        }
        _ => Ok(state[0].f_rsqrt()?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_twenty_steps_equal_the_reference;

    #[test]
    fn twenty_steps_equal_the_reference() {
        assert_twenty_steps_equal_the_reference("adafactor");
    }
}

//! A density over configurations, a mixture of one kernel around each of some trials.
//!
//! A kernel is a product over the parameters: a normal distribution cut off at the ends of a range (in logarithms where the
//! range is logarithmic; summed over a step's cell where it has steps), or a table over choices. One more kernel, the
//! prior, covers everything, so that no configuration is impossible. A parameter that a trial lacks has the prior's shape.

use super::normal;
use crate::distribution::Distribution;
use crate::sampler::generator::RandomGenerator;
use crate::space::{Hyperparameter, Space, UnitPoint, on_step};

pub(super) struct Density<'a> {
    space: &'a Space,
    axes: Vec<Support>,
    /// The kernels' weights, the prior's last; they sum to 1.
    weights: Vec<f64>,
    /// For each kernel and parameter the shape; `None`: the prior's.
    kernels: Vec<Vec<Option<ParzenKernel>>>,
    prior: Vec<ParzenKernel>,
}

/// The values of a parameter.
enum Support {
    /// Numbers with bounds: logarithms where `log`, and half a step wider where there are steps.
    Numbers { low: f64, high: f64, log: bool, step: Option<f64> },
    /// The number of choices.
    Choices(usize),
}

/// The kernel along one parameter.
enum ParzenKernel {
    /// A normal distribution of which a part, whose logarithm is `log_mass`, lies within the bounds. `log_height` is
    /// the logarithm of its density at the mean, up to a constant.
    Normal { mean: f64, deviation: f64, log_mass: f64, log_height: f64 },
    /// The probability of each choice, and its logarithm.
    Table(Vec<(f64, f64)>),
}

/// The standard deviation of a kernel as a fraction of the distance to its farther neighbor.
const BANDWIDTH_FACTOR: f64 = 0.8;

impl<'a> Density<'a> {
    /// The density around `points`, with their weights; the prior's is 1.
    pub(super) fn new(space: &'a Space, points: &[&UnitPoint], mut weights: Vec<f64>) -> Self {
        let axes: Vec<Support> = space.parameters().iter().map(Support::new).collect();
        let prior = axes.iter().map(Support::prior).collect();
        let mut kernels: Vec<Vec<Option<ParzenKernel>>> =
            (0..=points.len()).map(|_| Vec::with_capacity(axes.len())).collect();
        for (index, axis) in axes.iter().enumerate() {
            let seen: Vec<(usize, f64)> = points
                .iter()
                .enumerate()
                .filter_map(|(kernel, point)| Some((kernel, axis.position(point[index]?))))
                .collect();
            let mut shapes = axis.around(&seen, points.len() + 1).into_iter();
            let mut seen = seen.into_iter().map(|(kernel, _)| kernel).peekable();
            for (place, kernel) in kernels.iter_mut().enumerate() {
                kernel.push(if seen.next_if_eq(&place).is_some() { shapes.next() } else { None });
            }
        }
        weights.push(1.0);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Self { space, axes, weights, kernels, prior }
    }

    /// A configuration at random: from one kernel, chosen by weight.
    pub(super) fn draw(&self, generator: &mut RandomGenerator) -> UnitPoint {
        let kernel = &self.kernels[generator.pick(self.weights.iter().copied())];
        self.space.fill(|index| {
            let shape = kernel[index].as_ref().unwrap_or(&self.prior[index]);
            self.axes[index].draw(shape, &self.space.parameters()[index].distribution, generator)
        })
    }

    /// The logarithm of the density at a configuration, up to a constant that depends on which parameters it has.
    pub(super) fn log_at(&self, point: &UnitPoint) -> f64 {
        let there: Vec<(usize, f64)> =
            point.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).collect();
        let prior: Vec<f64> =
            there.iter().map(|(index, value)| self.axes[*index].log_density(&self.prior[*index], *value)).collect();
        let logs: Vec<f64> = self
            .kernels
            .iter()
            .zip(&self.weights)
            .map(|(kernel, weight)| {
                let along = |((index, value), prior): (&(usize, f64), &f64)| match &kernel[*index] {
                    Some(shape) => self.axes[*index].log_density(shape, *value),
                    None => *prior,
                };
                weight.ln() + there.iter().zip(&prior).map(along).sum::<f64>()
            })
            .collect();
        // The prior is above 0 everywhere, so the greatest is finite.
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        greatest + logs.iter().map(|log| (log - greatest).exp()).sum::<f64>().ln()
    }
}

impl Support {
    fn new(parameter: &Hyperparameter) -> Self {
        match &parameter.distribution {
            Distribution::Float { low, high, log: true, .. } => {
                Self::Numbers { low: low.ln(), high: high.ln(), log: true, step: None }
            }
            Distribution::Float { low, high, step, .. } => {
                let half = step.unwrap_or(0.0) / 2.0;
                Self::Numbers { low: low - half, high: high + half, log: false, step: *step }
            }
            Distribution::Int { low, high, log: true, .. } => Self::Numbers {
                low: (*low as f64 - 0.5).ln(),
                high: (*high as f64 + 0.5).ln(),
                log: true,
                step: Some(1.0),
            },
            Distribution::Int { low, high, step, .. } => {
                let step = *step as f64;
                Self::Numbers {
                    low: *low as f64 - step / 2.0,
                    high: *high as f64 + step / 2.0,
                    log: false,
                    step: Some(step),
                }
            }
            Distribution::Categorical { choices } => Self::Choices(choices.len()),
        }
    }

    /// Where an internal value lies between the bounds.
    fn position(&self, internal: f64) -> f64 {
        match self {
            Self::Numbers { log: true, .. } => internal.ln(),
            _ => internal,
        }
    }

    fn prior(&self) -> ParzenKernel {
        match self {
            Self::Numbers { low, high, .. } => self.normal((low + high) / 2.0, high - low),
            Self::Choices(count) => table(std::iter::repeat_n(1.0 / *count as f64, *count)),
        }
    }

    fn normal(&self, mean: f64, deviation: f64) -> ParzenKernel {
        let Self::Numbers { low, high, .. } = self else { return self.prior() };
        // A range of one value has no width, and any width does for it.
        let deviation = if deviation > 0.0 { deviation } else { 1.0 };
        let mass = normal::mass((low - mean) / deviation, (high - mean) / deviation);
        let log_mass = if mass > 0.0 { mass.ln() } else { 0.0 };
        ParzenKernel::Normal { mean, deviation, log_mass, log_height: -deviation.ln() - log_mass }
    }

    /// The shapes around positions, in their order, for a density of `kernels` kernels.
    fn around(&self, seen: &[(usize, f64)], kernels: usize) -> Vec<ParzenKernel> {
        match self {
            Self::Choices(count) => {
                let spread = 1.0 / kernels as f64;
                let whole = 1.0 + spread * *count as f64;
                let shape = |(_, choice): &(usize, f64)| {
                    table((0..*count).map(|index| (spread + f64::from(index == *choice as usize)) / whole))
                };
                seen.iter().map(shape).collect()
            }
            Self::Numbers { low, high, .. } => {
                let range = high - low;
                let narrowest = range / (1.0 + kernels as f64).min(100.0);
                let deviations = neighbors(seen, *low, *high);
                let shape = |((_, mean), deviation): (&(usize, f64), f64)| {
                    self.normal(*mean, BANDWIDTH_FACTOR * deviation.clamp(narrowest, range))
                };
                seen.iter().zip(deviations).map(shape).collect()
            }
        }
    }

    fn draw(&self, shape: &ParzenKernel, distribution: &Distribution, generator: &mut RandomGenerator) -> f64 {
        match (self, shape) {
            (Self::Numbers { low, high, log, .. }, ParzenKernel::Normal { mean, deviation, .. }) => {
                let (from, to) = (normal::cdf((low - mean) / deviation), normal::cdf((high - mean) / deviation));
                let probability = (from + generator.unit() * (to - from)).clamp(1e-300, 1.0 - f64::EPSILON / 2.0);
                let position = (mean + deviation * normal::quantile(probability)).clamp(*low, *high);
                onto(distribution, if *log { position.exp() } else { position })
            }
            (_, ParzenKernel::Table(probabilities)) => {
                generator.pick(probabilities.iter().map(|(probability, _)| *probability)) as f64
            }
            _ => 0.0,
        }
    }

    fn log_density(&self, shape: &ParzenKernel, internal: f64) -> f64 {
        match (self, shape) {
            (Self::Numbers { log, step, .. }, ParzenKernel::Normal { mean, deviation, log_mass, log_height }) => {
                let place = |number: f64| (if *log { number.ln() } else { number } - mean) / deviation;
                match step {
                    None => log_height - 0.5 * place(internal).powi(2),
                    Some(step) => {
                        let cell = normal::mass(place(internal - step / 2.0), place(internal + step / 2.0));
                        cell.ln() - log_mass
                    }
                }
            }
            (_, ParzenKernel::Table(probabilities)) => probabilities[internal as usize].1,
            _ => 0.0,
        }
    }
}

fn table(probabilities: impl Iterator<Item = f64>) -> ParzenKernel {
    ParzenKernel::Table(probabilities.map(|probability| (probability, probability.ln())).collect())
}

/// The value of a range that is nearest to a number.
fn onto(distribution: &Distribution, number: f64) -> f64 {
    match distribution {
        Distribution::Float { low, high, step: Some(step), .. } => {
            on_step(*low, *high, *step, ((number - low) / step).round())
        }
        Distribution::Float { low, high, .. } => number.clamp(*low, *high),
        Distribution::Int { low, high, step, .. } => {
            let (low, high, step) = (*low as f64, *high as f64, *step as f64);
            (low + ((number - low) / step).round() * step).clamp(low, high)
        }
        Distribution::Categorical { .. } => number,
    }
}

/// For each position the distance to its farther neighbor, in the positions' order. The outermost look inwards only,
/// unless they are alone.
fn neighbors(seen: &[(usize, f64)], low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|one, other| seen[*one].1.total_cmp(&seen[*other].1));
    let mut distances = vec![0.0; seen.len()];
    for (rank, place) in order.iter().enumerate() {
        let at = seen[*place].1;
        let before = rank.checked_sub(1).map(|rank| at - seen[order[rank]].1);
        let after = order.get(rank + 1).map(|next| seen[*next].1 - at);
        distances[*place] = match (before, after) {
            (None, None) => (at - low).max(high - at),
            (before, after) => before.unwrap_or(0.0).max(after.unwrap_or(0.0)),
        };
    }
    distances
}

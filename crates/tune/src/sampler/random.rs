//! Random search (Bergstra & Bengio, "Random search for hyper-parameter optimization", 2012).

use super::generator::{Purpose, RandomGenerator};
use super::{Sampler, unused_point};
use crate::error::Result;
use crate::space::{Space, UnitPoint, from_unit};
use crate::trial::{Params, StudyDirection, Trial};

/// Draws each parameter independently: choices and steps with equal probability, ranges uniformly, logarithmic ranges
/// log-uniformly.
#[derive(Debug, Clone, Copy)]
pub struct RandomSampler {
    pub seed: u64,
}

impl Sampler for RandomSampler {
    fn sample(&self, space: &Space, trials: &[Trial], number: u64, _: StudyDirection) -> Result<Option<Params>> {
        let mut generator = RandomGenerator::new(self.seed, number, Purpose::Random);
        let point = unused_point(space, &space.points(trials), &mut generator, |_, generator| draw(space, generator));
        Ok(point.map(|point| space.params(&point)))
    }
}

pub(super) fn draw(space: &Space, generator: &mut RandomGenerator) -> UnitPoint {
    space.fill(|index| from_unit(&space.parameters()[index].distribution, generator.unit()))
}

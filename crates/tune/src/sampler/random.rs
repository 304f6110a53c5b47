//! Each parameter drawn on its own (Bergstra & Bengio, "Random search for hyper-parameter optimization", 2012).

use super::generator::{Generator, Purpose};
use super::{Sampler, fresh};
use crate::error::Result;
use crate::space::{Point, Space, from_unit};
use crate::trial::{Direction, Params, Trial};

/// Each parameter drawn on its own: choices and steps with equal chances, ranges evenly, logarithmic ranges evenly by
/// factors.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    pub seed: u64,
}

impl Sampler for Random {
    fn sample(&self, space: &Space, trials: &[Trial], number: u64, _: Direction) -> Result<Option<Params>> {
        let mut generator = Generator::new(self.seed, number, Purpose::Random);
        let point = fresh(space, &space.points(trials), &mut generator, |_, generator| draw(space, generator));
        Ok(point.map(|point| space.params(&point)))
    }
}

pub(super) fn draw(space: &Space, generator: &mut Generator) -> Point {
    space.fill(|index| from_unit(&space.parameters()[index].distribution, generator.unit()))
}

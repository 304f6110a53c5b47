//! Which configuration to try next.
//!
//! Every sampler is a pure function of its seed, the trial's number and the trials so far: nothing is kept between
//! calls, so a study that is stopped goes on as if it never had been, and several processes may sample for one study.
//!
//! ```
//! use tune::sampler::{Sampler, Tpe};
//! use tune::space::{Parameter, Space};
//! use tune::{StudyDirection, Distribution};
//!
//! let rate = Distribution::Float { low: 1e-5, high: 3e-4, log: true, step: None };
//! let space = Space::new(vec![Hyperparameter::new("learning_rate", rate)], toml::Table::new())?;
//! let first = Tpe::new(42).sample(&space, &[], 0, StudyDirection::Maximize)?.unwrap();
//! assert!(space.contains(&first));
//! assert_eq!(Tpe::new(42).sample(&space, &[], 0, StudyDirection::Maximize)?, Some(first));
//! # Ok::<(), tune::TuneError>(())
//! ```
//!
//! No sampler proposes what a trial already has, whatever became of that trial: the same configuration with the same
//! seed gives the same result. Only where chance keeps hitting what is there, in a space too large to list, may it.

pub(crate) mod generator;
mod grid;
mod random;
mod sobol;
mod tpe;

use std::fmt;
use std::str::FromStr;

pub use grid::Grid;
pub use random::RandomSampler;
pub use sobol::Sobol;
pub use tpe::Tpe;

use crate::error::Result;
use crate::space::{Space, UnitPoint, same};
use crate::trial::{Params, StudyDirection, Trial};
use generator::RandomGenerator;

pub trait Sampler {
    /// The parameters of trial `number`, given all trials so far. A pure function of seed, number and trials.
    /// `None`: there is nothing more to propose.
    ///
    /// # Errors
    /// A space that this sampler can't search.
    fn sample(&self, space: &Space, trials: &[Trial], number: u64, direction: StudyDirection)
    -> Result<Option<Params>>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SamplerKind {
    Grid,
    /// Each on its own, at random.
    Random,
    /// Spread evenly over the space.
    Sobol,
    /// Near what was good, away from what was bad.
    #[default]
    Tpe,
}

impl SamplerKind {
    pub const ALL: [Self; 4] = [Self::Grid, Self::Random, Self::Sobol, Self::Tpe];

    /// The sampler, with its usual settings. A grid goes in an order that the seed shuffles, so that the part of it
    /// that is done at any time is a sample of the whole.
    pub fn sampler(self, seed: u64) -> Box<dyn Sampler + Send + Sync> {
        match self {
            Self::Grid => Box::new(Grid { shuffle: Some(seed) }),
            Self::Random => Box::new(RandomSampler { seed }),
            Self::Sobol => Box::new(Sobol { seed }),
            Self::Tpe => Box::new(Tpe::new(seed)),
        }
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Grid => "grid",
            Self::Random => "random",
            Self::Sobol => "sobol",
            Self::Tpe => "tpe",
        })
    }
}

impl FromStr for SamplerKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == word.trim().to_lowercase());
        found.ok_or_else(|| format!("\"{word}\" is not one of grid, random, sobol, tpe"))
    }
}

/// How often a configuration that is already there is drawn anew before the free ones are listed.
const REDRAWS: usize = 32;

/// Spaces of up to this many configurations are listed.
const MOST_LISTED: usize = 100_000;

/// What `draw` gives for its attempts 0, 1, .., the first that isn't among the `known` ones. `None` where the space has
/// no other left.
fn fresh(
    space: &Space,
    known: &[UnitPoint],
    generator: &mut RandomGenerator,
    mut draw: impl FnMut(usize, &mut RandomGenerator) -> UnitPoint,
) -> Option<UnitPoint> {
    let is_new = |point: &UnitPoint| !known.iter().any(|other| same(other, point));
    for attempt in 0..REDRAWS {
        let point = draw(attempt, generator);
        if is_new(&point) {
            return Some(point);
        }
    }
    if space.bound().is_none_or(|bound| bound > MOST_LISTED as u64) {
        return Some(draw(REDRAWS, generator));
    }
    let mut free = grid::every(space);
    free.retain(is_new);
    if free.is_empty() { None } else { Some(free.swap_remove(generator.below(free.len()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_shown() {
        for kind in SamplerKind::ALL {
            assert_eq!(kind.to_string().to_uppercase().parse(), Ok(kind));
        }
        assert_eq!("bayes".parse::<SamplerKind>(), Err("\"bayes\" is not one of grid, random, sobol, tpe".to_owned()));
    }
}

//! Samplers: they choose the configuration of the next trial.
//!
//! Every sampler is a pure function of its seed, the trial's number and the trials so far. Nothing is kept between calls,
//! so a study that was stopped continues as if it had not been, and several processes may sample for one study.
//!
//! A new sampler is a file here, a variant of [`SamplerKind`] and a line in the table `SAMPLERS`.
//!
//! ```
//! use tune::sampler::{Sampler, Tpe};
//! use tune::space::{Hyperparameter, Space};
//! use tune::{Distribution, StudyDirection};
//!
//! let rate = Distribution::Float { low: 1e-5, high: 3e-4, log: true, step: None };
//! let space = Space::new(vec![Hyperparameter::new("learning_rate", rate)], toml::Table::new())?;
//! let first = Tpe::new(42).sample(&space, &[], 0, StudyDirection::Maximize)?.unwrap();
//! assert!(space.contains(&first));
//! assert_eq!(Tpe::new(42).sample(&space, &[], 0, StudyDirection::Maximize)?, Some(first));
//! # Ok::<(), tune::TuneError>(())
//! ```
//!
//! No sampler proposes the configuration of an earlier trial in any state, because it would give the same result. Only in
//! a space too large to list may this happen, by chance.

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
use crate::space::{Space, UnitPoint, is_same_point};
use crate::trial::{Params, StudyDirection, Trial};
use generator::RandomGenerator;

pub trait Sampler {
    /// The parameters of trial `number`, given all trials so far. A pure function of seed, number and trials.
    /// `None`: every configuration was tried.
    ///
    /// # Errors
    /// A space that this sampler does not support.
    fn sample(&self, space: &Space, trials: &[Trial], number: u64, direction: StudyDirection)
    -> Result<Option<Params>>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SamplerKind {
    Grid,
    Random,
    Sobol,
    #[default]
    Tpe,
}

type BuildSampler = fn(seed: u64) -> Box<dyn Sampler + Send + Sync>;

/// Every sampler: its name, and how it is built with its usual settings. Help and errors take the names from here.
const SAMPLERS: [(SamplerKind, &str, BuildSampler); 4] = [
    // The seed shuffles the grid, so that the part of it that is done at any time is a sample of the whole.
    (SamplerKind::Grid, "grid", |seed| Box::new(Grid { shuffle: Some(seed) })),
    (SamplerKind::Random, "random", |seed| Box::new(RandomSampler { seed })),
    (SamplerKind::Sobol, "sobol", |seed| Box::new(Sobol { seed })),
    (SamplerKind::Tpe, "tpe", |seed| Box::new(Tpe::new(seed))),
];

impl SamplerKind {
    pub fn all() -> [Self; 4] {
        SAMPLERS.map(|(kind, ..)| kind)
    }

    /// The names of all samplers, such as `grid, random`.
    pub fn names() -> String {
        SAMPLERS.map(|(_, name, _)| name).join(", ")
    }

    /// The sampler with its usual settings.
    pub fn sampler(self, seed: u64) -> Box<dyn Sampler + Send + Sync> {
        (SAMPLERS[self as usize].2)(seed)
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SAMPLERS[*self as usize].1)
    }
}

impl FromStr for SamplerKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = SAMPLERS.iter().find(|(_, name, _)| *name == word.trim().to_lowercase());
        found.map(|(kind, ..)| *kind).ok_or_else(|| format!("\"{word}\" is not one of {}", Self::names()))
    }
}

/// How often a configuration that was tried is drawn again before the unused ones are listed.
const REDRAWS: usize = 32;

/// Spaces of up to this many configurations are listed.
const MAX_LISTED: usize = 100_000;

/// The first point that `draw` returns for its attempts 0, 1, .. and that isn't among `known`. `None` if the space has no
/// other left.
fn unused_point(
    space: &Space,
    known: &[UnitPoint],
    generator: &mut RandomGenerator,
    mut draw: impl FnMut(usize, &mut RandomGenerator) -> UnitPoint,
) -> Option<UnitPoint> {
    let is_new = |point: &UnitPoint| !known.iter().any(|other| is_same_point(other, point));
    for attempt in 0..REDRAWS {
        let point = draw(attempt, generator);
        if is_new(&point) {
            return Some(point);
        }
    }
    if space.max_size().is_none_or(|bound| bound > MAX_LISTED as u64) {
        return Some(draw(REDRAWS, generator));
    }
    let mut unused = grid::all_points(space);
    unused.retain(is_new);
    if unused.is_empty() { None } else { Some(unused.swap_remove(generator.below(unused.len()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_shown() {
        for (index, (kind, name, _)) in SAMPLERS.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.to_string().as_str()), (index, name), "the table is in the enum's order");
            assert_eq!(name.to_uppercase().parse(), Ok(kind));
        }
        assert_eq!("bayes".parse::<SamplerKind>(), Err("\"bayes\" is not one of grid, random, sobol, tpe".to_owned()));
    }
}

//! When to give a trial up: a comparison of its intermediate values with those of the other trials at the same step.
//!
//! A step is whatever the study counts in: epochs, evaluations, or shares of a run. A pruner is a pure function of the
//! values, so asking again gives the same answer, and nothing of it is kept in the study.

mod asha;
mod median;

use std::fmt;
use std::str::FromStr;

pub use asha::Asha;
pub use median::Median;

use crate::trial::{StudyDirection, Trial};

pub trait Pruner {
    /// Whether `trial`, whose last intermediate value is at its greatest step, should stop. `trials` are all of the
    /// study's; `trial` itself may be among them.
    fn should_prune(&self, trials: &[Trial], trial: &Trial, direction: StudyDirection) -> bool;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Pruner for Never {
    fn should_prune(&self, _: &[Trial], _: &Trial, _: StudyDirection) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrunerKind {
    None,
    /// Those below the middle of the finished trials.
    Median,
    /// Those that aren't among the better half at steps 1, 4, 16, and so on.
    #[default]
    Asha,
}

impl PrunerKind {
    pub const ALL: [Self; 3] = [Self::None, Self::Median, Self::Asha];

    /// The pruner, with its usual settings.
    pub fn pruner(self) -> Box<dyn Pruner + Send + Sync> {
        match self {
            Self::None => Box::new(Never),
            Self::Median => Box::new(Median::default()),
            Self::Asha => Box::new(Asha::default()),
        }
    }
}

impl fmt::Display for PrunerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Median => "median",
            Self::Asha => "asha",
        })
    }
}

impl FromStr for PrunerKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == word.trim().to_lowercase());
        found.ok_or_else(|| format!("\"{word}\" is not one of none, median, asha"))
    }
}

//! Pruners: they stop a trial early, by comparing its intermediate values with those of other trials at the same step.
//!
//! The unit of a step is up to the study: epochs, evaluations, or fractions of a run. A pruner is a pure function of the
//! values, so asking again gives the same answer, and nothing is stored in the study.
//!
//! A new pruner is a file here, a variant of [`PrunerKind`] and a line in the table `PRUNERS`.

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

/// Prunes no trial.
#[derive(Debug, Clone, Copy, Default)]
pub struct NopPruner;

impl Pruner for NopPruner {
    fn should_prune(&self, _: &[Trial], _: &Trial, _: StudyDirection) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrunerKind {
    None,
    Median,
    #[default]
    Asha,
}

type BuildPruner = fn() -> Box<dyn Pruner + Send + Sync>;

/// Every pruner: its name, and how it is built with its usual settings. Help and errors take the names from here.
const PRUNERS: [(PrunerKind, &str, BuildPruner); 3] = [
    (PrunerKind::None, "none", || Box::new(NopPruner)),
    (PrunerKind::Median, "median", || Box::new(Median::default())),
    (PrunerKind::Asha, "asha", || Box::new(Asha::default())),
];

impl PrunerKind {
    pub fn all() -> [Self; 3] {
        PRUNERS.map(|(kind, ..)| kind)
    }

    /// The names of all pruners, such as `none, median`.
    pub fn names() -> String {
        PRUNERS.map(|(_, name, _)| name).join(", ")
    }

    /// The pruner with its usual settings.
    pub fn pruner(self) -> Box<dyn Pruner + Send + Sync> {
        (PRUNERS[self as usize].2)()
    }
}

impl fmt::Display for PrunerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PRUNERS[*self as usize].1)
    }
}

impl FromStr for PrunerKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = PRUNERS.iter().find(|(_, name, _)| *name == word.trim().to_lowercase());
        found.map(|(kind, ..)| *kind).ok_or_else(|| format!("\"{word}\" is not one of {}", Self::names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_shown() {
        for (index, (kind, name, _)) in PRUNERS.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.to_string().as_str()), (index, name), "the table is in the enum's order");
            assert_eq!(name.to_uppercase().parse(), Ok(kind));
        }
        assert_eq!("late".parse::<PrunerKind>(), Err("\"late\" is not one of none, median, asha".to_owned()));
    }
}

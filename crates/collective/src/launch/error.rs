//! What can be wrong with the variables that describe a launch.

use thiserror::Error;

/// An environment variable of a distributed launch that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LaunchError {
    /// A variable has a value that means nothing here.
    #[error("{variable} is {found:?}: expected {expected} (hint: {hint})")]
    Value {
        /// The variable's name.
        variable: &'static str,
        /// The variable's value.
        found: String,
        /// The values that would have been right.
        expected: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// A variable is missing that must come with another one.
    #[error("{given} is {found:?} but {variable} is not set: expected {expected} (hint: {hint})")]
    Missing {
        /// The missing variable's name.
        variable: &'static str,
        /// The name of the variable that is set.
        given: &'static str,
        /// The value of the variable that is set.
        found: String,
        /// What the missing variable should say.
        expected: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// A rank is too large for the number of ranks.
    #[error(
        "{variable} is {found} and {total} is {count}: {what} count from 0 to {last} (hint: {hint})",
        last = .count - 1
    )]
    Rank {
        /// The name of the variable with the rank.
        variable: &'static str,
        /// The rank.
        found: usize,
        /// The name of the variable with the number of ranks.
        total: &'static str,
        /// The number of ranks, at least 1.
        count: usize,
        /// The sort of ranks, in the plural.
        what: &'static str,
        /// What the user can do.
        hint: &'static str,
    },
}

//! Numbers that say how far a test goes, from the environment: `cargo xtask torture` sets them.

use std::str::FromStr;

/// The number in an environment variable, if it is set.
///
/// # Panics
/// Where it is no number of this type.
pub fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")))
}

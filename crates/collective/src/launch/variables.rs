//! Reading single environment variables.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::LaunchError;

/// The port that torch uses for its store if nobody says otherwise.
pub(super) const DEFAULT_PORT: u16 = 29_500;

/// The largest number of nodes, of processes per node, and of processes that a launch may name.
///
/// It is far beyond any real training, and small enough that nodes times processes per node cannot overflow.
pub(super) const MAX_COUNT: usize = 65_535;

/// The environment variables of this process, or of a test.
pub(super) struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// Returns a variable's value without surrounding white space; an empty variable counts as unset.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Reads a number from a range, if the variable is set.
    pub(super) fn number<T>(
        &self,
        name: &'static str,
        range: RangeInclusive<T>,
        hint: &'static str,
    ) -> Result<Option<T>, LaunchError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(found) = self.text(name) else { return Ok(None) };
        if let Some(number) = parse(&found).filter(|number| range.contains(number)) {
            return Ok(Some(number));
        }
        let expected = format!("a number from {} to {}", range.start(), range.end());
        Err(LaunchError::Value { variable: name, found, expected, hint })
    }

    /// Reads a rank, if the variable is set, and compares it with the number of ranks that `total` says.
    pub(super) fn rank(
        &self,
        name: &'static str,
        what: &'static str,
        (total, count): (&'static str, usize),
        hint: &'static str,
    ) -> Result<Option<usize>, LaunchError> {
        let Some(found) = self.text(name) else { return Ok(None) };
        match parse(&found) {
            Some(rank) if rank < count => Ok(Some(rank)),
            Some(rank) => Err(LaunchError::Rank { variable: name, found: rank, total, count, what, hint }),
            None => Err(LaunchError::Value { variable: name, found, expected: ranks_below(count), hint }),
        }
    }

    /// Describes that a variable is not set although `given` is.
    pub(super) fn missing(
        &self,
        variable: &'static str,
        given: &'static str,
        expected: impl Into<String>,
        hint: &'static str,
    ) -> LaunchError {
        let found = self.text(given).unwrap_or_default();
        LaunchError::Missing { variable, given, found, expected: expected.into(), hint }
    }

    /// Reads a TCP port, if the variable is set.
    pub(super) fn port(&self, name: &'static str) -> Result<Option<u16>, LaunchError> {
        self.number(name, 1..=u16::MAX, "use the same free TCP port of rank 0's machine for all processes")
    }

    /// Returns how often the launcher has started the processes again.
    pub(super) fn attempt(&self) -> Result<u64, LaunchError> {
        const HINT: &str = "the launcher sets this variable, so do not change it";
        for name in ["TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"] {
            if let Some(count) = self.number(name, 0..=u64::from(u32::MAX), HINT)? {
                return Ok(count);
            }
        }
        Ok(0)
    }

    /// Returns the file in which torchrun expects the error of a process that fails.
    pub(super) fn error_file(&self) -> Option<PathBuf> {
        self.text("TORCHELASTIC_ERROR_FILE").map(PathBuf::from)
    }
}

/// Says which ranks exist among `count` of them.
pub(super) fn ranks_below(count: usize) -> String {
    format!("a number from 0 to {}", count - 1)
}

/// Parses a number that consists of digits only, since Rust alone would also take a plus sign.
pub(super) fn parse<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_consist_of_digits() {
        assert_eq!(parse("007"), Some(7_u16));
        for text in ["", "+1", "-1", "1.0", "0x1", "1 2", "٣", "70000"] {
            assert_eq!(parse::<u16>(text), None, "{text:?}");
        }
    }

    #[test]
    fn surrounding_white_space_does_not_matter() {
        let lookup = |_: &str| Some(" 12\r\n".to_owned());
        let variables = Variables::new(&lookup);
        assert_eq!(variables.text("X").as_deref(), Some("12"));
        assert_eq!(variables.number("X", 0..=12_u64, "none"), Ok(Some(12)));
    }

    #[test]
    fn ports_lie_between_1_and_65535() {
        for (text, port) in [("1", 1), ("65535", 65_535)] {
            assert_eq!(Variables::new(&|_| Some(text.to_owned())).port("MASTER_PORT"), Ok(Some(port)));
        }
        for text in ["0", "65536", "-1", "http", "tcp://10.0.0.1:29500"] {
            let error = Variables::new(&|_| Some(text.to_owned())).port("MASTER_PORT").unwrap_err().to_string();
            let start = format!("MASTER_PORT is \"{text}\": expected a number from 1 to 65535 (hint: ");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn the_largest_counts_multiply_without_overflow() {
        assert!(u32::try_from(MAX_COUNT).is_ok_and(|count| count.checked_mul(count).is_some()));
    }
}

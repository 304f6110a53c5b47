//! What can be wrong with a space, or between a space and a sampler.

use std::io;
use std::path::{Path, PathBuf};

/// What can be wrong with a space.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// A file that can't be read.
    #[error("can't read the search space {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A file that isn't TOML, or a key whose value can't be used.
    #[error("{}, line {line}{}: {message}", path.display(), key.as_ref().map_or(String::new(), |key| format!(", key \"{key}\"")))]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key; `None` where the line itself can't be read.
        key: Option<String>,
        /// What was found, and what to do.
        message: String,
    },

    /// A key that nothing has.
    #[error("{}, line {line}: {} is called \"{key}\" (hint: {hint})", path.display(),
        within.as_ref().map_or("no option".to_owned(), |within| format!("nothing in the range of \"{within}\"")))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found.
        key: String,
        /// The option in whose table it stands; `None`: at the top.
        within: Option<String>,
        /// The known key that is closest, where it is close enough to have been meant; otherwise all of them.
        hint: String,
    },

    /// A parameter that can't be.
    #[error("parameter \"{name}\": {message}")]
    Parameter {
        /// Its name.
        name: String,
        /// What was found, and what to do.
        message: String,
    },

    /// Conditions that wait for each other.
    #[error("the conditions of {} wait for each other (hint: let one of them always be there)", quoted(names))]
    Cycle {
        /// The parameters.
        names: Vec<String>,
    },

    /// A continuous range under a grid.
    #[error(
        "a grid can't take \"{name}\": its range is continuous (hint: give it `points = 5`, or a `step`, or use another sampler)"
    )]
    GridRange {
        /// The parameter.
        name: String,
    },

    /// A grid that nobody could finish.
    #[error("the grid has more than {most} configurations (hint: fewer choices or points, or another sampler)")]
    GridSize {
        /// How many there may be.
        most: usize,
    },

    /// More parameters than the Sobol sequence has dimensions for.
    #[error("the sobol sampler takes up to {most} parameters, and the space has {found} (hint: fix some, or use tpe)")]
    SobolDimensions {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
}

impl SpaceError {
    pub(super) fn unknown(path: &Path, line: usize, key: &str, within: Option<&str>, known: &[&str]) -> Self {
        let likeness = |name: &str| strsim::jaro_winkler(&key.to_lowercase().replace('-', "_"), name);
        let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        Self::UnknownKey {
            path: path.to_owned(),
            line,
            key: key.to_owned(),
            within: within.map(str::to_owned),
            hint: match nearest.filter(|nearest| likeness(nearest) > 0.8) {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => format!("these are known: {}", known.join(", ")),
            },
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

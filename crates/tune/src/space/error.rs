//! Errors in a search space, or between a space and a sampler.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("failed to read the search space {}", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("{}, line {line}{}: {message}", path.display(), key.as_ref().map_or(String::new(), |key| format!(", key \"{key}\"")))]
    File { path: PathBuf, line: usize, key: Option<String>, message: String },

    #[error("{}, line {line}: unknown {} \"{key}\" (hint: {hint})", path.display(),
        within.as_ref().map_or("option".to_owned(), |within| format!("key of \"{within}\":")))]
    UnknownKey { path: PathBuf, line: usize, key: String, within: Option<String>, hint: String },

    #[error("parameter \"{name}\": {message}")]
    Parameter { name: String, message: String },

    #[error("the conditions of {} depend on each other (hint: make one of them unconditional)", quoted(names))]
    Cycle { names: Vec<String> },

    #[error(
        "the grid sampler can't use \"{name}\": its range is continuous (hint: add `points = 5` or a `step`, or use another sampler)"
    )]
    GridRange { name: String },

    #[error("the grid has more than {max} configurations (hint: fewer choices or points, or another sampler)")]
    GridSize { max: usize },

    #[error("the sobol sampler supports up to {max} parameters, found {found} (hint: fix some, or use tpe)")]
    SobolDimensions { found: usize, max: usize },
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
                None => format!("expected one of {}", known.join(", ")),
            },
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

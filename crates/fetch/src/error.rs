//! Errors of this crate, with hints.

use std::path::{Path, PathBuf};

use disk::DiskError;

pub type Result<T> = std::result::Result<T, FetchError>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    #[error("{}: {}", .0, .0.source)]
    Disk(#[from] DiskError),

    #[error("no home directory, so no place for the cache (hint: set VERDICT_CACHE to a folder)")]
    NoHome,

    /// The cache of downloads, or a folder above it, is read-only or belongs to someone else.
    #[error(
        "{}: {}; downloads are kept in {} (hint: set {variable} to a folder that you can write to, for example {variable}=\
         /tmp/verdict{})", error, error.source, cache.display(), also(variable)
    )]
    UnwritableCache { error: DiskError, cache: PathBuf, variable: &'static str },

    #[error("\"{name}\" is not {expected}: {problem}")]
    BadName { name: String, expected: &'static str, problem: String },

    /// No answer: no network, no such host, connection refused, or a timeout.
    #[error(
        "{host} cannot be reached: {reason} (hint: check the network and HTTPS_PROXY; HF_ENDPOINT names a mirror of \
         the Hugging Face Hub; --model packaged and --dataset reviews need no Hub)"
    )]
    Unreachable { host: String, reason: String },

    /// `HF_HUB_OFFLINE` forbids requests to the Hub, and the file is not in the cache.
    #[error(
        "{file} of {repo} at revision {revision} is not in the cache {} and HF_HUB_OFFLINE is set (hint: unset it, or \
         run once with a network)", cache.display()
    )]
    Offline { repo: String, revision: String, file: String, cache: PathBuf },

    /// `token` says where the token that was sent was found.
    #[error("{host} refuses access to {repo} (status {status}): {}", denied(*status, token.as_deref(), host, repo))]
    Denied { status: u16, host: String, repo: String, token: Option<String> },

    /// `token` says where the token that was sent was found.
    #[error("{host} has no {repo} (hint: check the spelling; {})", private_hint(token.as_deref(), host))]
    NoSuchRepo { host: String, repo: String, token: Option<String> },

    #[error("{repo} on {host} has no revision {revision} (hint: check the spelling)")]
    NoSuchRevision { host: String, repo: String, revision: String },

    #[error("{repo} has no file {file} at revision {revision} on {host}")]
    NoSuchFile { host: String, repo: String, revision: String, file: String },

    #[error("{url} answered with status {status}{} (hint: try again later)", after_colon(message))]
    Status { url: String, status: u16, message: String },

    /// A web page instead of the file, such as the login page of a proxy.
    #[error(
        "{url} returned a web page instead of a file, probably from a proxy or a login page (hint: open the address \
         in a browser, or set HTTPS_PROXY)"
    )]
    WebPage { url: String },

    /// Whoever is on the way could answer in the place of the server that the redirect names.
    #[error(
        "{url} redirects to {location}, which is not https, so it was not followed (hint: check for a proxy that rewrites \
         downloads)"
    )]
    InsecureRedirect { url: String, location: String },

    /// An answer without the fields that the Hub always sends.
    #[error("{url} did not answer like the Hugging Face Hub: {problem} (hint: check HF_ENDPOINT)")]
    BadAnswer { url: String, problem: String },

    /// The body ended early, in several attempts.
    #[error(
        "{url} was cut off after {received} of {} bytes: {reason} (hint: run the same command again, it continues \
         where this one stopped)", expected.map_or("an unknown number of".to_owned(), |n| n.to_string())
    )]
    CutOff { url: String, received: u64, expected: Option<u64>, reason: String },

    /// A file's content is not what its publisher or this project says it is.
    #[error(
        "{what}: expected {algorithm} {expected}, found {found}; the file was discarded (hint: try again, and \
         check for a proxy that rewrites downloads)"
    )]
    WrongDigest { what: String, algorithm: &'static str, expected: String, found: String },

    /// An archive that cannot be read, or should not be.
    #[error("{} was refused: {problem}; nothing was unpacked", archive.display())]
    Archive { archive: PathBuf, problem: String },

    #[error(
        "`{python} -m pip` does not work: {reason} (hint: install python3 and pip, for example `apt install \
         python3-pip`, or name another interpreter by VERDICT_PYTHON)"
    )]
    NoPip { python: String, reason: String },

    #[error(
        "pip could not download {requirement}: {reason} (hint: check the network and pip's index settings with \
         `{python} -m pip download --no-deps {requirement}`)"
    )]
    Pip { python: String, requirement: String, reason: String },

    #[error(
        "{place} has its weights only as pickle ({}), and pickle can run any program when it is opened, so it is not \
         read (hint: take a revision with model.safetensors, NAME@REVISION, or convert once on a machine that trusts \
         the file:\n  python3 -c 'from transformers import AutoModel as M, AutoTokenizer as T; \
         s, d = \"{place}\", \"converted\"; M.from_pretrained(s).save_pretrained(d); \
         T.from_pretrained(s).save_pretrained(d)'\nand give --model converted)", files.join(", ")
    )]
    Pickle { place: String, files: Vec<String> },

    #[error(
        "{place} has its weights in several files (model.safetensors.index.json); one model.safetensors is read (hint: \
         python3 -c 'from transformers import AutoModel as M; \
         M.from_pretrained(\"{place}\").save_pretrained(\"merged\", max_shard_size=\"100GB\")')"
    )]
    Sharded { place: String },

    #[error(
        "{place} is not a model folder: {missing} missing; it holds {} (hint: save_pretrained of model and tokenizer writes \
         one; --model bert-base-uncased takes one from the Hub)",
        listing(found)
    )]
    NotAModel { place: String, missing: String, found: Vec<String> },

    #[error("{hub}\nand the packaged model is not available either: {packaged}")]
    NoModelAvailable { hub: Box<FetchError>, packaged: Box<FetchError> },
}

impl FetchError {
    /// The same error, or where a cache can't be written the one that names the variable for another place.
    pub(crate) fn of_cache(self, cache: &Path, variable: &'static str) -> Self {
        use std::io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem};
        match self {
            Self::Disk(error)
                if matches!(error.source.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory)
                    && (error.path.starts_with(cache) || cache.starts_with(&error.path)) =>
            {
                Self::UnwritableCache { error, cache: cache.to_owned(), variable }
            }
            other => other,
        }
    }

    /// Whether the source itself is not reachable (no network, offline mode, a proxy's page, a server error),
    /// so that another source may be tried. A wrong name, a refusal or a wrong digest is not: those must be seen.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Offline { .. }
            | Self::WebPage { .. }
            | Self::CutOff { .. }
            | Self::NoPip { .. }
            | Self::Pip { .. }
            | Self::NoModelAvailable { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// Why access is refused, as far as the answer tells. The Hub gives an unknown repository the same answer as a private
/// one, and refuses a token that is not valid even where none is needed.
fn denied(status: u16, token: Option<&str>, host: &str, repo: &str) -> String {
    match (token, status) {
        (None, _) => format!(
            "it does not exist, is private or is gated, and no token was sent (hint: check the spelling; a public \
             repository needs no token; for another one accept the conditions at {host}/{repo} and set HF_TOKEN to a \
             token from {host}/settings/tokens)"
        ),
        (Some(origin), 401) => format!(
            "the token in {origin} is not valid; it may be expired, revoked or mistyped (hint: replace it by one from \
             {host}/settings/tokens, or remove it: a public repository needs no token)"
        ),
        (Some(origin), _) => format!(
            "the token in {origin} has no access (hint: accept the conditions at {host}/{repo}, or use a token with \
             read access; a public repository needs no token)"
        ),
    }
}

fn private_hint(token: Option<&str>, host: &str) -> String {
    match token {
        Some(origin) => format!("if it is private, the token in {origin} has no access to it"),
        None => format!("a private repository needs HF_TOKEN, set to a token from {host}/settings/tokens"),
    }
}

/// The variable of the other cache, which is likely to be in the same home.
fn also(variable: &str) -> &'static str {
    match variable {
        "VERDICT_CACHE" => "; HF_HOME is that for the Hugging Face Hub",
        _ => "; VERDICT_CACHE is that for downloads from elsewhere",
    }
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn listing(files: &[String]) -> String {
    const SHOWN: usize = 12;
    match files.len() {
        0 => "nothing".to_owned(),
        n if n > SHOWN => format!("{} and {} more", files[..SHOWN].join(", "), n - SHOWN),
        _ => files.join(", "),
    }
}

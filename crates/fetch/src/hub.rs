//! Single files of the Hugging Face Hub, into the cache that Python's tools use too.
//!
//! The crate `hf-hub` names things: a repository's address and API path, the folders and blobs of the cache, the shape
//! of the API's answer. Its own download (version 0.5) is not used, because it waits for ever on a dead network,
//! doesn't check what it got against the size and the digest that the Hub states, appends a server's full answer to a
//! partial file, and sends the token on to the host of a redirect. So the transfer is ours (`transfer.rs`):
//!
//! - a connection attempt ends after 4 seconds, and a Hub that was not reachable is not tried again
//!   in this process; a body is waited for as long as it moves, and continued where it stopped;
//! - size and digest are checked before a blob gets its name: sha256 for large files, git's SHA-1 for the others,
//!   both from the Hub's ETag;
//! - a branch is resolved to its commit once and remembered (`refs/`), so that a model's files are all of one commit
//!   and a second run asks the network nothing; take `NAME@REVISION` for another one.

mod digest;
mod listing;
mod repo;
mod settings;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use disk::DiskError;
use hf_hub::api::RepoInfo;

use digest::Digest;
pub use listing::Listing;
pub use repo::RepoRef;
pub use settings::{HubSettings, HubToken};
use store::{Store, is_commit};

use crate::error::{FetchError, Result};
use crate::transfer::{Answer, Client, Request};

/// Endpoints that were not reachable, and why, so that later files in this process fail at once.
static UNREACHABLE_ENDPOINTS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
/// Timeout of requests to the API, whose answers are small.
const API_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read. For a repository with very many files it is a few megabytes.
const API_ANSWER: u64 = 64 << 20;

/// The Hugging Face Hub, or a mirror of it.
#[derive(Debug, Clone)]
pub struct Hub {
    settings: HubSettings,
    client: Client,
}

impl Hub {
    /// The Hub as the environment describes it; see [`HubSettings`].
    ///
    /// # Errors
    /// As [`HubSettings::from_env`].
    pub fn from_env() -> Result<Self> {
        Self::new(HubSettings::from_env()?)
    }

    /// The Hub as `settings` describe it.
    ///
    /// # Errors
    /// [`FetchError::BadName`] for an endpoint or token that cannot be one.
    pub fn new(settings: HubSettings) -> Result<Self> {
        Ok(Self { settings: settings.checked()?, client: Client::new() })
    }

    pub fn settings(&self) -> &HubSettings {
        &self.settings
    }

    /// Whether the Hub answers at all. Waits for a few seconds at most.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] or [`FetchError::WebPage`] with the reason.
    pub fn reach(&self) -> Result<()> {
        let url = format!("{}/api/models?limit=1", self.settings.endpoint);
        self.ask(Request { timeout: API_TIMEOUT, ..self.request(&url) })?.refuse_web_page(&url)
    }

    /// A file that the repository has to have, from the cache or else from the Hub.
    ///
    /// # Errors
    /// [`FetchError::NoSuchFile`] and [`FetchError::NoSuchRepo`] for a wrong name, [`FetchError::Denied`] where a
    /// token is needed, [`FetchError::Offline`] when only the cache may be used, and those of the transfer.
    pub fn file(&self, repo: &RepoRef, path: &str) -> Result<PathBuf> {
        self.fetch(repo, path).map_err(|error| self.of_cache(error))
    }

    fn fetch(&self, repo: &RepoRef, path: &str) -> Result<PathBuf> {
        match self.file_of_known_commit(repo, path) {
            // The branch may have moved since its commit was noted.
            Err(error @ FetchError::NoSuchFile { .. }) if !is_commit(repo.revision()) => {
                let noted = self.store(repo).commit();
                let now = self.resolve(repo)?.sha;
                if noted.as_ref() == Some(&now) { Err(error) } else { self.download(repo, &now, path) }
            }
            result => result,
        }
    }

    /// A file of the commit that was noted for the revision, or of the current one if none was.
    fn file_of_known_commit(&self, repo: &RepoRef, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        let store = self.store(repo);
        let known = store.commit();
        if let Some(found) = known.as_deref().and_then(|commit| store.file(commit, path)) {
            return Ok(found);
        }
        if self.settings.offline {
            return Err(self.offline(repo, path));
        }
        let commit = match &known {
            Some(commit) => commit.clone(),
            None => self.resolve(repo)?.sha,
        };
        self.download(repo, &commit, path)
    }

    /// A file that the repository may lack; that it does is remembered. Without a network it counts as lacking when
    /// it isn't in the cache but other files of the repository are.
    ///
    /// # Errors
    /// As [`Hub::file`], but for the file's absence.
    pub fn optional_file(&self, repo: &RepoRef, path: &str) -> Result<Option<PathBuf>> {
        check_path(path)?;
        let store = self.store(repo);
        if store.commit().is_some_and(|commit| store.file(&commit, path).is_none() && store.is_absent(&commit, path)) {
            return Ok(None);
        }
        match self.file_of_known_commit(repo, path) {
            Ok(found) => Ok(Some(found)),
            Err(FetchError::NoSuchFile { .. }) => {
                if let Some(commit) = store.commit() {
                    store.set_absent(&commit, path)?;
                }
                Ok(None)
            }
            Err(error) if error.is_unreachable() && store.commit().is_some_and(|c| !store.files(&c).is_empty()) => {
                tracing::debug!("{path} of {} is taken as absent: {error}", repo.id());
                Ok(None)
            }
            Err(error) => Err(self.of_cache(error)),
        }
    }

    /// The commit of the repository's revision.
    ///
    /// # Errors
    /// As [`Hub::file`].
    pub fn commit(&self, repo: &RepoRef) -> Result<String> {
        match self.store(repo).commit() {
            Some(commit) => Ok(commit),
            None => Ok(self.resolve(repo)?.sha),
        }
    }

    /// The paths of all files of the repository; offline, of those that are in the cache.
    ///
    /// # Errors
    /// As [`Hub::file`].
    pub fn list(&self, repo: &RepoRef) -> Result<Vec<String>> {
        if self.settings.offline {
            let store = self.store(repo);
            return Ok(store.commit().map(|commit| store.files(&commit)).unwrap_or_default());
        }
        Ok(self.resolve(repo)?.siblings.into_iter().map(|sibling| sibling.rfilename).collect())
    }

    /// Asks the API for the revision's commit and files, and notes the commit.
    fn resolve(&self, repo: &RepoRef) -> Result<RepoInfo> {
        if self.settings.offline {
            return Err(self.offline(repo, "the list of files"));
        }
        let url = format!("{}/api/{}", self.settings.endpoint, repo.to_hf(repo.revision()).api_url());
        let answer = self.ask(Request { timeout: API_TIMEOUT, ..self.request(&url) })?;
        answer.refuse_web_page(&url)?;
        if answer.status != 200 {
            return Err(self.refusal(answer, repo, None, &url));
        }
        let bad = |problem: String| FetchError::BadAnswer { url: url.clone(), problem };
        let text = answer.text(API_ANSWER).map_err(|error| bad(error.to_string()))?;
        let info: RepoInfo = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if !is_commit(&info.sha) {
            return Err(bad(format!("{:?} is not a commit", info.sha)));
        }
        self.store(repo).set_commit(&info.sha).map_err(|error| self.of_cache(error))?;
        Ok(info)
    }

    fn download(&self, repo: &RepoRef, commit: &str, path: &str) -> Result<PathBuf> {
        let store = self.store(repo);
        let hf = repo.to_hf(commit);
        let url = format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, hf.url(), escape(path));
        let request = self.request(&url);
        let answer = self.ask(request)?;
        answer.refuse_web_page(&url)?;
        if answer.status != 200 {
            return Err(self.refusal(answer, repo, Some(path), &url));
        }
        let digest = Digest::of(&answer, &url)?;
        let size = match answer.hub_header("x-linked-size").map(str::parse) {
            Some(Ok(size)) => Some(size),
            _ => answer.file_size(),
        };

        let _lock = store.lock(digest.etag())?;
        let blob = store.blob(digest.etag());
        if !blob.is_file() {
            tracing::info!("fetching {path} of {} from {}{}", repo.id(), self.settings.endpoint, in_megabytes(size));
            let partial = store.partial(digest.etag())?;
            self.client.download_into(request, answer, &partial, size, path)?;
            if let Err(first) = digest.check(&partial, &url) {
                // A leftover of an older attempt, or bytes turned on the way: once more from the start.
                tracing::warn!("{first}; fetching it again");
                fs::remove_file(&partial).map_err(DiskError::at("remove", &partial))?;
                self.client.download_into(request, self.ask(request)?, &partial, size, path)?;
                if let Err(second) = digest.check(&partial, &url) {
                    let _ = fs::remove_file(&partial);
                    return Err(second);
                }
            }
            let moved = disk::rename(&partial, &blob).and_then(|()| disk::sync_folder(disk::folder_of(&blob)));
            moved.map_err(DiskError::at("write", &blob))?;
        }
        store.link(digest.etag(), commit, path)
    }

    /// Sends a request, unless this endpoint was not reachable before.
    fn ask(&self, request: Request) -> Result<Answer> {
        let unreachable = || UNREACHABLE_ENDPOINTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = unreachable().get(&self.settings.endpoint) {
            let reason = format!("{reason} (tried before)");
            return Err(FetchError::Unreachable { host: self.settings.endpoint.clone(), reason });
        }
        let result = self.client.get_with_retries(request);
        if let Err(FetchError::Unreachable { host, reason }) = &result
            && *host == self.settings.endpoint
        {
            unreachable().insert(host.clone(), reason.clone());
        }
        result
    }

    /// An error of writing into the cache names the variable that moves it.
    fn of_cache(&self, error: FetchError) -> FetchError {
        error.of_cache(&self.settings.cache, "HF_HOME")
    }

    fn offline(&self, repo: &RepoRef, file: &str) -> FetchError {
        let (repo, revision) = (repo.id().to_owned(), repo.revision().to_owned());
        FetchError::Offline { repo, revision, file: file.to_owned(), cache: self.settings.cache.clone() }
    }

    /// What an answer other than 200 means.
    fn refusal(&self, answer: Answer, repo: &RepoRef, path: Option<&str>, url: &str) -> FetchError {
        let (status, host, repo, revision) =
            (answer.status, self.settings.endpoint.clone(), repo.page(), repo.revision().to_owned());
        let token = self.settings.token.as_ref().map(|token| token.origin().to_owned());
        let code = answer.hub_header("x-error-code").unwrap_or_default();
        match (status, path) {
            (401 | 403, _) => FetchError::Denied { status, host, repo, token },
            (404, Some(file)) if code != "RepoNotFound" => {
                FetchError::NoSuchFile { host, repo, revision, file: file.to_owned() }
            }
            (404, _) if code == "RevisionNotFound" => FetchError::NoSuchRevision { host, repo, revision },
            (404, _) => FetchError::NoSuchRepo { host, repo, token },
            _ => answer.into_status_error(url),
        }
    }

    fn request<'a>(&'a self, url: &'a str) -> Request<'a> {
        Request::new(url, self.settings.token.as_ref().map(HubToken::secret))
    }

    fn store<'a>(&self, repo: &'a RepoRef) -> Store<'a> {
        Store::new(&self.settings.cache, repo)
    }
}

/// A path inside a repository becomes one inside the cache.
fn check_path(path: &str) -> Result<()> {
    let bad = path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains(['\\', '\0']);
    if bad {
        let problem = "it is empty, absolute or has an empty, `.` or `..` part".to_owned();
        return Err(FetchError::BadName { name: path.to_owned(), expected: "a path inside a repository", problem });
    }
    Ok(())
}

/// Percent-encodes what may not stand in an address's path.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn in_megabytes(size: Option<u64>) -> String {
    match size {
        Some(size) if size >= 1 << 20 => format!(" ({:.0} MB)", size as f64 / 1e6),
        _ => String::new(),
    }
}

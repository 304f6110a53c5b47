//! A fake Hub: two listeners on this machine, one that speaks the Hub's API and one that serves large files, as
//! the Hub's storage does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// What a test makes of the server.
#[derive(Default, Clone)]
pub struct HubBehavior {
    /// `models/NAME` or `datasets/NAME`, revision, files with their content.
    pub repos: Vec<(String, String, BTreeMap<String, Vec<u8>>)>,
    /// The commit that every revision stands for; [`COMMIT`] when empty.
    pub commit: String,
    /// Files whose name ends so lie in the storage: a redirect, a sha256 and a linked size.
    pub large: &'static str,
    /// Small files are redirected to a relative address first, as the Hub does now.
    pub relative_redirect: bool,
    /// Bodies end after so many bytes, for that many answers.
    pub cut_after: Option<(usize, usize)>,
    /// `Range` is ignored and everything sent.
    pub no_ranges: bool,
    /// The content is turned, for that many answers; the digest stays.
    pub corrupt: usize,
    /// Requests without this token are answered with status 401.
    pub token: Option<&'static str>,
    /// Requests with a token are answered with status 403, as for a gated repository whose conditions were not accepted.
    pub forbidden: bool,
    /// Everything is a log-in page.
    pub web_page: bool,
    /// That many answers are 503 first.
    pub busy: usize,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    pub storage: bool,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

pub struct HubServer {
    pub endpoint: String,
    state: Arc<State>,
}

struct State {
    behavior: Mutex<HubBehavior>,
    seen: Mutex<Vec<SeenRequest>>,
    storage: String,
}

impl HubServer {
    pub fn start(behavior: HubBehavior) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let endpoint = address(&hub);
        let state =
            Arc::new(State { behavior: Mutex::new(behavior), seen: Mutex::default(), storage: address(&storage) });
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = Arc::clone(&state);
                    // A client that leaves early is no fault of the server's.
                    thread::spawn(move || drop(serve(&state, is_storage, stream)));
                }
            });
        }
        Self { endpoint, state }
    }

    /// Changes what the server does from now on.
    pub fn change(&self, change: impl FnOnce(&mut HubBehavior)) {
        change(&mut self.state.behavior.lock().unwrap());
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<SeenRequest> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }
}

fn serve(state: &State, is_storage: bool, mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let range = headers.get("range").cloned();
    let authorization = headers.get("authorization").cloned();
    let seen = SeenRequest { storage: is_storage, path, range, authorization };
    state.seen.lock().unwrap().push(seen.clone());

    let mut behavior = state.behavior.lock().unwrap().clone();
    if behavior.commit.is_empty() {
        behavior.commit = COMMIT.to_owned();
    }
    let answer = if behavior.busy > 0 {
        state.behavior.lock().unwrap().busy -= 1;
        HubAnswer::plain(503, "busy")
    } else if behavior.web_page {
        HubAnswer::plain(200, "<html>Please log in</html>").with("Content-Type", "text/html; charset=utf-8")
    } else if is_storage {
        storage(&behavior, &seen)
    } else {
        hub(&behavior, &seen, &state.storage)
    };
    answer.send(state, &mut stream)
}

/// The Hub's own host: the API, small files, redirects to large ones.
fn hub(behavior: &HubBehavior, seen: &SeenRequest, storage: &str) -> HubAnswer {
    if let Some(token) = behavior.token
        && seen.authorization.as_deref() != Some(&format!("Bearer {token}"))
    {
        return HubAnswer::plain(401, "Access to this repository is restricted").with("X-Error-Code", "GatedRepo");
    }
    if behavior.forbidden && seen.authorization.is_some() {
        return HubAnswer::plain(403, "Access to this repository is restricted").with("X-Error-Code", "GatedRepo");
    }
    for (repo, revision, files) in &behavior.repos {
        let escaped = revision.replace('/', "%2F");
        if seen.path == format!("/api/{repo}/revision/{escaped}") {
            let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
            let info = serde_json::json!({"sha": behavior.commit, "siblings": siblings, "private": false});
            return HubAnswer::plain(200, &info.to_string()).with("Content-Type", "application/json");
        }
        let page = repo.strip_prefix("models/").unwrap_or(repo);
        let direct = format!("/{page}/resolve/{}/", behavior.commit);
        let cached = format!("/api/resolve-cache/{page}/{}/", behavior.commit);
        let Some(name) = seen.path.strip_prefix(&direct).or_else(|| seen.path.strip_prefix(&cached)) else {
            let of_repo = [format!("/{page}/resolve/"), format!("/api/{repo}/revision/")];
            if of_repo.iter().any(|address| seen.path.starts_with(address)) {
                return HubAnswer::plain(404, "Invalid rev id").with("X-Error-Code", "RevisionNotFound");
            }
            continue;
        };
        let name = name.replace("%20", " ");
        let Some(content) = files.get(&name) else {
            return HubAnswer::plain(404, "Entry not found").with("X-Error-Code", "EntryNotFound");
        };
        if !behavior.large.is_empty() && name.ends_with(behavior.large) {
            return HubAnswer::plain(302, "")
                .with("Location", &format!("{storage}/{page}/{name}?signature=x"))
                .with("X-Repo-Commit", &behavior.commit)
                .with("X-Linked-Size", &content.len().to_string())
                .with("X-Linked-Etag", &format!("\"{}\"", hex(&Sha256::digest(content))))
                .with("ETag", "\"something-else\"");
        }
        if behavior.relative_redirect && seen.path.starts_with(&direct) {
            return HubAnswer::plain(307, "moved").with("Location", &format!("{cached}{name}"));
        }
        return body(behavior, seen, content)
            .with("X-Repo-Commit", &behavior.commit)
            .with("ETag", &format!("\"{}\"", git_sha1(content)));
    }
    HubAnswer::plain(404, "Repository not found").with("X-Error-Code", "RepoNotFound")
}

/// The storage host: content by path, with an ETag of its own that must not be taken for the Hub's.
fn storage(behavior: &HubBehavior, seen: &SeenRequest) -> HubAnswer {
    for (repo, _, files) in &behavior.repos {
        let page = repo.strip_prefix("models/").unwrap_or(repo);
        let path = seen.path.split('?').next().unwrap_or_default();
        if let Some(content) = path.strip_prefix(&format!("/{page}/")).and_then(|name| files.get(name)) {
            return body(behavior, seen, content).with("ETag", "\"the-storage-has-its-own\"");
        }
    }
    HubAnswer::plain(403, "signature expired")
}

fn body(behavior: &HubBehavior, seen: &SeenRequest, content: &[u8]) -> HubAnswer {
    let start = seen.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let mut answer = match start.filter(|_| !behavior.no_ranges) {
        Some(start) if start >= content.len() => return HubAnswer::plain(416, ""),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            HubAnswer { status: 206, body: content[start..].to_vec(), ..HubAnswer::default() }
                .with("Content-Range", &range)
        }
        None => HubAnswer { status: 200, body: content.to_vec(), ..HubAnswer::default() },
    };
    answer.is_content = true;
    answer
}

#[derive(Default)]
struct HubAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_content: bool,
}

impl HubAnswer {
    fn plain(status: u16, text: &str) -> Self {
        Self { status, body: text.as_bytes().to_vec(), ..Self::default() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn send(mut self, state: &State, stream: &mut TcpStream) -> std::io::Result<()> {
        let announced = self.body.len();
        if self.is_content {
            let mut behavior = state.behavior.lock().unwrap();
            if behavior.corrupt > 0 {
                behavior.corrupt -= 1;
                self.body[0] ^= 1;
            }
            if let Some((bytes, times)) = behavior.cut_after.filter(|(_, times)| *times > 0) {
                behavior.cut_after = Some((bytes, times - 1));
                self.body.truncate(bytes);
            }
        }
        write!(stream, "HTTP/1.1 {} Whatever\r\nContent-Length: {announced}\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(&self.body)?;
        stream.flush()
    }
}

/// The name that git gives a file's content.
pub fn git_sha1(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

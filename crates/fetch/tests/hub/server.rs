//! A fake Hub: two listeners on this machine, one that speaks the Hub's API and one that serves large files, as
//! the Hub's storage does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use disk::{hex, sha256_hex};
use sha1::{Digest, Sha1};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// What a test makes of the server.
#[derive(Default, Clone)]
pub(crate) struct Behavior {
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
    /// Answers without the token are 401, as the Hub answers without a token and with one that it doesn't know.
    pub token: Option<&'static str>,
    /// Answers with this token, which the Hub knows, are 403.
    pub token_without_access: Option<&'static str>,
    /// Everything is a log-in page.
    pub web_page: bool,
    /// That many answers are 503 first.
    pub busy: usize,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub storage: bool,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

pub(crate) struct Server {
    pub endpoint: String,
    state: Arc<State>,
}

struct State {
    behavior: Mutex<Behavior>,
    seen: Mutex<Vec<Seen>>,
    storage: String,
}

impl Server {
    pub(crate) fn start(behavior: Behavior) -> Self {
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
    pub(crate) fn change(&self, change: impl FnOnce(&mut Behavior)) {
        change(&mut self.state.behavior.lock().unwrap());
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
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
    let seen = Seen { storage: is_storage, path, range, authorization };
    state.seen.lock().unwrap().push(seen.clone());

    let mut behavior = state.behavior.lock().unwrap().clone();
    if behavior.commit.is_empty() {
        behavior.commit = COMMIT.to_owned();
    }
    let answer = if behavior.busy > 0 {
        state.behavior.lock().unwrap().busy -= 1;
        Answer::plain(503, "busy")
    } else if behavior.web_page {
        Answer::plain(200, "<html>Please log in</html>").with("Content-Type", "text/html; charset=utf-8")
    } else if is_storage {
        storage(&behavior, &seen)
    } else {
        hub(&behavior, &seen, &state.storage)
    };
    answer.send(state, &mut stream)
}

/// The Hub's own host: the API, small files, redirects to large ones.
fn hub(behavior: &Behavior, seen: &Seen, storage: &str) -> Answer {
    let sent = seen.authorization.as_deref().and_then(|header| header.strip_prefix("Bearer "));
    if behavior.token.is_some() && sent != behavior.token {
        return match sent {
            None => Answer::plain(401, "Access to this repository is restricted").with("X-Error-Code", "GatedRepo"),
            _ if sent == behavior.token_without_access => {
                Answer::plain(403, "You are not in the authorized list").with("X-Error-Code", "GatedRepo")
            }
            Some(_) => Answer::plain(401, "").with("X-Error-Message", "Invalid credentials in Authorization header"),
        };
    }
    for (repo, revision, files) in &behavior.repos {
        let escaped = revision.replace('/', "%2F");
        if seen.path == format!("/api/{repo}/revision/{escaped}") {
            let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
            let info = serde_json::json!({"sha": behavior.commit, "siblings": siblings, "private": false});
            return Answer::plain(200, &info.to_string()).with("Content-Type", "application/json");
        }
        let page = repo.strip_prefix("models/").unwrap_or(repo);
        let direct = format!("/{page}/resolve/{}/", behavior.commit);
        let cached = format!("/api/resolve-cache/{page}/{}/", behavior.commit);
        let Some(name) = seen.path.strip_prefix(&direct).or_else(|| seen.path.strip_prefix(&cached)) else {
            if seen.path.starts_with(&format!("/{page}/resolve/")) {
                return Answer::plain(404, "Invalid rev id").with("X-Error-Code", "RevisionNotFound");
            }
            continue;
        };
        let name = name.replace("%20", " ");
        let Some(content) = files.get(&name) else {
            return Answer::plain(404, "Entry not found").with("X-Error-Code", "EntryNotFound");
        };
        if !behavior.large.is_empty() && name.ends_with(behavior.large) {
            return Answer::plain(302, "")
                .with("Location", &format!("{storage}/{page}/{name}?signature=x"))
                .with("X-Repo-Commit", &behavior.commit)
                .with("X-Linked-Size", &content.len().to_string())
                .with("X-Linked-Etag", &format!("\"{}\"", sha256_hex(content)))
                .with("ETag", "\"something-else\"");
        }
        if behavior.relative_redirect && seen.path.starts_with(&direct) {
            return Answer::plain(307, "moved").with("Location", &format!("{cached}{name}"));
        }
        return body(behavior, seen, content)
            .with("X-Repo-Commit", &behavior.commit)
            .with("ETag", &format!("\"{}\"", git_sha1(content)));
    }
    Answer::plain(404, "Repository not found").with("X-Error-Code", "RepoNotFound")
}

/// The storage host: content by path, with an ETag of its own that must not be taken for the Hub's.
fn storage(behavior: &Behavior, seen: &Seen) -> Answer {
    for (repo, _, files) in &behavior.repos {
        let page = repo.strip_prefix("models/").unwrap_or(repo);
        let path = seen.path.split('?').next().unwrap_or_default();
        if let Some(content) = path.strip_prefix(&format!("/{page}/")).and_then(|name| files.get(name)) {
            return body(behavior, seen, content).with("ETag", "\"the-storage-has-its-own\"");
        }
    }
    Answer::plain(403, "signature expired")
}

fn body(behavior: &Behavior, seen: &Seen, content: &[u8]) -> Answer {
    let start = seen.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let mut answer = match start.filter(|_| !behavior.no_ranges) {
        Some(start) if start >= content.len() => return Answer::plain(416, ""),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            Answer { status: 206, body: content[start..].to_vec(), ..Answer::default() }.with("Content-Range", &range)
        }
        None => Answer { status: 200, body: content.to_vec(), ..Answer::default() },
    };
    answer.is_content = true;
    answer
}

#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_content: bool,
}

impl Answer {
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

pub(crate) fn git_sha1(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex(&hasher.finalize())
}

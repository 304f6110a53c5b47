//! HTTP for downloads: a short timeout for a connection, a long one for a body.
//!
//! `ureq` speaks HTTP and TLS. On top of it: redirects are followed here, one by one, so that the Hub's headers of the
//! first answers are kept, its token never travels to another host and https never becomes http; a body that ends early is
//! continued with a `Range` request; a web page in place of a file is an error.

mod resume;

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::error::{FetchError, Result};

/// Timeout for resolving the name and for connecting, each: without a network both fail within seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Timeout for the first byte of an answer and for each further read, so a slow download continues while it moves.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests in a row without any byte before a download fails.
const MAX_ATTEMPTS: u32 = 4;
const MAX_REDIRECTS: usize = 10;

/// A connection pool with our timeouts.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub url: &'a str,
    /// Sent to the URL's own host only.
    pub token: Option<&'a str>,
    /// Timeout for the first byte of an answer.
    pub timeout: Duration,
}

impl<'a> Request<'a> {
    pub(crate) fn new(url: &'a str, token: Option<&'a str>) -> Self {
        Self { url, token, timeout: READ_TIMEOUT }
    }
}

/// The end of a chain of redirects.
pub(crate) struct Answer {
    pub status: u16,
    /// Headers of all answers given by the first host, later ones over earlier ones.
    pub first_host: HeaderMap,
    pub headers: HeaderMap,
    body: Body,
}

impl Answer {
    /// A header of the first host's answers as text.
    pub(crate) fn hub_header(&self, name: &str) -> Option<&str> {
        self.first_host.get(name)?.to_str().ok()
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn is_web_page(&self) -> bool {
        self.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
    }

    /// The whole file's size, as far as this answer says it.
    pub(crate) fn file_size(&self) -> Option<u64> {
        match self.status {
            200 => self.header(header::CONTENT_LENGTH)?.parse().ok(),
            206 => self.header(header::CONTENT_RANGE)?.rsplit_once('/')?.1.parse().ok(),
            _ => None,
        }
    }

    /// The body as text, for small answers only.
    pub(crate) fn text(self, most: u64) -> io::Result<String> {
        let mut text = String::new();
        self.body.into_reader().take(most).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Refuses a proxy's web page in a file's place. The Hub's own pages carry its headers.
    pub(crate) fn refuse_web_page(&self, url: &str) -> Result<()> {
        let hub = ["x-error-code", "x-repo-commit"].iter().any(|name| self.first_host.contains_key(*name));
        if self.is_web_page() && (self.status < 300 || !hub) {
            return Err(FetchError::WebPage { url: url.to_owned() });
        }
        Ok(())
    }

    /// The error for a status without an error of its own.
    pub(crate) fn into_status_error(self, url: &str) -> FetchError {
        let message = self.hub_header("x-error-message").unwrap_or_default().to_owned();
        FetchError::Status { url: url.to_owned(), status: self.status, message }
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Sizes and ranges count the file's own bytes, so nothing may be compressed on the way.
            .accept_encoding("identity")
            .user_agent(concat!("verdict/", env!("CARGO_PKG_VERSION"), "; rust"))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
            .build();
        Self { agent: config.into() }
    }

    /// Asks for a URL from byte `start` on and follows redirects. Any status is an answer; no answer is an error.
    pub(crate) fn get(&self, request: Request, start: u64) -> Result<Answer> {
        let mut url = request.url.to_owned();
        let home = origin(&url);
        let mut first_host = HeaderMap::new();
        for _ in 0..=MAX_REDIRECTS {
            let at_home = origin(&url) == home;
            let mut call = self.agent.get(&url).config().timeout_recv_response(Some(request.timeout)).build();
            if let Some(token) = request.token.filter(|_| at_home) {
                call = call.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if start > 0 {
                call = call.header(header::RANGE, format!("bytes={start}-"));
            }
            let response =
                call.call().map_err(|error| FetchError::Unreachable { host: origin(&url), reason: reason(&error) })?;
            let (parts, body) = response.into_parts();
            if at_home {
                first_host.extend(parts.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            match location.filter(|_| parts.status.is_redirection()) {
                Some(location) => url = join(&url, location)?,
                None => {
                    let status = parts.status.as_u16();
                    return Ok(Answer { status, first_host, headers: parts.headers, body });
                }
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(FetchError::BadAnswer { url: request.url.to_owned(), problem })
    }

    /// As [`Client::get`] from the start, asking again when the server is busy or in trouble.
    pub(crate) fn get_with_retries(&self, request: Request) -> Result<Answer> {
        for attempt in 0.. {
            let answer = self.get(request, 0)?;
            if !is_temporary(answer.status) || attempt + 1 >= MAX_ATTEMPTS {
                return Ok(answer);
            }
            tracing::info!("{} answered with status {}; retrying", request.url, answer.status);
            pause(attempt);
        }
        unreachable!("the loop returns on its last attempt")
    }
}

/// A server that is busy or in trouble, and may not be in a moment.
fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn pause(attempt: u32) {
    thread::sleep(Duration::from_millis(200 << attempt.min(4)));
}

/// `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE`, which Python's tools read too, so that a company's own authority works;
/// else Mozilla's list.
fn root_certificates() -> RootCerts {
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        let Some(path) = std::env::var_os(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        match std::fs::read(&path) {
            Ok(pem) => {
                let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let certificates: Vec<Certificate<'static>> = items.collect();
                if !certificates.is_empty() {
                    return RootCerts::from(certificates);
                }
                tracing::warn!("{name} names {}, which holds no certificate", path.display());
            }
            Err(error) => tracing::warn!("{name} names {}, which cannot be read: {error}", path.display()),
        }
    }
    RootCerts::WebPki
}

pub(crate) fn origin(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let length = url[end..].find(['/', '?', '#']).map_or(url.len(), |at| end + at);
    url[..length].to_owned()
}

/// The address that a `Location` header names, seen from `base`. From https it must be https too; a redirect from http, which
/// only an address that the user gave has, can't lose what was never there.
fn join(base: &str, location: &str) -> Result<String> {
    let home = origin(base);
    let next = if location.contains("://") && location.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()) {
        location.to_owned()
    } else if location.starts_with("//") {
        let scheme = home.split("//").next().unwrap_or("https:");
        format!("{scheme}{location}")
    } else if location.starts_with('/') {
        format!("{home}{location}")
    } else {
        let path = base.split(['?', '#']).next().unwrap_or(base);
        let folder = path[home.len()..].rfind('/').map_or("", |at| &path[home.len()..home.len() + at]);
        format!("{home}{folder}/{location}")
    };
    let secure = |url: &str| url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if secure(base) && !secure(&next) {
        return Err(FetchError::InsecureRedirect { url: base.to_owned(), location: next });
    }
    Ok(next)
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no such host, or no name server".to_owned(),
        ureq::Error::Timeout(what) => format!("no answer before the timeout ({what})"),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leaves_https() {
        for location in ["http://hub.example/x", "http://127.0.0.1/x", "HTTP://cdn.example/x", "ftp://cdn.example/x"] {
            for base in ["https://hub.example/a", "HTTPS://hub.example/a"] {
                let error = join(base, location).unwrap_err();
                assert!(matches!(error, FetchError::InsecureRedirect { .. }) && !error.is_unreachable(), "{error}");
                assert!(error.to_string().contains(&format!("redirects to {location}")), "{error}");
            }
            assert_eq!(join("http://127.0.0.1:8080/a", location).unwrap(), location);
        }
        for location in ["https://cdn.example/x", "HTTPS://cdn.example/x", "//cdn.example/x", "/x", "x"] {
            join("https://hub.example/a", location).unwrap();
        }
    }

    #[test]
    fn locations_are_joined_like_a_browser_does() {
        let base = "https://hub.example:8443/a/b?c=d";
        for (location, expected) in [
            ("https://cdn.example/x?y=http://z", "https://cdn.example/x?y=http://z"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/api/cache?next=https://z/", "https://hub.example:8443/api/cache?next=https://z/"),
            ("c/d", "https://hub.example:8443/a/c/d"),
        ] {
            assert_eq!(join(base, location).unwrap(), expected);
        }
        assert_eq!(join("http://h", "x").unwrap(), "http://h/x");
        assert_eq!(origin("http://h:1?x"), "http://h:1");
        assert_eq!(origin("http://h:1/x/y"), "http://h:1");
    }
}

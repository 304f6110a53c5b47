//! A server that a test started, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::sandbox::Sandbox;

/// `verdict serve` on a free port; ended with the test.
pub(crate) struct HttpServer {
    child: Child,
    /// `127.0.0.1:PORT`.
    host: String,
}

/// An answer of it.
pub(crate) struct HttpAnswer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpServer {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(sandbox: &Sandbox, line: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = sandbox.command(line);
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut said, mut line) = (String::new(), String::new());
        let host = loop {
            line.clear();
            assert!(lines.read_line(&mut line).expect("UTF-8") > 0, "the server ended: {said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("http://") {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:".contains(c))).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        // Whatever else it says is read, so that it never waits for the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, host }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpAnswer {
        let mut stream = TcpStream::connect(&self.host).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host);
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"\r\n")).expect("sends");
        // A server that refuses a body may not read all of it.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        HttpAnswer::parse(&bytes)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl HttpAnswer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the headers");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = bytes[end + 4..].to_vec();
        let answer = Self { status, headers, body };
        assert_ne!(answer.header("transfer-encoding"), Some("chunked"), "answers have a length");
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

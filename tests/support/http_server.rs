//! A server that a test started, and requests to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use test_support::{HttpAnswer, HttpConnection};

use super::sandbox::Sandbox;

/// `verdict serve` on a free port; ended with the test.
pub(crate) struct HttpServer {
    child: Child,
    address: SocketAddr,
}

impl HttpServer {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(sandbox: &Sandbox, line: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = sandbox.command(line);
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut said, mut line) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert!(lines.read_line(&mut line).expect("UTF-8") > 0, "the server ended: {said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("http://") {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(rest.len());
                break rest[..end].parse().unwrap_or_else(|error| panic!("{error}: {said}"));
            }
        };
        // Whatever else it says is read, so that it never waits for the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, address }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> HttpAnswer {
        let mut connection = HttpConnection::open(self.address).expect("the server listens");
        connection.request(method, path, &[], body).expect("an answer")
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

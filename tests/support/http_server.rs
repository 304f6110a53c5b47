//! A server that a test started, and requests to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::{HttpAnswer, HttpConnection};

use super::sandbox::Sandbox;

/// `verdict serve` on a free port, killed at the end of the test.
pub(crate) struct HttpServer {
    process: Child,
    address: SocketAddr,
    /// Its lines on standard error, from the start on.
    lines: Mutex<Receiver<String>>,
    seen: Vec<String>,
}

impl HttpServer {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(sandbox: &Sandbox, flags: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = sandbox.command(&format!("serve --port 0 {flags}"));
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let (sender, lines) = channel();
        let stderr = BufReader::new(process.stderr.take().expect("a pipe"));
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut seen = Vec::new();
        let address = loop {
            let line = lines.recv_timeout(Duration::from_secs(60));
            seen.push(line.unwrap_or_else(|_| panic!("the server doesn't listen: {seen:?}")));
            let address = seen.last().and_then(|line| line.strip_prefix("listening on http://")?.split(';').next());
            if let Some(address) = address {
                break address.parse().expect("an address");
            }
        };
        Self { process, address, lines: Mutex::new(lines), seen }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connect(&self) -> HttpConnection {
        HttpConnection::open(self.address).expect("the server listens")
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> HttpAnswer {
        self.connect().request(method, path, &[], body).expect("an answer")
    }

    /// What `/predict` answers to these inputs.
    pub(crate) fn labels(&self, inputs: &Value) -> Value {
        let answer = self.connect().post("/predict", json!({ "inputs": inputs }).to_string()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().expect("kill starts");
        assert!(sent.success());
    }

    /// Waits for its end: its exit code, and all of its lines.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let status = self.process.wait().expect("ends");
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.lines.lock().expect("no panic").iter());
        (status.code(), seen)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

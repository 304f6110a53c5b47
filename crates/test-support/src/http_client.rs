//! A client for tests of the server: it sends what it is told, well-formed or not, and reads one answer after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long an answer may take: more than any limit of a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    /// The names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is no UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }
}

/// A connection, which is kept from request to request.
#[derive(Debug)]
pub struct HttpConnection {
    stream: TcpStream,
    /// What is read and not yet used.
    read: Vec<u8>,
}

impl HttpConnection {
    /// # Errors
    /// A server that doesn't listen.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// A connection that is closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request, with a `Content-Length` for a body, and reads its answer.
    ///
    /// # Errors
    /// A connection that is closed, and what is no answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<HttpAnswer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        request.push_str("\r\n");
        // In one piece, as real clients send small requests.
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A server may answer, and close, before it has read all of it: the answer counts.
        let sent = self.send(&bytes);
        self.answer(method == "HEAD").map_err(|error| sent.err().unwrap_or(error))
    }

    /// Posts the same JSON again and again until an answer closes the connection. Each answer is counted in `answered`.
    ///
    /// # Panics
    /// If a request isn't answered, or not by 200; the message says whether the server had been told to stop before it.
    pub fn post_until_closed(&mut self, path: &str, body: &str, told: &AtomicBool, answered: &AtomicUsize) {
        loop {
            let late = told.load(Ordering::SeqCst);
            let answer = self.post(path, body);
            let answer = answer.unwrap_or_else(|error| panic!("lost (after the signal: {late}): {error}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered.fetch_add(1, Ordering::SeqCst);
            if answer.header("connection") == Some("close") {
                return;
            }
        }
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> io::Result<HttpAnswer> {
        self.request("POST", path, &[("Content-Type", "application/json")], body.as_ref())
    }

    /// Reads an answer, of a `HEAD` request without its body.
    ///
    /// # Errors
    /// A connection that is closed, and what is no answer.
    pub fn answer(&mut self, without_body: bool) -> io::Result<HttpAnswer> {
        let invalid = || io::Error::new(ErrorKind::InvalidData, "not an HTTP answer");
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.read_more()?;
        };
        let head = String::from_utf8(self.read[..end].to_vec()).map_err(|_| invalid())?;
        self.read.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.ok_or_else(invalid)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(header).collect();
        let mut answer = HttpAnswer { status, headers, body: Vec::new() };
        if answer.status == 100 {
            return self.answer(without_body);
        }
        if without_body || answer.status == 204 {
            return Ok(answer);
        }
        let length = answer.header("content-length").map(|length| length.parse::<usize>().map_err(|_| invalid()));
        match length.transpose()? {
            Some(length) => {
                while self.read.len() < length {
                    self.read_more()?;
                }
                answer.body = self.read.drain(..length).collect();
            }
            None if answer.header("transfer-encoding") == Some("chunked") => answer.body = self.chunks()?,
            None => {
                while self.read_more().is_ok() {}
                answer.body = std::mem::take(&mut self.read);
            }
        }
        Ok(answer)
    }

    /// Whether the server closes the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && self.read_more().is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = self.read.windows(2).position(|window| window == b"\r\n") {
                    break self.read.drain(..end + 2).collect::<Vec<u8>>();
                }
                self.read_more()?;
            };
            let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
            let size = size.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "not a chunk"))?;
            while self.read.len() < size + 2 {
                self.read_more()?;
            }
            body.extend(self.read.drain(..size));
            self.read.drain(..2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

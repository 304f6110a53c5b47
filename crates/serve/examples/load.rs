//! Load for a server, and what it makes of it: `load ADDRESS [--texts FILE] [--connections N] [--rate R] [--seconds S]
//! [--plan]`.
//!
//! Without `--rate`, each of `--connections` sends its next request when it has its answer: the server's capacity. With it,
//! requests are sent at a constant rate whatever the answers do, and a request's time counts from the instant at which it
//! was to be sent, so that a server that stalls can't hide it. `--plan` measures the capacity for 20 s, then 80 % of it for
//! `--seconds`, then twice of it for 60 s. Each measurement prints a line of JSON. The texts are the lines of a file.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Failure = Box<dyn Error + Send + Sync>;

const SOME_TEXTS: [&str; 4] = [
    "A tender, funny film.",
    "It never finds its feet, and two hours later neither will you.",
    "The plot is thin, but the actors are a delight to watch from the first scene to the last.",
    "Dull.",
];
/// Requests that are open at the same time; one that finds no room is counted as failed.
const MOST_OPEN: usize = 4096;
/// A connection that was idle for longer is not used again: the server may be about to close it, as every client of HTTP that
/// keeps connections has to expect.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let address: SocketAddr = match arguments.first().map(|address| address.trim_start_matches("http://").parse()) {
        Some(Ok(address)) => address,
        _ => {
            return Err(
                "usage: load 127.0.0.1:3000 [--texts FILE] [--connections N] [--rate R] [--seconds S] [--plan]".into(),
            );
        }
    };
    let texts: Vec<String> = match value("--texts") {
        Some(file) => std::fs::read_to_string(file)?.lines().map(str::to_owned).collect(),
        None => SOME_TEXTS.map(str::to_owned).into(),
    };
    let requests = texts.iter().filter(|text| !text.trim().is_empty()).map(|text| request(text)).collect();
    let connections = value("--connections").unwrap_or("32").parse()?;
    let seconds = value("--seconds").unwrap_or("20").parse()?;
    let rate: Option<f64> = value("--rate").map(str::parse).transpose()?;
    let load = Arc::new(Load {
        address,
        requests,
        next: AtomicUsize::new(0),
        measured: Mutex::default(),
        idle: Mutex::default(),
        open: AtomicUsize::new(0),
    });
    // One thread: it shares the processors with the server, and takes as little of them as it can.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if !arguments.iter().any(|argument| argument == "--plan") {
        println!("{}", runtime.block_on(measure(&load, rate, connections, seconds))?);
        return Ok(());
    }
    let capacity = runtime.block_on(measure(&load, None, connections, 20.0))?;
    println!("{capacity}");
    let most = capacity["answered_per_second"].as_f64().unwrap_or(0.0);
    for (share, seconds) in [(0.8, seconds), (2.0, 60.0)] {
        println!("{}", runtime.block_on(measure(&load, Some(share * most), connections, seconds))?);
    }
    Ok(())
}

/// What the generator sends, and what came of it.
struct Load {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
    measured: Mutex<BTreeMap<String, Vec<Duration>>>,
    /// Connections whose last answer is read, and when that was.
    idle: Mutex<Vec<(TcpStream, Instant)>>,
    open: AtomicUsize,
}

fn request(text: &str) -> Vec<u8> {
    let body = json!({ "inputs": text }).to_string();
    format!(
        "POST /predict HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn measure(load: &Arc<Load>, rate: Option<f64>, connections: usize, seconds: f64) -> Result<Value, Failure> {
    load.measured.lock().unwrap().clear();
    load.idle.lock().unwrap().clear();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let end = began + Duration::from_secs_f64(seconds);
    match rate {
        None => closed(load, connections, end).await,
        Some(rate) => open(load, rate, began, end).await,
    }
    let took = began.elapsed().as_secs_f64();
    let mut measured = std::mem::take(&mut *load.measured.lock().unwrap());
    let statuses: BTreeMap<&String, usize> = measured.iter().map(|(status, times)| (status, times.len())).collect();
    let statuses = json!(statuses);
    let answered = measured.remove("200").map(|mut times| {
        times.sort_unstable();
        times
    });
    let answered = answered.unwrap_or_default();
    let quantile = |share: f64| {
        let at = ((answered.len() as f64 * share) as usize).min(answered.len().saturating_sub(1));
        answered.get(at).map(|time| (time.as_secs_f64() * 1e5).round() / 100.0)
    };
    Ok(json!({
        "loop": if rate.is_some() { "open" } else { "closed" },
        "asked_per_second": rate.map(f64::round),
        "connections": rate.is_none().then_some(connections),
        "seconds": (took * 10.0).round() / 10.0,
        "statuses": statuses,
        "answered_per_second": (answered.len() as f64 / took * 10.0).round() / 10.0,
        "milliseconds": {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "p99.9": quantile(0.999), "max": quantile(1.0)},
        "generator_cpu_seconds": cpu_seconds().zip(cpu).map(|(after, before)| after - before),
    }))
}

/// Each connection sends its next request when it has its answer.
async fn closed(load: &Arc<Load>, connections: usize, end: Instant) {
    let one = |load: Arc<Load>| async move {
        let mut connection = None;
        while Instant::now() < end {
            connection = load.exchange(connection, Instant::now()).await;
        }
    };
    let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(one(Arc::clone(load)))).collect();
    for task in tasks {
        let _ = task.await;
    }
}

/// Requests at a constant rate.
async fn open(load: &Arc<Load>, rate: f64, began: Instant, end: Instant) {
    let mut tasks = Vec::new();
    for number in 0_u64.. {
        let planned = began + Duration::from_secs_f64(number as f64 / rate);
        if planned >= end {
            break;
        }
        if planned > Instant::now() {
            tokio::time::sleep_until(planned.into()).await;
        }
        if load.open.load(Ordering::Relaxed) >= MOST_OPEN {
            load.count("no room in the generator", planned);
            continue;
        }
        load.open.fetch_add(1, Ordering::Relaxed);
        let load = Arc::clone(load);
        tasks.push(tokio::spawn(async move {
            // The newest; where that is too old, all are.
            let newest = load.idle.lock().unwrap().pop().filter(|(_, since)| since.elapsed() < IDLE);
            let kept = load.exchange(newest.map(|(connection, _)| connection), planned).await;
            load.idle.lock().unwrap().extend(kept.map(|connection| (connection, Instant::now())));
            load.open.fetch_sub(1, Ordering::Relaxed);
        }));
        if number % 1024 == 0 {
            tasks.retain(|task| !task.is_finished());
        }
    }
    for task in tasks {
        let _ = task.await;
    }
}

impl Load {
    /// Sends a request and reads its answer; the connection, where the server keeps it.
    async fn exchange(&self, connection: Option<TcpStream>, planned: Instant) -> Option<TcpStream> {
        let request = &self.requests[self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len()];
        let opened = match connection {
            Some(connection) => Ok(connection),
            None => TcpStream::connect(self.address).await.and_then(|stream| {
                stream.set_nodelay(true)?;
                Ok(stream)
            }),
        };
        let outcome = match opened {
            Ok(mut connection) => {
                answer(&mut connection, request).await.map(|(status, keeps)| (status, keeps.then_some(connection)))
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok((status, connection)) => {
                self.count(&status, planned);
                connection
            }
            Err(error) => {
                self.count(&format!("failed: {error}"), planned);
                None
            }
        }
    }

    fn count(&self, status: &str, planned: Instant) {
        let mut measured = self.measured.lock().unwrap();
        match measured.get_mut(status) {
            Some(times) => times.push(planned.elapsed()),
            None => drop(measured.insert(status.to_owned(), vec![planned.elapsed()])),
        }
    }
}

/// The status of the answer, and whether the connection stays open.
async fn answer(connection: &mut TcpStream, request: &[u8]) -> std::io::Result<(String, bool)> {
    connection.write_all(request).await?;
    let (mut read, mut whole) = (Vec::with_capacity(1024), None);
    loop {
        if connection.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if whole.is_none()
            && let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            let status = head.get(9..12).unwrap_or("?").to_owned();
            whole = Some((end + 4 + length.unwrap_or(0), status, !head.contains("connection: close")));
        }
        if let Some((length, status, keeps)) = &whole
            && read.len() >= *length
        {
            return Ok((status.clone(), *keeps));
        }
    }
}

/// What this process has taken of the processors, where Linux tells.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(") ").next()?.split(' ').skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

//! A worker of a study, and whether its process is alive.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

/// The system attribute in which workers identify themselves.
pub(crate) const WORKER: &str = "verdict:worker";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub id: String,
    pub host: String,
    /// The process's number on that machine.
    pub pid: u32,
    /// When the process was started, in the kernel's ticks.
    pub(crate) start: Option<u64>,
    /// The kernel and the process namespace that `pid` and `start` belong to.
    pub(crate) place: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerState {
    Alive,
    Dead,
    /// On another machine or in another container, where its process can't be seen.
    Elsewhere,
}

impl Worker {
    /// This process as a new worker.
    pub(crate) fn new() -> Self {
        let pid = std::process::id();
        Self { id: format!("verdict-{}", unique()), host: host(), pid, start: start(pid), place: place() }
    }

    /// Whether its process is alive, as far as that can be seen from here.
    pub(crate) fn state(&self) -> WorkerState {
        if self.place.is_none() || self.place != place() {
            return WorkerState::Elsewhere;
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
            return WorkerState::Dead;
        }
        // The number may belong to another process by now, or to a zombie. Where /proc hides the processes of other
        // users, neither can be seen.
        let seen = fs::metadata(format!("/proc/{}", self.pid)).is_ok();
        if seen && self.start.is_some() && start(self.pid) != self.start {
            WorkerState::Dead
        } else {
            WorkerState::Alive
        }
    }

    /// The value of the attribute that identifies it.
    pub(crate) fn to_json(&self) -> Value {
        json!({"id": self.id, "host": self.host, "pid": self.pid, "start": self.start, "place": self.place})
    }

    /// The value of the attribute that takes a trial over, from a worker or after a release.
    pub(crate) fn to_takeover(&self, from: Option<&str>) -> Value {
        let mut value = self.to_json();
        value["from"] = from.into();
        value
    }

    /// The value of the attribute that releases a trial.
    pub(crate) fn to_release(&self) -> Value {
        json!({"id": null, "from": self.id})
    }

    /// From the value of the attribute, if it is in our form.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Some(Self {
            id: text("id")?,
            host: text("host")?,
            pid: value["pid"].as_u64()?.try_into().ok()?,
            start: value["start"].as_u64(),
            place: text("place"),
        })
    }
}

/// `process 4711 on atlas`.
impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// A string that is unique on all machines.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The standard library seeds its hash tables with random numbers from the system; this reads one.
    static RANDOM: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:016x}-{:x}-{count:x}", since.as_nanos() as u64, *RANDOM, std::process::id())
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "unknown host".to_owned())
}

/// The boot id of the running kernel, on systems that have one.
pub(crate) fn kernel() -> Option<&'static str> {
    static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(boot.trim().to_owned()).filter(|boot| !boot.is_empty() && !boot.contains(char::is_whitespace))
    });
    BOOT.as_deref()
}

/// The kernel and the namespace of process numbers: containers on one kernel may have their own.
fn place() -> Option<String> {
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", kernel()?, namespace.to_str()?))
}

/// When a living process was started, in ticks since boot.
fn start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may contain anything. The state is the third, the start the 22nd.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_is_alive_and_worker_ids_are_unique() {
        let (one, two) = (Worker::new(), Worker::new());
        assert_ne!(one.id, two.id);
        assert_eq!((one.pid, &one.place, one.start), (two.pid, &two.place, two.start));
        if one.place.is_none() {
            return test_support::skipped("this system has no /proc");
        }
        assert_eq!(one.state(), WorkerState::Alive);
        assert_eq!(Worker { place: Some("other".to_owned()), ..one.clone() }.state(), WorkerState::Elsewhere);
        assert_eq!(Worker { place: None, ..one.clone() }.state(), WorkerState::Elsewhere);
        // The same number, started at another time.
        assert_eq!(Worker { start: one.start.map(|start| start - 1), ..one }.state(), WorkerState::Dead);
    }

    #[test]
    fn a_zombie_process_is_dead() {
        let here = Worker::new();
        if here.place.is_none() {
            return test_support::skipped("this system has no /proc");
        }
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let other = Worker { pid: child.id(), start: start(child.id()), ..here };
        assert_eq!(other.state(), WorkerState::Alive);
        child.kill().unwrap();
        while start(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(other.state(), WorkerState::Dead);
        child.wait().unwrap();
        assert_eq!(other.state(), WorkerState::Dead);
    }

    #[test]
    fn what_is_written_is_read() {
        let worker = Worker::new();
        assert_eq!(Worker::from_json(&worker.to_json()), Some(worker.clone()));
        assert_eq!(worker.to_takeover(Some("x"))["from"], "x");
        assert_eq!(Worker::from_json(&json!({"id": "x"})), None);
        assert_eq!(Worker::from_json(&json!([1])), None);
    }
}

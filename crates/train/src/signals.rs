//! SIGINT, SIGTERM and SIGHUP: the first makes the run save and stop, the second ends the process at once. A SIGHUP
//! that the process was started to ignore, as `nohup` does, stays ignored.
//!
//! A signal handler only sets a number, so that training stops with a consistent state, between two steps. A child
//! process of this project can be stopped in the same way by closing its standard input.

use std::io::{self, ErrorKind, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// 0, or the number of the received signal.
static REQUESTED: AtomicUsize = AtomicUsize::new(0);
/// Whether the next signal ends the process.
static NEXT_SIGNAL_ENDS_PROCESS: AtomicBool = AtomicBool::new(false);

/// A signal that makes a run stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt = SIGINT as isize,
    /// What `kill`, batch systems and container engines send.
    Terminate = SIGTERM as isize,
    /// The terminal was closed, or its connection was lost.
    Hangup = SIGHUP as isize,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::Hangup];

    /// `SIGINT`, `SIGTERM` or `SIGHUP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }

    /// The exit code that a shell reports for a process ended by this signal: 128 and the signal's number, so 130, 143
    /// or 129.
    pub fn exit_code(self) -> u8 {
        128 + self.number() as u8
    }

    fn number(self) -> i32 {
        self as i32
    }
}

/// Installs handlers: the first of these signals is only recorded, for [`requested`]; any later one has its default
/// effect. A second call changes nothing.
///
/// # Errors
/// The system refuses to install a handler.
pub fn install() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if *installed {
        return Ok(());
    }
    for signal in Signal::ALL {
        let number = signal.number();
        if signal == Signal::Hangup && is_ignored(number)? {
            continue;
        }
        // Handlers run in this order: at the first signal the first handler does nothing, and the last one arms it.
        flag::register_conditional_default(number, &NEXT_SIGNAL_ENDS_PROCESS)?;
        flag::register_usize(number, &REQUESTED, number as usize)?;
        flag::register(number, &NEXT_SIGNAL_ENDS_PROCESS)?;
    }
    *installed = true;
    Ok(())
}

/// Whether this process ignores a signal, which it may have inherited from its parent.
fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: `sigaction` is a plain C struct, for which all zeros are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null pointer as the new action changes nothing; the old one is written to a struct that outlives the
    // call.
    match unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } {
        0 => Ok(action.sa_sigaction == libc::SIG_IGN),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts a thread that treats the end of standard input like SIGTERM. The parent process keeps the pipe open for as
/// long as this one should run; if the parent dies, the system closes the pipe.
///
/// # Errors
/// The system fails to start a thread.
pub fn stop_at_end_of_input() -> io::Result<()> {
    let watch = || {
        let mut input = std::io::stdin().lock();
        loop {
            match input.read(&mut [0]) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        REQUESTED.store(SIGTERM as usize, Ordering::SeqCst);
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(watch).map(drop)
}

/// The signal that requested this process to stop, if any.
pub fn requested() -> Option<Signal> {
    let number = REQUESTED.load(Ordering::SeqCst);
    Signal::ALL.into_iter().find(|signal| signal.number() as usize == number)
}

/// One for each kind of signal, as numbers that processes sum: 1 for the one that requested this process to stop.
pub(crate) fn counts() -> [f64; 3] {
    let own = requested();
    Signal::ALL.map(|signal| f64::from(u8::from(own == Some(signal))))
}

/// A signal that some process got, from the sums of their [`counts`].
pub(crate) fn from_counts(counts: &[f64]) -> Option<Signal> {
    Signal::ALL.into_iter().zip(counts).find(|(_, count)| **count > 0.0).map(|(signal, _)| signal)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use test_support::TestProcess;

    use super::*;

    /// The part of the process that gets the signals.
    fn another_process() {
        install().unwrap();
        install().expect("a second call has no effect");
        assert_eq!(requested(), None);
        TestProcess::say_ready();
        let began = Instant::now();
        let signal = loop {
            assert!(began.elapsed() < Duration::from_secs(60), "no signal came");
            if let Some(signal) = requested() {
                break signal;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        TestProcess::say(signal.name());
        TestProcess::live_until_killed();
    }

    fn send(process: &TestProcess, signal: Signal) {
        let name = signal.name().trim_start_matches("SIG");
        let status = Command::new("sh").args(["-c", &format!("kill -s {name} {}", process.id())]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn the_first_signal_is_recorded_and_the_second_ends_the_process() {
        if TestProcess::is_this() {
            return another_process();
        }
        // Tests that nohup started hand their ignored SIGHUP on; tests/nothing_finished_is_lost.rs restores it.
        let ignored = is_ignored(SIGHUP).unwrap();
        let sent: Vec<Signal> =
            Signal::ALL.into_iter().filter(|signal| !(ignored && *signal == Signal::Hangup)).collect();
        for (first, second) in sent.iter().flat_map(|first| sent.iter().map(move |second| (*first, *second))) {
            let mut process = TestProcess::start(&[]);
            send(&process, first);
            process.wait_for(first.name());
            send(&process, second);
            let status = process.wait();
            assert_eq!(status.signal(), Some(second.number()), "{first:?}, {second:?}: {status}");
        }
    }

    #[test]
    fn processes_agree_on_a_signal_by_sums() {
        assert_eq!(from_counts(&counts()), None);
        assert_eq!(from_counts(&[0.0, 2.0, 1.0]), Some(Signal::Terminate));
    }

    #[test]
    fn exit_codes_equal_those_of_a_shell() {
        assert_eq!(Signal::ALL.map(Signal::exit_code), [130, 143, 129]);
        assert_eq!(Signal::ALL.map(Signal::name), ["SIGINT", "SIGTERM", "SIGHUP"]);
    }
}

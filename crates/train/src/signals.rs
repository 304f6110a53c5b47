//! SIGINT, SIGTERM and SIGHUP: the first asks the run to save and stop, the second ends the process at once. A SIGHUP that
//! the process was started to ignore, as `nohup` does, stays ignored.
//!
//! A signal only sets a number here, so that training stops where its state is whole: between two steps. A process that
//! was started by another of ours is asked in the same way by the end of its standard input.

use std::io::{self, ErrorKind, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// 0, or the number of the signal that came.
static REQUESTED: AtomicUsize = AtomicUsize::new(0);
/// Whether the next signal ends the process.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// A signal that asks a run to stop.
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

    /// What a shell reports of a process that this signal ended: 128 and the signal's number, so 130, 143 or 129.
    pub fn exit_code(self) -> u8 {
        128 + self.number() as u8
    }

    fn number(self) -> i32 {
        self as i32
    }
}

/// From now on the first of these signals is only noted, for [`requested`]; one after it, of any kind, does what it does
/// without a handler. A second call changes nothing.
///
/// # Errors
/// A system that doesn't let a signal be caught.
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
        // Handlers run in this order: the first signal passes by the first of them and arms it.
        flag::register_conditional_default(number, &AGAIN)?;
        flag::register_usize(number, &REQUESTED, number as usize)?;
        flag::register(number, &AGAIN)?;
    }
    *installed = true;
    Ok(())
}

/// Whether this process ignores a signal, as its parent may have arranged.
fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: `sigaction` is a plain struct of the system, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null pointer as the new action changes nothing; the old one is written to a struct that outlives the call.
    match unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } {
        0 => Ok(action.sa_sigaction == libc::SIG_IGN),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on the end of standard input is noted as SIGTERM would be. The process at the other end holds a pipe open for
/// as long as it wants this one to go on, and it need not live to close it: the system does that for the dead.
///
/// # Errors
/// A system that has no more threads.
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

/// The signal that has asked this process to stop, if one has.
pub fn requested() -> Option<Signal> {
    let number = REQUESTED.load(Ordering::SeqCst);
    Signal::ALL.into_iter().find(|signal| signal.number() as usize == number)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use test_support::TestProcess;

    use super::*;

    #[test]
    #[ignore = "another process: started by the tests below, so `cargo test -p train` runs it"]
    fn another_process() {
        install().unwrap();
        install().expect("twice is as good as once");
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

    fn start() -> TestProcess {
        TestProcess::start("signals::tests::another_process", &[])
    }

    fn send(process: &TestProcess, signal: Signal) {
        let name = signal.name().trim_start_matches("SIG");
        let status = Command::new("sh").args(["-c", &format!("kill -s {name} {}", process.id())]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn the_first_signal_is_noted_and_the_second_ends_the_process() {
        for (first, second) in Signal::ALL.into_iter().flat_map(|first| Signal::ALL.map(|second| (first, second))) {
            let mut process = start();
            send(&process, first);
            process.wait_for(first.name());
            send(&process, second);
            let status = process.wait();
            assert_eq!(status.signal(), Some(second.number()), "{first:?}, {second:?}: {status}");
        }
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(Signal::ALL.map(Signal::exit_code), [130, 143, 129]);
        assert_eq!(Signal::ALL.map(Signal::name), ["SIGINT", "SIGTERM", "SIGHUP"]);
    }
}

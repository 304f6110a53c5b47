//! Several processes of the program that work as one, started by hand as a script would: by `RANK`, `WORLD_SIZE`,
//! `MASTER_ADDR` and `MASTER_PORT`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use super::running::Running;
use super::{Output, Sandbox};

/// How often a launch is tried whose port another program took in the meantime.
const TRIES: usize = 3;

impl Sandbox {
    /// Runs the program as `world` ranks, waits for all of them, and returns their outputs in order.
    pub(crate) fn ranks(&self, world: usize, line: &str) -> Vec<Output> {
        for _ in 1..TRIES {
            let outputs = ends(self.start_ranks(world, line, &[]));
            if !outputs[0].err.contains("in use") {
                return outputs;
            }
        }
        ends(self.start_ranks(world, line, &[]))
    }

    /// The same for ranks that must all succeed; returns what rank 0 printed. The others print no results.
    pub(crate) fn ranks_succeed(&self, world: usize, line: &str) -> String {
        let mut outputs = self.ranks(world, line);
        for (rank, output) in outputs.iter().enumerate() {
            assert_eq!(output.code, 0, "rank {rank} of {world}: verdict {line}\n{}{}", output.out, output.err);
            assert!(rank == 0 || output.out.is_empty(), "rank {rank} of {world}: {}", output.out);
        }
        outputs.swap_remove(0).out
    }

    /// Starts the program as `world` ranks on one thread each, with these additional environment variables.
    pub(crate) fn start_ranks(&self, world: usize, line: &str, set: &[(&str, &str)]) -> Vec<Running> {
        self.start_ranks_of(&vec![line; world], set)
    }

    /// The same with a command line for each rank.
    pub(crate) fn start_ranks_of(&self, lines: &[&str], set: &[(&str, &str)]) -> Vec<Running> {
        let port = free_port();
        let start = |(rank, line): (usize, &&str)| {
            Running::started(self.rank(rank, lines.len(), port, line).envs(set.iter().copied()))
        };
        lines.iter().enumerate().map(start).collect()
    }

    /// The command of one of several ranks, which meet at this port.
    pub(crate) fn rank(&self, rank: usize, world: usize, port: u16, line: &str) -> Command {
        let mut command = self.command(line);
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", world.to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command
    }
}

/// Waits for all processes at once, so that none waits for its output to be read.
pub(crate) fn ends(processes: Vec<Running>) -> Vec<Output> {
    let ends: Vec<_> = processes.into_iter().map(|process| thread::spawn(|| process.end())).collect();
    ends.into_iter().map(|end| end.join().expect("an output")).collect()
}

/// A port on which nothing listens, and which no other test of this process was given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().expect("no panic");
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if given.insert(port) {
            return port;
        }
    }
}

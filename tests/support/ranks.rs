//! Several processes of the program that train together.

use std::net::TcpListener;
use std::process::Command;

use super::running::Running;
use super::sandbox::{Output, Sandbox};

/// A port on which nothing listens.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Sandbox {
    /// Runs a command line as each of `count` processes, and returns their outputs in the order of the ranks.
    pub(crate) fn ranks(&self, count: usize, line: &str) -> Vec<Output> {
        self.start_ranks(count, line, &[]).into_iter().map(Running::end).collect()
    }

    /// Starts a command line as each of `count` processes, with these additional environment variables.
    pub(crate) fn start_ranks(&self, count: usize, line: &str, set: &[(&str, &str)]) -> Vec<Running> {
        let port = free_port();
        let ranks = (0..count).map(|rank| Running::of(self.rank(rank, count, port, line).envs(set.iter().copied())));
        ranks.collect()
    }

    /// The command of one of several processes.
    pub(crate) fn rank(&self, rank: usize, count: usize, port: u16, line: &str) -> Command {
        let mut command = self.command(line);
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", count.to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command
    }
}

//! The machine, for the JSON file and the head of the table.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::options::Device;

/// The properties of the machine that determine speed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    /// Physical cores.
    pub cores: usize,
    memory_gib: Option<f64>,
    system: String,
    gpu: Option<String>,
}

impl Machine {
    pub(crate) fn detect(device: Device) -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = value_of(&cpuinfo, "model name").map(str::to_owned);
        let gpu = || output_of("nvidia-smi", &["--query-gpu=name,driver_version", "--format=csv,noheader"]);
        Machine {
            cpu: cpu.or_else(|| output_of("sysctl", &["-n", "machdep.cpu.brand_string"])).unwrap_or("unknown".into()),
            cores: cores(&cpuinfo),
            memory_gib: value_of(&read("/proc/meminfo"), "MemTotal").and_then(gib),
            system: output_of("uname", &["-srm"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            gpu: (device == Device::Cuda).then(gpu).flatten(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let memory = self.memory_gib.map_or(String::new(), |gib| format!(", {gib:.0} GiB"));
        let gpu = self.gpu.as_ref().map_or(String::new(), |gpu| format!(", {gpu}"));
        let word = if self.cores == 1 { "core" } else { "cores" };
        format!("{}, {} {word}{memory}{gpu}, {}", self.cpu, self.cores, self.system)
    }
}

/// The output of a command, trimmed; `None` if it is missing or failed.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Physical cores that this process may use: two threads of one core share its arithmetic units.
fn cores(cpuinfo: &str) -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    match physical(cpuinfo) {
        0 => allowed,
        physical => physical.min(allowed),
    }
}

/// The number of pairs of socket and core; 0 if they are not listed.
fn physical(cpuinfo: &str) -> usize {
    let both = |processor: &str| {
        Some((value_of(processor, "physical id")?.to_owned(), value_of(processor, "core id")?.to_owned()))
    };
    cpuinfo.split("\n\n").filter_map(both).collect::<BTreeSet<_>>().len()
}

/// The value of the first line `key : value`.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let pair = |line: &'a str| line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    text.lines().filter_map(pair).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// `24680092 kB` as GiB.
fn gib(text: &str) -> Option<f64> {
    Some(text.strip_suffix(" kB")?.parse::<f64>().ok()? / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_of_a_core_are_one() {
        let processor = |id: usize, core: usize| {
            format!("processor\t: {id}\nmodel name\t: Some CPU\nphysical id\t: 0\ncore id\t\t: {core}\n")
        };
        let text = [processor(0, 0), processor(1, 1), processor(2, 0), processor(3, 1)].join("\n");
        assert_eq!(physical(&text), 2);
        assert_eq!(value_of(&text, "model name"), Some("Some CPU"));
        assert_eq!(physical("processor : 0\n"), 0);
    }

    #[test]
    fn memory_is_read_in_gib() {
        assert_eq!(value_of("MemTotal:       2097152 kB\nMemFree: 1 kB\n", "MemTotal").and_then(gib), Some(2.0));
        assert_eq!(gib("much"), None);
    }

    #[test]
    fn the_line_describes_the_machine() {
        let machine = Machine {
            cpu: "A CPU".into(),
            cores: 2,
            memory_gib: Some(23.5),
            system: "Linux 6 x86_64".into(),
            gpu: Some("H100, 580".into()),
        };
        assert_eq!(machine.line(), "A CPU, 2 cores, 24 GiB, H100, 580, Linux 6 x86_64");
    }
}

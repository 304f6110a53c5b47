//! Where the time of a benchmark goes, by suite.

use crate::results::Process;
use crate::table::{grid, number};

/// A table of seconds by suite, in the order in which they ran: of the clock, and of the processors, which other programs
/// lengthen less.
pub(crate) fn render(processes: &[Process]) -> String {
    let mut parts: Vec<(&str, f64, f64)> = Vec::new();
    for process in processes {
        let at = parts.iter().position(|(part, ..)| *part == process.part).unwrap_or_else(|| {
            parts.push((process.part, 0.0, 0.0));
            parts.len() - 1
        });
        parts[at].1 += process.finished.seconds;
        parts[at].2 += process.finished.cpu_seconds.unwrap_or(0.0);
    }
    let total = parts.iter().fold(("all", 0.0, 0.0), |sum, part| (sum.0, sum.1 + part.1, sum.2 + part.2));
    let mut lines = vec![["time of the benchmark", "seconds", "processor seconds"].map(str::to_owned).to_vec()];
    let line = |(part, seconds, cpu): &(&str, f64, f64)| vec![format!("  {part}"), number(*seconds), number(*cpu)];
    lines.extend(parts.iter().chain([&total]).map(line));
    grid(&lines)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::process::Finished;

    #[test]
    fn seconds_are_added_up_by_suite() {
        let process = |part, seconds, cpu_seconds| Process {
            part,
            what: "w".to_owned(),
            command: "c".to_owned(),
            finished: Finished { output: Value::Null, seconds, cpu_seconds, peak_mib: None, first_step: None },
        };
        let text = render(&[
            process("train", 10.0, Some(19.0)),
            process("memory", 2.0, None),
            process("train", 20.5, Some(30.5)),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "time of the benchmark  seconds  processor seconds",
                "  train                30.5     49.5",
                "  memory               2.00     0",
                "  all                  32.5     49.5",
            ]
        );
    }
}

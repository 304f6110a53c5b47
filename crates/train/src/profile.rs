//! `--profile`: the mean step by phase, as a table and as `profile.json` in the run.

use std::time::Duration;

use model::profile::{self, PHASES, PhaseTimes};
use run::{PROFILE, RunFolder};

use crate::error::Result;
use crate::gradient_sum::SumCost;

/// Steps at the beginning that are left out: they allocate memory and compile kernels.
const WARM_UP: u64 = 5;

/// The time of steps by phase.
#[derive(Debug)]
pub(crate) struct Profile {
    steps_seen: u64,
    total: Duration,
    phases: PhaseTimes,
    sums: SumCost,
}

/// The mean step in milliseconds.
struct Summary {
    /// How many steps the means are over.
    steps: u64,
    step_ms: f64,
    /// By phase, with the remainder as `other`; the sum is the whole step.
    phases: Vec<(&'static str, f64)>,
    /// What the sums over several processes cost; `None` for a single one.
    sums: Option<SumSummary>,
}

/// The mean step's sums of gradients over several processes.
struct SumSummary {
    /// Bytes of gradients that each process contributed.
    bytes: u64,
    /// From the start of the first sum to the end of the last one.
    ms: f64,
    /// The share of that time in which the process computed something else.
    hidden: f64,
}

impl Profile {
    /// Starts timing phases on this thread.
    pub(crate) fn start() -> Self {
        profile::start();
        Self { steps_seen: 0, total: Duration::ZERO, phases: PhaseTimes::default(), sums: SumCost::default() }
    }

    /// Discards time outside of steps, such as evaluation.
    pub(crate) fn before_step(&self) {
        let _ = profile::take();
    }

    /// Adds the phases of a step with the total duration `time`.
    pub(crate) fn after_step(&mut self, time: Duration, sums: &SumCost) {
        let phases = profile::take();
        self.steps_seen += 1;
        if self.steps_seen > WARM_UP {
            self.total += time;
            self.phases.iter_mut().zip(phases).for_each(|(sum, time)| *sum += time);
            self.sums.bytes += sums.bytes;
            self.sums.waited += sums.waited;
            self.sums.elapsed += sums.elapsed;
        }
    }

    fn summary(&self) -> Summary {
        let steps = self.steps_seen.saturating_sub(WARM_UP);
        let ms = |time: Duration| time.as_secs_f64() * 1000.0 / steps.max(1) as f64;
        let mut phases: Vec<_> = PHASES.into_iter().zip(self.phases.map(ms)).collect();
        let step_ms = ms(self.total);
        let known: f64 = phases.iter().map(|(_, ms)| ms).sum();
        phases.push(("other", step_ms - known));
        let SumCost { bytes, waited, elapsed } = self.sums;
        let sums = (bytes > 0).then(|| SumSummary {
            bytes: bytes / steps.max(1),
            ms: ms(elapsed),
            hidden: 1.0 - waited.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        });
        Summary { steps, step_ms, phases, sums }
    }

    pub(crate) fn table(&self) -> String {
        let summary = self.summary();
        if summary.steps == 0 {
            return format!("no profile: it leaves out the first {WARM_UP} steps, and there were no more\n");
        }
        let mut text = format!("mean of {} steps\n", summary.steps);
        for (name, ms) in summary.phases.into_iter().chain([("step", summary.step_ms)]) {
            text += &format!("{name:<14} {ms:>9.2} ms {:>6.1} %\n", 100.0 * ms / summary.step_ms);
        }
        if let Some(SumSummary { bytes, ms, hidden }) = summary.sums {
            text += &format!(
                "sums over processes: {} of gradients a step, {ms:.2} ms, of which {:.1} % beside other work\n",
                disk::human_bytes(bytes),
                100.0 * hidden
            );
        }
        text
    }

    /// Writes `profile.json`.
    ///
    /// # Errors
    /// A file that can't be written.
    pub(crate) fn write(&self, run: &RunFolder) -> Result<()> {
        let Summary { steps, step_ms, phases, sums } = self.summary();
        let phases: serde_json::Map<_, _> = phases.into_iter().map(|(name, ms)| (name.to_owned(), ms.into())).collect();
        let mut json = serde_json::json!({ "steps": steps, "step_ms": step_ms, "phases": phases });
        if let Some(SumSummary { bytes, ms, hidden }) = sums {
            json["sums"] = serde_json::json!({ "bytes": bytes, "ms": ms, "hidden": hidden });
        }
        Ok(run.write(PROFILE, format!("{json:#}\n"))?)
    }
}

#[cfg(test)]
mod tests {
    use model::profile::Phase;

    use super::*;

    #[test]
    fn phases_add_up_to_the_step_and_the_first_steps_are_excluded() {
        let mut profile = Profile::start();
        assert!(profile.table().contains("there were no more"));
        for _ in 0..WARM_UP {
            profile.after_step(Duration::from_secs(9), &SumCost::default());
        }
        for _ in 0..2 {
            profile::timed(Phase::Gemm, || std::thread::sleep(Duration::from_millis(5)));
            profile.before_step();
            profile::timed(Phase::Optimizer, || std::thread::sleep(Duration::from_millis(5)));
            profile.after_step(Duration::from_millis(50), &SumCost::default());
        }
        let summary = profile.summary();
        assert_eq!((summary.steps, summary.step_ms), (2, 50.0));
        let sum: f64 = summary.phases.iter().map(|(_, ms)| ms).sum();
        assert!((sum - 50.0).abs() < 1e-9);
        let of = |name: &str| summary.phases.iter().find(|(other, _)| *other == name).expect("a phase").1;
        assert!(of("gemm") == 0.0 && of("optimizer") >= 5.0 && of("other") <= 45.0);
        let table = profile.table();
        assert!(
            table.starts_with("mean of 2 steps\n") && table.ends_with("step               50.00 ms  100.0 %\n"),
            "{table}"
        );
    }
}

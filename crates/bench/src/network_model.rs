//! The time of a step on several hosts: a model, from what one host was measured to need.
//!
//! Its assumptions:
//!
//! - All hosts are as fast as the measured one, begin a step together, and have equal shares of it.
//! - Gradients are summed around a ring. Each host sends and receives 2 (N - 1) / N of their bytes, at the full rate in both
//!   directions at once, and each sum waits 2 (N - 1) times for the latency. Adding takes no time.
//! - The buckets of gradients travel beside the backward pass, from the end of the first one to the end of the pass, and
//!   slow nothing down. The last bucket is complete when the pass ends. The rows of the word embeddings travel after it.
//! - More hosts, each with the measured batch (weak scaling), or with equal parts of it (strong scaling): the passes take
//!   time in proportion to a host's sentences, of which it has at least one, and the update takes always the same.

use serde::Serialize;

use crate::table::{grid, number};

/// Numbers of hosts.
pub(crate) const HOSTS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// Rates of the network.
const GBIT_PER_SECOND: [f64; 3] = [1.0, 10.0, 100.0];

/// Seconds until a message arrives, however short it is.
const LATENCY: f64 = 50e-6;

/// Bytes of the first bucket and of the others, as in training.
const FIRST_BUCKET: f64 = (1 << 20) as f64;
const BUCKET: f64 = (25 << 20) as f64;

/// A step on one host, as measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HostStep {
    pub sentences: usize,
    pub seconds: f64,
    /// The part of it that does not depend on the number of sentences: the gradients' norm and the update.
    pub update_seconds: f64,
    /// The part of the backward pass after its first bucket is complete.
    pub overlap_seconds: f64,
    /// The gradients without those of the word embeddings.
    pub dense_bytes: f64,
    /// The rows of the word embeddings' gradient in a batch of [`sentences`](Self::sentences).
    pub row_bytes: f64,
    /// The same in the batch of all hosts together, for each of [`HOSTS`], if each has as many sentences.
    pub row_bytes_of_hosts: [f64; HOSTS.len()],
}

/// What grows with the number of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ScalingKind {
    /// The batch: each host has the measured one.
    Weak,
    /// Nothing: the hosts share the measured batch.
    Strong,
}

/// A step on several hosts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ModeledStep {
    scaling: ScalingKind,
    hosts: usize,
    gbit_per_second: f64,
    compute_seconds: f64,
    /// Of all sums.
    network_seconds: f64,
    /// The part of it in which the hosts compute nothing.
    exposed_seconds: f64,
    /// Sentences a second, as a share of those of this many hosts alone.
    efficiency: f64,
}

impl HostStep {
    /// Steps with each number of hosts, at each rate of the network, in both ways of scaling.
    pub(crate) fn on_hosts(&self) -> Vec<ModeledStep> {
        let mut steps = Vec::new();
        for scaling in [ScalingKind::Weak, ScalingKind::Strong] {
            for (hosts, row_bytes_of_hosts) in HOSTS.into_iter().zip(self.row_bytes_of_hosts) {
                let row_bytes = if scaling == ScalingKind::Weak { row_bytes_of_hosts } else { self.row_bytes };
                steps.extend(GBIT_PER_SECOND.map(|rate| self.step(scaling, hosts, row_bytes, rate)));
            }
        }
        steps
    }

    fn step(&self, scaling: ScalingKind, hosts: usize, row_bytes: f64, gbit_per_second: f64) -> ModeledStep {
        let (share, batches) = match scaling {
            ScalingKind::Weak => (1.0, hosts as f64),
            ScalingKind::Strong => (1.0 / hosts.min(self.sentences) as f64, 1.0),
        };
        let compute_seconds = self.update_seconds + (self.seconds - self.update_seconds) * share;
        let buckets = buckets(self.dense_bytes);
        let in_buckets = ring_seconds(self.dense_bytes, buckets, hosts, gbit_per_second);
        let rows = ring_seconds(row_bytes, 1.0, hosts, gbit_per_second);
        // The network is behind, or only the last bucket is left.
        let exposed_seconds = (in_buckets - self.overlap_seconds * share).max(in_buckets / buckets) + rows;
        let efficiency = batches * self.seconds / (hosts as f64 * (compute_seconds + exposed_seconds));
        let network_seconds = in_buckets + rows;
        ModeledStep { scaling, hosts, gbit_per_second, compute_seconds, network_seconds, exposed_seconds, efficiency }
    }
}

/// The bytes that each process sends, and as many that it receives, to sum `bytes` around a ring.
pub(crate) fn ring_bytes(bytes: f64, processes: usize) -> f64 {
    2.0 * (processes as f64 - 1.0) / processes as f64 * bytes
}

/// The time of `sums` sums of together `bytes`.
fn ring_seconds(bytes: f64, sums: f64, hosts: usize, gbit_per_second: f64) -> f64 {
    ring_bytes(bytes, hosts) * 8.0 / (gbit_per_second * 1e9) + sums * 2.0 * (hosts as f64 - 1.0) * LATENCY
}

/// The number of buckets that hold this many bytes.
fn buckets(bytes: f64) -> f64 {
    1.0 + ((bytes - FIRST_BUCKET).max(0.0) / BUCKET).ceil()
}

/// The steps as a table: for weak scaling the share of the speed that as many hosts alone have, for strong scaling how many
/// times as fast as one host they are.
pub(crate) fn render(title: &str, host: &HostStep, steps: &[ModeledStep]) -> String {
    let mut header = vec!["  hosts".to_owned()];
    for scaling in ["weak", "strong"] {
        header.extend(GBIT_PER_SECOND.map(|rate| format!("{scaling}, {rate} Gbit/s")));
    }
    let title = format!(
        "{title}: modeled on several hosts ({} ms a step on one, {} ms of it beside sums of {} MiB)",
        number(host.seconds * 1e3),
        number(host.overlap_seconds * 1e3),
        number((host.dense_bytes + host.row_bytes) / f64::from(1 << 20))
    );
    let mut lines = vec![vec![title], header];
    for hosts in HOSTS {
        let of_hosts = steps.iter().filter(|step| step.hosts == hosts);
        let cells = of_hosts.map(|step| match step.scaling {
            ScalingKind::Weak => format!("{:.0} %", 100.0 * step.efficiency),
            ScalingKind::Strong => format!("{}x", number(step.efficiency * hosts as f64)),
        });
        lines.push(std::iter::once(format!("  {hosts}")).chain(cells).collect());
    }
    grid(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 ms, of which 40 ms are beside sums; 51 MiB in three buckets, of which the last ends with the backward pass.
    fn host() -> HostStep {
        HostStep {
            sentences: 16,
            seconds: 0.1,
            update_seconds: 0.02,
            overlap_seconds: 0.04,
            dense_bytes: 51.0 * 1024.0 * 1024.0,
            row_bytes: 1e6,
            row_bytes_of_hosts: [2e6, 4e6, 8e6, 16e6, 32e6, 64e6],
        }
    }

    fn of(scaling: ScalingKind, hosts: usize, gbit_per_second: f64) -> ModeledStep {
        let steps = host().on_hosts();
        let is_it =
            |step: &&ModeledStep| (step.scaling, step.hosts, step.gbit_per_second) == (scaling, hosts, gbit_per_second);
        *steps.iter().find(is_it).unwrap()
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found} instead of {expected}");
    }

    #[test]
    fn a_ring_moves_each_byte_almost_twice() {
        assert_eq!([1, 2, 4].map(|processes| ring_bytes(100.0, processes)), [0.0, 100.0, 150.0]);
        // A gigabit in one second, and three times two latencies.
        assert_near(ring_seconds(125e6, 3.0, 2, 1.0), 1.0 + 6.0 * 50e-6);
        assert_near(ring_seconds(125e6, 1.0, 4, 10.0), 0.15 + 6.0 * 50e-6);
    }

    #[test]
    fn the_first_bucket_is_small() {
        let found = [0.5, 1.0, 1.5, 26.0, 27.0, 51.0].map(|mib| buckets(mib * 1024.0 * 1024.0));
        assert_eq!(found, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn a_slow_network_is_waited_for() {
        let step = of(ScalingKind::Weak, 2, 1.0);
        let (in_buckets, rows) = (51.0 * 1024.0 * 1024.0 * 8e-9 + 6.0 * 50e-6, 2e6 * 8e-9 + 2.0 * 50e-6);
        assert_near(step.network_seconds, in_buckets + rows);
        assert_near(step.exposed_seconds, in_buckets - 0.04 + rows);
        assert_near(step.efficiency, 0.1 / (0.1 + in_buckets - 0.04 + rows));
    }

    #[test]
    fn beside_a_fast_network_only_the_last_bucket_and_the_rows_are_waited_for() {
        let step = of(ScalingKind::Weak, 2, 100.0);
        let (in_buckets, rows) = (51.0 * 1024.0 * 1024.0 * 8e-11 + 6.0 * 50e-6, 2e6 * 8e-11 + 2.0 * 50e-6);
        assert_near(step.exposed_seconds, in_buckets / 3.0 + rows);
        assert!(step.efficiency > 0.97, "{step:?}");
    }

    #[test]
    fn a_shared_batch_divides_the_passes_and_what_they_hide_but_not_the_update() {
        let step = of(ScalingKind::Strong, 4, 10.0);
        assert_near(step.compute_seconds, 0.02 + 0.08 / 4.0);
        let (in_buckets, rows) = (1.5 * 51.0 * 1024.0 * 1024.0 * 8e-10 + 18.0 * 50e-6, 1.5 * 1e6 * 8e-10 + 6.0 * 50e-6);
        assert_near(step.exposed_seconds, in_buckets - 0.01 + rows);
        assert_near(step.efficiency, 0.1 / (4.0 * (0.04 + step.exposed_seconds)));
        let compute = |hosts: usize| of(ScalingKind::Strong, hosts, 10.0).compute_seconds;
        assert_eq!(compute(16), compute(64), "a host has at least one sentence");
    }

    #[test]
    fn more_hosts_are_never_more_efficient_and_a_faster_network_is_never_slower() {
        let steps = host().on_hosts();
        assert_eq!(steps.len(), 2 * HOSTS.len() * GBIT_PER_SECOND.len());
        for one in &steps {
            assert!(one.exposed_seconds > 0.0 && one.exposed_seconds <= one.network_seconds, "{one:?}");
            let others = steps.iter().filter(|other| other.scaling == one.scaling);
            for other in others.filter(|other| other.hosts >= one.hosts && other.gbit_per_second <= one.gbit_per_second)
            {
                assert!(other.efficiency <= one.efficiency, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn weak_scaling_is_a_share_and_strong_scaling_a_speed_up() {
        let (host, steps) = (host(), host().on_hosts());
        let text = render("MiniLM-L6, fp32, batches of 16", &host, &steps);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + HOSTS.len());
        assert_eq!(
            lines[0],
            "MiniLM-L6, fp32, batches of 16: modeled on several hosts (100 ms a step on one, 40.0 ms of it beside sums of \
             52.0 MiB)"
        );
        assert!(
            lines[1].starts_with("  hosts  weak, 1 Gbit/s  weak, 10 Gbit/s  weak, 100 Gbit/s  strong, 1 Gbit/s"),
            "{text}"
        );
        let cells: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(cells, ["2", "20", "%", "86", "%", "98", "%", "0.210x", "1.19x", "1.62x"], "{text}");
    }
}

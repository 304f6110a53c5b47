//! What the server counts, in the form of Prometheus and under the names of text-embeddings-inference.
//!
//! A request is counted once when it arrives, and once more when it ends, as a success or as a failure: while none is being
//! answered, `te_request_count` is the sum of `te_request_success` and `te_request_failure`.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Seconds: from a cached answer of a small model to the longest that a request may take.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Tokens of a text or of a batch.
const TOKENS: [f64; 12] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
/// Texts of a batch.
const TEXTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The counters of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    successes: IntCounterVec,
    failures: IntCounterVec,
    texts: IntCounter,
    text_successes: IntCounter,
    request_times: Times,
    text_times: Times,
    input_length: Histogram,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    queue_size: IntGauge,
    connections: IntGauge,
}

/// Where the time of a request goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Durations {
    pub total: Duration,
    pub tokenization: Duration,
    pub queue: Duration,
    pub inference: Duration,
}

#[derive(Debug)]
struct Times {
    total: Histogram,
    tokenization: Histogram,
    queue: Histogram,
    inference: Histogram,
}

impl Times {
    /// `te_NAME_duration` and its parts.
    fn new(registry: &Registry, name: &str, of: &str) -> Self {
        let part = |part: &str, what: &str| {
            let help = format!("Seconds of {what} {of}");
            histogram(registry, &format!("te_{name}_{part}duration"), &help, &SECONDS)
        };
        Self {
            total: part("", "answering"),
            tokenization: part("tokenization_", "tokenizing"),
            queue: part("queue_", "waiting in the queue of"),
            inference: part("inference_", "computing"),
        }
    }

    fn observe(&self, durations: Durations) {
        self.total.observe(durations.total.as_secs_f64());
        self.tokenization.observe(durations.tokenization.as_secs_f64());
        self.queue.observe(durations.queue.as_secs_f64());
        self.inference.observe(durations.inference.as_secs_f64());
    }
}

/// What a request asks for: the `method` of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestMethod {
    Single,
    Batch,
    /// It was refused before that was known.
    Unknown,
}

impl RequestMethod {
    fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
            Self::Unknown => "unknown",
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let labeled =
            |name: &str, help: &str, label: &str| added(&registry, IntCounterVec::new(Opts::new(name, help), &[label]));
        let counter = |name: &str, help: &str| added(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| added(&registry, IntGauge::new(name, help));
        Self {
            requests: labeled("te_request_count", "Requests to label texts", "method"),
            successes: labeled("te_request_success", "Requests that were answered with labels", "method"),
            failures: labeled(
                "te_request_failure",
                "Requests that were not answered with labels, by the reason",
                "err",
            ),
            texts: counter("te_predict_count", "Texts that were to be labeled"),
            text_successes: counter("te_predict_success", "Texts that were labeled"),
            request_times: Times::new(&registry, "request", "a request"),
            text_times: Times::new(&registry, "predict", "the request of a text, counted for each text"),
            input_length: histogram(&registry, "te_request_input_length", "Tokens of a text", &TOKENS),
            batch_texts: histogram(&registry, "te_batch_next_size", "Texts of a forward pass", &TEXTS),
            batch_tokens: histogram(&registry, "te_batch_next_tokens", "Tokens of a forward pass", &TOKENS),
            queue_size: gauge("te_queue_size", "Requests of which no forward pass has begun"),
            connections: gauge("te_connections", "Open connections"),
            registry,
        }
    }

    /// A request with so many texts.
    pub(crate) fn request(&self, method: RequestMethod, texts: usize) {
        self.requests.with_label_values(&[method.name()]).inc();
        self.texts.inc_by(texts as u64);
    }

    pub(crate) fn success(&self, method: RequestMethod, lengths: &[usize], durations: Durations) {
        self.successes.with_label_values(&[method.name()]).inc();
        self.text_successes.inc_by(lengths.len() as u64);
        self.request_times.observe(durations);
        for length in lengths {
            self.text_times.observe(durations);
            self.input_length.observe(*length as f64);
        }
    }

    /// A request that is answered with an error of this kind, or whose client has gone.
    pub(crate) fn failure(&self, kind: &str) {
        self.failures.with_label_values(&[kind.to_ascii_lowercase()]).inc();
    }

    pub(crate) fn batch(&self, texts: usize, tokens: usize) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
    }

    pub(crate) fn queue_size(&self, requests: usize) {
        self.queue_size.set(requests as i64);
    }

    pub(crate) fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// All of them as text, in the format that Prometheus reads.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory doesn't fail, and every metric has a name and a value.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

/// The `Content-Type` of [`Metrics::text`].
pub(crate) const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    added(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
}

/// Registers a metric.
///
/// # Panics
/// If its name is not one, or was used before: both are mistakes in this file, which every test would meet.
fn added<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("a name and buckets that Prometheus takes");
    registry.register(Box::new(metric.clone())).expect("a name that no other metric has");
    metric
}

#[cfg(test)]
mod dashboard;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_and_its_success_once() {
        let metrics = Metrics::new();
        metrics.request(RequestMethod::Single, 1);
        metrics.success(RequestMethod::Single, &[9], Durations::default());
        metrics.request(RequestMethod::Batch, 3);
        metrics.success(RequestMethod::Batch, &[3, 4, 5], Durations::default());
        metrics.request(RequestMethod::Unknown, 0);
        metrics.failure("Validation");
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            "te_request_count{method=\"single\"} 1",
            "te_request_count{method=\"batch\"} 1",
            "te_request_success{method=\"single\"} 1",
            "te_request_success{method=\"batch\"} 1",
            "te_request_failure{err=\"validation\"} 1",
            "te_predict_count 4",
            "te_predict_success 4",
            "te_request_duration_count 2",
            "te_predict_duration_count 4",
            "te_request_input_length_sum 21",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}

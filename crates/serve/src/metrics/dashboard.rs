//! The documents that watch the server, `docs/serving/`, name counters that it has.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Durations, Metrics, RequestMethod};

/// Every series of a server that has answered and refused something.
fn served() -> BTreeSet<String> {
    let metrics = Metrics::new();
    metrics.request(RequestMethod::Single, 1);
    metrics.success(RequestMethod::Single, &[9], Durations::default());
    metrics.failure("Validation");
    let text = String::from_utf8(metrics.text()).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// The words of a text that are names of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("te_")).map(str::to_owned).collect()
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn dashboard_and_alerts_ask_for_counters_that_there_are() {
    let served = served();
    let dashboard: serde_json::Value = serde_json::from_str(&document("serving/dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 8);
    for name in ["serving/dashboard.json", "serving/alerts.yml"] {
        let named = named(&document(name));
        assert!(!named.is_empty(), "{name}");
        let unknown: Vec<_> = named.difference(&served).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}; there are {served:?}");
    }
    // In words a histogram has its own name, without `_bucket`, `_sum` or `_count`.
    let page = named(&document("serving.md"));
    let unknown: Vec<_> =
        page.iter().filter(|name| !served.contains(*name) && !served.contains(&format!("{name}_bucket"))).collect();
    assert!(!page.is_empty() && unknown.is_empty(), "serving.md names {unknown:?}");
}

//! The report of a run, and the page that compares runs, opened from the disk in a real browser: nothing is asked for from
//! outside, nothing is on the console, every picture is there, nothing overflows on a phone, axe-core finds nothing serious,
//! light and dark and on paper.
//!
//! The browser is Chromium, driven by Python's playwright (`report_in_a_browser/browser.py`), both looked for as
//! `page_in_a_browser.rs` does.

use std::path::Path;
use std::process::Command;

use judge::samples;
use serde_json::{Value, json};

use crate::page_in_a_browser::browser;
use crate::support::Sandbox;

/// Lets the evaluation of a run keep an invented judgement, whose every part is full.
pub(crate) fn judge(sandbox: &Sandbox, run: &str) {
    let name = format!("{run}/evaluation-test.json");
    let mut kept = sandbox.json(&name);
    let labels: Vec<String> = serde_json::from_value(kept["label_names"].clone()).expect("labels");
    let judgement =
        samples::judgement(1_821, &labels, "an invented <text> that is long enough to be broken into lines on a phone");
    kept["judgement"] = serde_json::to_value(judgement).expect("a judgement");
    sandbox.write(&name, &kept.to_string());
}

/// What the script saw: it ends with an error at the first thing that isn't as it should be.
fn look(page: &Path, folder: &Path) -> Option<Value> {
    let (python, chromium) = browser()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/report_in_a_browser/browser.py");
    let output = Command::new(python).arg(script).arg(page).arg(chromium).arg(folder).output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", page.display());
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{said}")))
}

#[test]
fn reports_open_offline_in_every_light_and_size() {
    if browser().is_none() {
        return;
    }
    let sandbox = Sandbox::trained(2);
    sandbox.succeeds("evaluate --run run");
    judge(&sandbox, "run");
    sandbox.succeeds("report run");
    let seen = look(&sandbox.path("run/report-test.html"), &sandbox.path(".")).expect("a browser");
    assert_eq!(seen["serious"], json!([]), "axe-core");
    let pictures = [
        "reviews.csv on test",
        "reviews.csv on test: ROC",
        "reviews.csv on test: abstaining",
        "reviews.csv on test: model and baselines",
        "reviews.csv on test: precision and recall",
        "reviews.csv on test: reliability",
        "reviews.csv on test: slices",
        "Training",
    ];
    for picture in pictures {
        let found = seen["pictures"].as_array().is_some_and(|titles| titles.contains(&json!(picture)));
        assert!(found, "{picture} in {seen}");
    }

    sandbox.succeeds("train --data data --learning-rate 0.001 --precision fp32 --threads 1 --epochs 2 --output other");
    sandbox.succeeds("evaluate --run other");
    judge(&sandbox, "other");
    sandbox.succeeds("report run other");
    let seen = look(&sandbox.path("report.html"), &sandbox.path(".")).expect("a browser");
    assert_eq!(seen["serious"], json!([]), "axe-core");
    let titles = json!(["Abstaining", "Accuracy", "Accuracy on validation", "Reliability"]);
    assert_eq!(seen["pictures"], titles);
}

//! Runs that can't be calibrated.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn runs_that_cannot_be_calibrated_are_refused_in_these_words() {
    let sandbox = Sandbox::trained_on_wrong_labels();
    sandbox.write("others.csv", "text,label\n\"the film\",good\n\"a plot\",bad\n\"an actor\",good\n");
    sandbox.succeeds(
        "prepare --dataset others.csv --validation-file others.csv --test-file others.csv --allow-leakage --model tiny \
         --max-length 32 --output others",
    );
    sandbox.succeeds("calibrate --run run --output calibrated");
    let mut all = MessageGroup::new("calibration", "Runs for calibrate", sandbox);
    for (name, line) in [
        ("a missing run", "calibrate --run nowhere"),
        ("no --run and no runs", "calibrate"),
        ("a model folder", "calibrate --run tiny"),
        ("data that does not exist", "calibrate --run run --data nowhere"),
        ("data with different labels", "calibrate --run run --data others"),
        ("--output that is not empty", "calibrate --run run --output calibrated"),
        ("--output that is a file", "calibrate --run run --output reviews.csv"),
        ("a batch size of 0", "calibrate --run run --batch-size 0"),
        ("an unknown device", "calibrate --run run --device tpu"),
    ] {
        all.fails(name, line);
    }
    let temperature = Some(("a temperature of ", " (hint"));
    all.fails_except("a run that is calibrated already", "calibrate --run calibrated", temperature);
    for (name, file, edit, line) in [
        ("a copy of a run that has not ended", "run/metrics.json", Edit::Delete, "calibrate --run run --output new"),
        ("a truncated record", "calibrated/calibration.json", Edit::Truncate(5), "calibrate --run calibrated"),
        (
            "different label names in config.json",
            "run/config.json",
            Edit::Replace("\"positive\"", "\"pleasant\""),
            "calibrate --run run",
        ),
        ("truncated weights", "run/model.safetensors", Edit::Truncate(5000), "calibrate --run run"),
    ] {
        all.fails_with(name, file, edit, line);
    }
    all.finish();
}

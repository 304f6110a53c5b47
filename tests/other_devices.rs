//! What computes on devices other than a CPU, libtorch's operations, runs here whole on the CPU: `VERDICT_KERNELS=off`.
//! `cargo xtask torture` runs more of the other files in the same way.

use crate::support::{Output, Sandbox, TRAIN};

// Both are set, because the tests themselves may run with the variable.
const OFF: [(&str, &str); 1] = [("VERDICT_KERNELS", "off")];
const ON: [(&str, &str); 1] = [("VERDICT_KERNELS", "on")];

fn succeeds(sandbox: &Sandbox, line: &str) -> Output {
    succeeds_with(sandbox, &OFF, line)
}

fn succeeds_with(sandbox: &Sandbox, variables: &[(&str, &str)], line: &str) -> Output {
    let output = sandbox.run_with(variables, line);
    assert_eq!(output.code, 0, "verdict {line}\n{}{}", output.out, output.err);
    output
}

#[test]
fn a_model_is_trained_scored_and_asked_and_every_step_says_what_computed_it() {
    let sandbox = Sandbox::prepared();
    for precision in ["fp32", "bf16"] {
        let run = format!("run-{precision}");
        let flags = "--data data --learning-rate 0.003 --threads 1 --epochs 12 --eval-steps 50";
        let trained = succeeds(&sandbox, &format!("train {flags} --precision {precision} --output {run}"));
        assert!(trained.err.contains("note: VERDICT_KERNELS=off: "), "{}", trained.err);
        let notes = sandbox.json(&format!("{run}/metrics.json"))["notes"].to_string();
        assert!(notes.contains("VERDICT_KERNELS=off: "), "{notes}");

        let shown = succeeds(&sandbox, &format!("evaluate --run {run} --json {run}.json")).out;
        assert!(shown.contains("note: VERDICT_KERNELS=off: "), "{shown}");
        let figures = sandbox.json(&format!("{run}.json"));
        let accuracy = figures["accuracy"].as_f64().expect("a number");
        assert!(accuracy >= 0.9, "a model that learns tells these apart: {accuracy}\n{shown}");
        // The kernels score the same model the same, except for the last digits.
        succeeds_with(&sandbox, &ON, &format!("evaluate --run {run} --json again.json"));
        let (ours, theirs) = (&figures["loss"], &sandbox.json("again.json")["loss"]);
        let difference = (ours.as_f64().expect("a number") - theirs.as_f64().expect("a number")).abs();
        let tolerance = if precision == "fp32" { 1e-5 } else { 1e-2 };
        assert!(difference < tolerance, "{precision}: {difference:e}");

        sandbox.write("texts.txt", "the film is superb, a the .\nthe film is boring, a the .\n");
        let answers = succeeds(&sandbox, &format!("predict --run {run} --json --file texts.txt"));
        let label = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["label"].clone();
        let labels: Vec<serde_json::Value> = answers.out.lines().map(label).collect();
        assert_eq!(labels, ["positive", "negative"], "{}", answers.out);
        assert!(answers.err.contains("note: VERDICT_KERNELS=off: "), "{}", answers.err);
    }
}

#[test]
fn resuming_is_exact_there_too_and_refused_with_the_kernels() {
    let sandbox = Sandbox::prepared();
    let verified = succeeds(
        &sandbox,
        "verify-resume --data data --epochs 3 --learning-rate 0.003 --threads 1 --save-every 5 --kills 3 --seed 5",
    );
    assert!(verified.out.contains("identical"), "{}", verified.out);

    succeeds(&sandbox, &format!("{TRAIN} --save-every 4 --save-total 99 --output whole"));
    for checkpoints in [1, 5] {
        let run = format!("from-{checkpoints}");
        sandbox.copy_run("whole", &run, checkpoints);
        let output = sandbox.run_with(&ON, &format!("train --resume {run}"));
        let error = sandbox.failure(&output).unwrap_or_else(|what| panic!("{run}\n{what}"));
        assert!(error.contains("the backend") && error.contains("\"libtorch\", and is \"kernels\""), "{error}");
        succeeds(&sandbox, &format!("train --resume {run}"));
        sandbox.assert_same("whole", &run);
    }
    // Without a difference between the two, the tests above would show nothing.
    succeeds_with(&sandbox, &ON, &format!("{TRAIN} --save-every 4 --output by-kernels"));
    assert!(sandbox.read("whole/model.safetensors") != sandbox.read("by-kernels/model.safetensors"));
}

#[test]
fn another_value_of_the_switch_is_refused() {
    let sandbox = Sandbox::prepared();
    for line in ["train --data data --max-steps 1 --output run", "predict --run tiny text"] {
        let output = sandbox.run_with(&[("VERDICT_KERNELS", "no")], line);
        let error = sandbox.failure(&output).unwrap_or_else(|what| panic!("{line}\n{what}"));
        assert!(error.contains("VERDICT_KERNELS: expected on or off, found \"no\" (hint: "), "{error}");
    }
    assert!(!sandbox.path("run").exists());
}

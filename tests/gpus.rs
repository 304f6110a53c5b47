//! What a machine without a usable GPU can show of GPUs: one that is present and not used is named, and the check that runs
//! where there is one (`gpu-check/`) works, passes on the CPU, and reports what fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_support::skipped;

use crate::support::{Output, Sandbox};

const NOTE: &str = "note: this machine has an NVIDIA GPU that is not used: NVIDIA driver 580.95.05 is loaded";

#[test]
fn a_gpu_that_is_present_and_not_used_is_named() {
    if tch::Cuda::is_available() {
        skipped("this machine has a usable GPU");
        return;
    }
    let sandbox = Sandbox::prepared();
    sandbox.write("with-gpu/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Kernel Module  580.95.05  Sat");
    sandbox.write("with-gpu/dev/nvidia0", "");
    sandbox.write("without/proc/version", "Linux");
    let run_on = |root: &str, line: &str| {
        let output = sandbox.run_with(&[("VERDICT_SYSTEM_ROOT", root)], line);
        assert_eq!(output.code, 0, "{line}: {}{}", output.out, output.err);
        output
    };
    let train = |root: &str, flags: &str, run: &str| {
        let output = run_on(root, &format!("train --data data --max-steps 1 {flags} --output {run}"));
        let notes = sandbox.json(&format!("{run}/metrics.json"))["notes"].to_string();
        (output.err.contains(NOTE), notes.contains("an NVIDIA GPU that is not used"))
    };
    assert_eq!(train("with-gpu", "", "run"), (true, true), "said, and recorded");
    assert_eq!(train("with-gpu", "--device cpu", "meant"), (false, false), "the CPU was asked for");
    assert_eq!(train("without", "", "none"), (false, false));
    assert!(run_on("with-gpu", "evaluate --run run --split train").err.contains(NOTE));
    assert!(run_on("with-gpu", "predict --run run lovely").err.contains(NOTE));
    let doctor = run_on("with-gpu", "doctor").out;
    assert!(doctor.contains(NOTE) && doctor.contains("hint:"), "{doctor}");
    assert!(!run_on("without", "doctor").out.contains("note:"));
}

/// The folder of the libtorch that this process has loaded.
fn libtorch() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so")).expect("libtorch is loaded");
    Path::new(&line[line.find('/').expect("a path")..]).parent().expect("a folder").to_owned()
}

fn python(sandbox: &Sandbox, script: &Path, arguments: &[&str]) -> Output {
    let mut python = Command::new("python3");
    python.arg("-B").arg(script).args(arguments).current_dir(sandbox.path("")).env("OMP_NUM_THREADS", "1");
    Output::of(python.output().expect("python3, which the set-up needs too"))
}

/// Packs the scripts with another file in the place of the program, so that nothing large is compressed.
fn pack(sandbox: &Sandbox) -> PathBuf {
    sandbox.write("program", "#!/bin/sh\n");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gpu-check/pack.py");
    let output = python(sandbox, &script, &["program", "packed"]);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("packed/gpu-check.tar.gz ("), "{}", output.out);
    sandbox.path("packed/gpu-check/run.py")
}

/// Runs the packed checks, played on the CPU with a tiny model, and returns the exit code and the report.
fn check(sandbox: &Sandbox, run: &Path, flags: &[&str]) -> (i32, Value, String) {
    let libtorch = libtorch();
    let played = ["--device", "cpu", "--model", "tiny", "--steps", "6", "--program", env!("CARGO_BIN_EXE_verdict")];
    let place = ["--libtorch", libtorch.to_str().expect("UTF-8"), "--output", "report"];
    let output = python(sandbox, run, &[&played[..], &place, flags].concat());
    let shown = format!("{}{}", output.out, output.err);
    assert!(sandbox.path("report/report.json").exists(), "{shown}");
    (output.code, sandbox.json("report/report.json"), shown)
}

fn result(report: &Value, name: &str) -> String {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
    found["result"].as_str().expect("a result").to_owned()
}

#[test]
fn the_check_of_a_gpu_passes_where_it_is_played_on_the_cpu() {
    let sandbox = Sandbox::new();
    let run = pack(&sandbox);
    let (code, report, shown) = check(&sandbox, &run, &[]);
    assert_eq!((code, &report["passed"]), (0, &Value::Bool(true)), "{shown}{report:#}");
    let names = report["checks"].as_array().expect("checks").iter().map(|check| check["name"].as_str().unwrap_or(""));
    for name in names.collect::<Vec<_>>() {
        match name {
            // Only a GPU runs out of memory like this, and not every python3 has PyTorch.
            "halving" => assert_eq!(result(&report, name), "not run"),
            "autograd" => assert_ne!(result(&report, name), "failed"),
            _ => assert_eq!(result(&report, name), "passed", "{name}"),
        }
    }
    let text = String::from_utf8(sandbox.read("report/report.md")).expect("UTF-8");
    assert!(text.contains("| result | passed |") && text.contains("Played on a CPU"), "{text}");
    assert!(text.contains("| speed in bf16 | passed | tiny, batches of 32, median | "), "{text}");
}

#[test]
fn a_check_that_fails_is_reported_and_stops_no_other() {
    let sandbox = Sandbox::new();
    let run = pack(&sandbox);
    let fixture = "packed/gpu-check/fixtures/training.json";
    let mut training = sandbox.json(fixture);
    let loss = training["base"]["loss"].as_f64().expect("a loss");
    training["base"]["loss"] = (loss + 0.01).into();
    sandbox.write(fixture, &training.to_string());
    let (code, report, shown) = check(&sandbox, &run, &["--only", "transformers", "--only", "parity in fp32"]);
    assert_eq!((code, &report["passed"]), (1, &Value::Bool(false)), "{shown}");
    assert_eq!(result(&report, "transformers"), "failed");
    assert_eq!(result(&report, "parity in fp32"), "passed");
    // A program that does not start fails each check by itself.
    let (code, report, _) = check(&sandbox, &run, &["--program", "nowhere/verdict", "--only", "transformers"]);
    assert_eq!((code, result(&report, "device").as_str()), (1, "failed"));
    assert_eq!(result(&report, "transformers"), "failed");
    let text = String::from_utf8(sandbox.read("report/report.md")).expect("UTF-8");
    assert!(text.contains("| result | FAILED |") && text.contains("No such file or directory"), "{text}");
}

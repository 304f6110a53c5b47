//! A finished run is never damaged, neither by another `--resume`, nor by a closed terminal, nor by an output or a folder
//! that can't be written.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use test_support::skipped;

use crate::support::{Output, Sandbox, names};

/// 11 steps.
const TRAIN: &str = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 1";

/// The files of a folder and their content, without the lock.
fn content(sandbox: &Sandbox, folder: &str) -> Vec<(String, Vec<u8>)> {
    let names = names(&sandbox.path(folder)).into_iter().filter(|name| name != ".lock");
    let files = names.filter(|name| sandbox.path(folder).join(name).is_file());
    files.map(|name| (name.clone(), sandbox.read(&format!("{folder}/{name}")))).collect()
}

/// `sh -c SCRIPT`, where `"$@"` is the program with this line.
fn shell(sandbox: &Sandbox, script: &str, line: &str) -> Command {
    let program = sandbox.command(line);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    shell.current_dir(sandbox.path("."));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn run_shell(sandbox: &Sandbox, script: &str, line: &str) -> Output {
    Output::of(shell(sandbox, script, line).output().expect("a shell"))
}

#[test]
fn a_finished_run_without_checkpoints_is_never_trained_over() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{TRAIN} --output run"));
    fs::remove_dir_all(sandbox.path("run/checkpoints")).expect("removes");
    let before = content(&sandbox, "run");
    for line in ["train --resume run", "train --resume run --seed 42", &format!("{TRAIN} --output run --resume")] {
        let output = sandbox.run(line);
        assert_eq!((output.code, output.out.as_str()), (0, "run\n"), "{line}: {}", output.err);
        assert!(output.err.contains("run is finished: there is nothing to do"), "{line}: {}", output.err);
    }
    for line in ["--learning-rate 0.001 --max-steps 5", "--seed 9 --allow-change"] {
        let error = sandbox.fails(&format!("train --resume run {line}"));
        assert!(error.contains("run is finished and has no checkpoints") && error.contains("hint:"), "{error}");
        assert!(error.contains(" was ") && error.contains(", and is "), "{error}");
    }
    let error = sandbox.fails(&format!("{TRAIN} --output run"));
    assert!(error.contains("already holds a trained model"), "{error}");
    assert!(content(&sandbox, "run") == before, "the run has changed");
}

#[test]
fn the_best_model_of_a_study_is_never_trained_over() {
    let sandbox = Sandbox::prepared();
    sandbox.write("space.toml", "learning_rate = { low = 1e-3, high = 1e-2, log = true }\nepochs = [1]\n");
    sandbox.succeeds("tune --data data --study study --space space.toml --sampler random --pruner none --trials 1");
    let before = content(&sandbox, "study/best");
    let output = sandbox.run("train --resume study/best");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("is finished"), "{}", output.err);
    let error = sandbox.fails("train --resume study/best --max-steps 2");
    assert!(error.contains("is finished and has no checkpoints"), "{error}");
    assert!(content(&sandbox, "study/best") == before, "the best model has changed");
}

#[test]
fn a_finished_run_that_is_resumed_is_unfinished_until_it_ends_again() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{TRAIN} --output run"));
    let line = "train --resume run --epochs 300 --allow-change";
    let error = sandbox.fails("train --resume run --epochs 300");
    assert!(error.contains("--allow-change"), "{error}");
    let process = sandbox.start(line);
    sandbox.wait_for_step("run", 20);
    process.signal("TERM");
    let output = process.end();
    assert_eq!(output.code, 143, "{}", output.err);
    assert!(!sandbox.path("run/metrics.json").exists(), "metrics.json is of another model");
}

#[test]
fn a_closed_terminal_saves_first_unless_its_signal_is_ignored() {
    let sandbox = Sandbox::prepared();
    let line = format!("{TRAIN} --epochs 300 --save-every 1000").replacen("--epochs 1 ", "", 1);
    // The tests themselves may have been started by nohup.
    let default_signal = "env --default-signal=HUP true && exec env --default-signal=HUP \"$@\" || exec \"$@\"";
    let mut command = shell(&sandbox, default_signal, &format!("{line} --output closed"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
    sandbox.wait_for_step("closed", 20);
    assert!(Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().expect("kill").success());
    let output = Output::of(child.wait_with_output().expect("ends"));
    assert_eq!(output.code, 129, "{}", output.err);
    assert!(output.err.contains("stopped by SIGHUP"), "{}", output.err);
    let done = sandbox.events("closed", "step").len();
    assert_eq!(sandbox.checkpoints("closed").last(), Some(&format!("step-{done:08}")), "the last step done is saved");

    // nohup starts a program like this.
    let mut command = shell(&sandbox, "trap '' HUP; exec \"$@\"", &format!("{line} --output ignored"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
    let send = |signal: &str| {
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill").success());
    };
    sandbox.wait_for_step("ignored", 20);
    send("HUP");
    sandbox.wait_for_step("ignored", sandbox.events("ignored", "step").len() + 50);
    send("TERM");
    assert_eq!(child.wait().expect("ends").code(), Some(143), "SIGHUP was ignored, and SIGTERM is not");
}

#[test]
fn a_standard_output_that_cannot_be_written_loses_no_result() {
    if !Path::new("/dev/full").exists() {
        return skipped("this system has no /dev/full");
    }
    let sandbox = Sandbox::prepared();
    let full = "exec \"$@\" > /dev/full";
    let output = run_shell(&sandbox, full, &format!("{TRAIN} --output run"));
    assert!(sandbox.path("run/metrics.json").is_file() && sandbox.path("run/model.safetensors").is_file());
    let evaluated = run_shell(&sandbox, full, "evaluate --run run --split validation");
    assert!(sandbox.path("run/evaluation-validation.json").is_file());
    assert!(sandbox.path("run/report-validation.html").is_file());
    let others =
        ["predict --run run lovely", "tune --print-space", "doctor"].map(|line| run_shell(&sandbox, full, line));
    for output in [output, evaluated].into_iter().chain(others) {
        assert_eq!(output.code, 1, "{}", output.err);
        assert!(output.err.contains("error: ") && output.err.contains("No space left"), "{}", output.err);
        assert!(!output.err.contains("panicked"), "{}", output.err);
    }
    // The results are saved even if no message can be written.
    let output = run_shell(&sandbox, "exec \"$@\" 2> /dev/full", &format!("{TRAIN} --output silent"));
    assert_eq!((output.code, output.out.as_str()), (0, "silent\n"));
}

#[test]
fn a_closed_pipe_ends_the_program_silently() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{TRAIN} --output run"));
    sandbox.write("texts.txt", &"a lovely film\n".repeat(20_000));
    // The reader is gone before the first byte is written; the code is the program's.
    let closed = |line: &str| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Output::of(sandbox.command(line).stdout(writer).output().expect("the program starts"))
    };
    let lines = [
        &format!("{TRAIN} --output second"),
        "evaluate --run run --split validation",
        "predict --run run lovely dull",
        "predict --run run --file texts.txt",
        "predict --run run --split test --json",
        "tune --print-space",
        "doctor",
    ];
    for line in lines {
        let output = closed(line);
        assert_eq!(output.code, 0, "{line}: {}", output.err);
        assert!(!output.err.contains("error") && !output.err.contains("panicked"), "{line}: {}", output.err);
    }
    assert!(sandbox.path("second/metrics.json").is_file());
    let output = run_shell(&sandbox, "\"$@\" | head -n 1", "predict --run run --file texts.txt");
    // `cargo xtask torture` runs this without the kernels too, which each command says.
    let expected = |line: &&str| line.starts_with("note: VERDICT_KERNELS=off") || *line == "computing in fp32 on cpu";
    let said = output.err.lines().find(|line| !expected(line));
    assert_eq!((output.code, output.out.lines().count(), said), (0, 1, None));
}

/// Starts the program without the superuser's right to write everywhere.
const UNPRIVILEGED: &str = "[ $(id -u) = 0 ] || exec \"$@\"
rights=-dac_override,-dac_read_search
exec setpriv --bounding-set=$rights --inh-caps=$rights \"$@\"";

#[test]
fn a_folder_that_is_read_only_loses_nothing() {
    let sandbox = Sandbox::with_uninterrupted_run();
    let set_mode = |mode: &str, folder: &str| {
        let changed = Command::new("chmod").args(["-R", mode]).arg(sandbox.path(folder)).status();
        assert!(changed.expect("chmod").success());
    };
    // A folder is empty and read-only: is it?
    fs::create_dir(sandbox.path("probe")).expect("a folder");
    set_mode("a-w", "probe");
    let probe = Command::new("sh").args(["-c", UNPRIVILEGED, "sh", "touch"]).arg(sandbox.path("probe/file")).output();
    let probe = Output::of(probe.expect("a shell"));
    if !probe.err.contains("Permission denied") {
        return skipped(&format!("a read-only folder can't be had here: {}", probe.err));
    }

    // A run that can't be saved any more stops, and continues once it can.
    sandbox.copy_run("whole", "stopped", 3);
    set_mode("a-w", "stopped/checkpoints");
    let before = names(&sandbox.path("stopped/checkpoints"));
    let output = run_shell(&sandbox, UNPRIVILEGED, "train --resume stopped");
    assert_eq!(output.code, 1, "{}", output.err);
    assert!(
        output.err.contains("step 12 is not saved: ") && output.err.contains("Permission denied"),
        "{}",
        output.err
    );
    assert!(output.err.contains("step 11 is saved"), "{}", output.err);
    assert_eq!(names(&sandbox.path("stopped/checkpoints")), before);
    set_mode("u+w", "stopped");
    sandbox.succeeds("train --resume stopped");
    sandbox.assert_same("whole", "stopped");

    // A finished run answers, and nothing trains over it.
    let before = content(&sandbox, "whole");
    set_mode("a-w", "whole");
    let output = run_shell(&sandbox, UNPRIVILEGED, "evaluate --run whole --split validation");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("accuracy") && output.err.contains("can't be written to"), "{}", output.err);
    assert_eq!(run_shell(&sandbox, UNPRIVILEGED, "predict --run whole lovely").code, 0);
    for line in ["train --resume whole", "train --data data --output whole"] {
        let output = run_shell(&sandbox, UNPRIVILEGED, line);
        assert!(output.code == 1 && output.err.contains("error: "), "{line}: {}", output.err);
    }
    set_mode("u+w", "whole");
    assert!(content(&sandbox, "whole") == before, "the run has changed");
}

#[test]
fn a_path_that_is_not_utf_8_works_or_is_refused_by_name() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{TRAIN} --output run"));
    let folder = OsStr::from_bytes(b"caf\xff");
    fs::create_dir(sandbox.path(".").join(folder)).expect("a folder");
    let lines = [
        ("train --max-steps 1 --data data", "--output"),
        ("train --max-steps 1", "--data"),
        ("train --max-steps 1 --data data", "--model"),
        ("prepare --dataset reviews.csv", "--model"),
        ("prepare --dataset reviews.csv --model tiny", "--output"),
        ("evaluate", "--run"),
        ("evaluate --run run", "--data"),
        ("predict lovely", "--run"),
        ("predict --run run --split validation", "--data"),
    ];
    let count = || fs::read_dir(sandbox.path(".")).expect("a folder").count();
    let before = count();
    for (line, flag) in lines {
        let output =
            Output::of(sandbox.command(line).arg(flag).arg(folder).stdin(Stdio::null()).output().expect("starts"));
        let error = output.err.trim_end();
        assert!(matches!(output.code, 1 | 2) && error.contains("error: "), "{line} {flag}: {} {error}", output.code);
        assert!(error.contains("caf\\xFF"), "{line} {flag}: {error}");
        assert_eq!(count(), before, "{line} {flag}: nothing was made");
    }
}

//! Hyperparameter studies with short trials: run to the end, stopped, killed, and shared between processes.
//!
//! `VERDICT_KILLS` says how many kills there are in all, of which a tenth is for studies (8 without it), `VERDICT_SEED` at
//! which instants.

use std::collections::BTreeMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use test_support::{Random, setting};

use crate::support::{Output, Sandbox};

/// A search space with trials that take a third of a second.
const SPACE: &str = "learning_rate = { low = 1e-4, high = 1e-2, log = true }\nbatch_size = [8, 16]\n\
                     epochs = { low = 1, high = 3 }\nhidden_dropout = { low = 0.0, high = 0.3, step = 0.1 }\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::prepared();
    sandbox.write("space.toml", SPACE);
    sandbox
}

/// The trials of a study, by number.
fn trials(sandbox: &Sandbox, study: &str) -> Vec<Value> {
    sandbox.json(&format!("{study}/trials.json"))["trials"].as_array().expect("trials").clone()
}

/// A trial's parameters and result, without times; of one that failed, why.
fn outcome(trial: &Value) -> String {
    let error = &trial["user_attrs"]["error"];
    format!("{} {} {} {} {error}", trial["state"], trial["params"], trial["value"], trial["intermediate_values"])
}

fn outcomes(sandbox: &Sandbox, study: &str) -> Vec<String> {
    trials(sandbox, study).iter().map(outcome).collect()
}

#[test]
fn a_study_ends_in_a_model_that_its_configuration_trains_again() {
    let sandbox = sandbox();
    let line = "tune --data data --space space.toml --sampler random --pruner none --trials 4 --study s";
    let out = sandbox.succeeds(line);
    let trials = trials(&sandbox, "s");
    assert_eq!(trials.len(), 4);
    let best = trials.iter().map(|trial| trial["value"].as_f64().expect("complete")).fold(0.0, f64::max);
    let winner = trials.iter().find(|trial| trial["value"] == best).expect("one is the best");
    assert!(out.contains(&format!("best     trial {}: accuracy {best:.4} on validation", winner["number"])), "{out}");
    assert!(out.contains("scored once, after the selection"), "{out}");

    // The winner is a run like any other: its test score is what evaluate says, and texts can be labeled with it.
    let scored = sandbox.json("s/best/evaluation-test.json")["accuracy"].clone();
    sandbox.succeeds("evaluate --run s/best --split test --json again.json");
    assert_eq!(sandbox.json("again.json")["accuracy"], scored);
    let optimism = format!("validation {best:.4}, test {:.4}: ", scored.as_f64().expect("a number"));
    let says_how_much = |text: &str| text.contains(&optimism) && text.contains("optimism");
    assert!(says_how_much(&out), "expected {optimism}{out}");
    for file in ["s/best.toml", "s/study.html"] {
        assert!(says_how_much(&String::from_utf8_lossy(&sandbox.read(file))), "{file}");
    }
    let output =
        Output::of(sandbox.command("predict --run s/best").arg("the film is lovely").output().expect("starts"));
    assert!(output.code == 0 && (output.out.contains("positive") || output.out.contains("negative")), "{}", output.err);

    // Nothing was trained again for it, and training again gives the same model.
    assert_eq!(
        sandbox.read("s/best/model.safetensors"),
        sandbox.read(&format!("s/trials/{:04}/model.safetensors", winner["number"].as_u64().unwrap()))
    );
    sandbox.succeeds("train --config s/best.toml --output again");
    assert_eq!(sandbox.read("again/model.safetensors"), sandbox.read("s/best/model.safetensors"));

    // Only the winner's weights are kept, of all trials the figures.
    let kept =
        |name: &str| (0..4).filter(|trial| sandbox.path(&format!("s/trials/{trial:04}/{name}")).exists()).count();
    assert_eq!((kept("model.safetensors"), kept("checkpoints"), kept("metrics.json"), kept("log.jsonl")), (1, 0, 4, 4));
    for file in ["study.html", "trials.csv", "best.toml"] {
        assert!(!sandbox.read(&format!("s/{file}")).is_empty(), "{file}");
    }

    // The same command finds nothing to do and doesn't look at the test split again; a larger one goes on.
    let before = outcomes(&sandbox, "s");
    let again = sandbox.succeeds(line);
    assert_eq!(outcomes(&sandbox, "s"), before);
    assert!(again.contains("scored once, after the selection"), "{again}");
    sandbox.succeeds(&line.replace("--trials 4", "--trials 6"));
    let after = outcomes(&sandbox, "s");
    assert_eq!(after[..4], before[..]);
    assert_eq!(after.len(), 6);
}

#[test]
fn bad_trials_are_pruned_and_a_grid_search_ends_by_itself() {
    let sandbox = sandbox();
    sandbox
        .succeeds("tune --data data --space space.toml --sampler sobol --pruner asha --trials 9 --study s --workers 2");
    let trials = trials(&sandbox, "s");
    let state = |state: &str| trials.iter().filter(|trial| trial["state"] == state).count();
    assert_eq!(state("COMPLETE") + state("PRUNED"), 9, "{trials:?}");
    assert!(state("PRUNED") > 0 && state("COMPLETE") > 0, "{trials:?}");
    for trial in trials.iter().filter(|trial| trial["state"] == "PRUNED") {
        let values = trial["intermediate_values"].as_object().expect("values");
        let last = values.iter().max_by_key(|(step, _)| step.parse::<u64>().unwrap()).expect("was judged by one").1;
        assert_eq!(&trial["value"], last);
        assert!(
            !sandbox.path(&format!("s/trials/{:04}/model.safetensors", trial["number"].as_u64().unwrap())).exists()
        );
    }

    sandbox.write(
        "grid.toml",
        "learning_rate = { low = 1e-3, high = 1e-2, log = true, points = 2 }\nbatch_size = [8, 16]\nepochs = 1\n",
    );
    sandbox.succeeds("tune --data data --space grid.toml --sampler grid --pruner median --study g");
    assert_eq!(outcomes(&sandbox, "g").len(), 4, "two rates by two sizes");
}

/// A study in a process group of its own.
fn start(sandbox: &Sandbox, line: &str) -> Child {
    let mut command = sandbox.command(line);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("the program starts")
}

fn send(signal: &str, target: &str) {
    let _ = Command::new("kill").args(["-s", signal, "--", target]).stderr(Stdio::null()).status();
}

#[test]
fn ctrl_c_stops_cleanly_and_the_same_command_continues() {
    let sandbox = sandbox();
    let line = "tune --data data --space space.toml --sampler random --pruner none --trials 5";
    sandbox.succeeds(&format!("{line} --study uninterrupted"));
    let interrupted = format!("{line} --study interrupted");
    for delay in [300, 700] {
        let mut child = start(&sandbox, &interrupted);
        // The study's file comes after the signal handlers.
        let started = Instant::now();
        while !sandbox.path("interrupted/study.jsonl").is_file() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(delay));
        // As a terminal does: to all processes of the group.
        send("INT", &format!("-{}", child.id()));
        let status = child.wait().expect("ends");
        assert!(matches!(status.code(), Some(130 | 0)), "{status}");
    }
    sandbox.succeeds(&interrupted);
    assert_eq!(outcomes(&sandbox, "interrupted"), outcomes(&sandbox, "uninterrupted"));
}

#[test]
fn trials_running_at_the_time_limit_are_resumed_later() {
    let sandbox = sandbox();
    sandbox.write("long.toml", "learning_rate = { low = 1e-4, high = 1e-2, log = true }\nepochs = 60\n");
    let line = "tune --data data --space long.toml --sampler random --pruner none --study s";
    let out = sandbox.succeeds(&format!("{line} --time 1.5s"));
    assert!(out.contains("The time limit is reached"), "{out}");
    let count = |state: &str| trials(&sandbox, "s").iter().filter(|trial| trial["state"] == state).count();
    assert_eq!(count("RUNNING"), 1, "the one that was stopped");
    let begun = trials(&sandbox, "s").len();
    sandbox.succeeds(&format!("{line} --trials {begun}"));
    assert_eq!((count("RUNNING"), count("COMPLETE")), (0, begun));
    let epochs = |trial: &Value| trial["user_attrs"]["epochs"].as_f64();
    assert!(trials(&sandbox, "s").iter().all(|trial| epochs(trial) == Some(60.0)), "each to its end");
}

#[test]
fn two_processes_share_a_study() {
    let sandbox = sandbox();
    let line = "tune --data data --space space.toml --sampler random --pruner none --trials 8 --study s";
    let mut children = [start(&sandbox, line), start(&sandbox, line)];
    for child in &mut children {
        assert!(child.wait().expect("ends").success());
    }
    let out = sandbox.succeeds(line);
    let mut done = outcomes(&sandbox, "s");
    assert_eq!(done.len(), 8);
    assert!(done.iter().all(|trial| trial.starts_with("\"COMPLETE\"")), "{done:?}");
    done.dedup();
    assert_eq!(done.len(), 8, "no configuration twice");
    assert!(out.contains("scored once"), "{out}");
    let workers: std::collections::BTreeSet<String> = String::from_utf8(sandbox.read("s/study.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["op_code"] == 4)
        .map(|line| line["worker_id"].to_string())
        .collect();
    assert_eq!(workers.len(), 2, "both began trials");
}

/// How many steps the trials of a study have saved or logged, and a step for each trial that has ended.
fn steps_done(sandbox: &Sandbox, study: &str) -> usize {
    let trials = std::fs::read_dir(sandbox.path(study).join("trials")).into_iter().flatten().flatten();
    let folders = trials.map(|entry| entry.path()).filter(|path| path.is_dir());
    let steps = |folder: std::path::PathBuf| {
        let log = std::fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
        log.lines().filter(|line| line.contains("\"step\"")).count() + usize::from(folder.join("metrics.json").exists())
    };
    folders.map(steps).sum()
}

#[test]
fn random_kills_lose_no_trial_and_repeat_none() {
    let (kills, seed) =
        (setting("VERDICT_KILLS").map_or(8, |kills: u64| kills.div_ceil(10)), setting("VERDICT_SEED").unwrap_or(0));
    let sandbox = sandbox();
    let mut random = Random::new(seed);
    let (began, mut killed, mut studies, mut all) = (Instant::now(), 0, 0, 0);
    while killed < kills {
        studies += 1;
        let line = format!(
            "tune --data data --space space.toml --sampler random --pruner none --trials 10 --seed {studies} --workers {}",
            1 + studies % 2
        );
        let whole_began = Instant::now();
        sandbox.succeeds(&format!("{line} --study whole{studies}"));
        let longest = (whole_began.elapsed() / 6).max(Duration::from_millis(1500));
        let study = format!("killed{studies}");
        let interrupted = format!("{line} --study {study}");
        let (mut steps, mut idle) = (0, 0);
        loop {
            let mut child = start(&sandbox, &interrupted);
            // A trial that dies eleven times in a row without progress is given up. On a machine that gets busy, where starting
            // takes long, there is therefore more time between two kills.
            let wait = Duration::from_millis(50 + random.below(longest.as_millis() as usize) as u64);
            let due = Instant::now() + wait + longest * idle;
            let status = loop {
                if let Some(status) = child.try_wait().expect("can be waited for") {
                    break status;
                }
                if Instant::now() >= due && killed < kills {
                    // The study alone, whose training is then told by the end of its input; or both at once.
                    let group = random.below(2) == 0;
                    send("KILL", &if group { format!("-{}", child.id()) } else { child.id().to_string() });
                    break child.wait().expect("ends");
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            match status.signal() {
                Some(_) => {
                    killed += 1;
                    let before = std::mem::replace(&mut steps, steps_done(&sandbox, &study));
                    idle = if steps > before { 0 } else { idle + 1 };
                }
                None => {
                    assert!(status.success(), "seed {seed}, study {studies}, after {killed} kills: {status}");
                    break;
                }
            }
        }
        let (whole, interrupted) = (outcomes(&sandbox, &format!("whole{studies}")), outcomes(&sandbox, &study));
        assert_eq!(interrupted, whole, "seed {seed}, study {studies}");
        all += whole.len();
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        interrupted.iter().for_each(|trial| *counts.entry(trial).or_default() += 1);
        assert!(counts.values().all(|count| *count == 1), "a trial twice: {counts:?}");
    }
    if setting::<u64>("VERDICT_KILLS").is_some() {
        use std::io::Write;
        let _ = writeln!(
            std::io::stderr(),
            "{killed} kills of {studies} studies, {all} trials: each study as the uninterrupted one; {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }
}

#[test]
fn invalid_searches_are_refused() {
    let sandbox = sandbox();
    for (line, words) in [
        ("--sampler bayes", "is not one of grid, random, sobol, tpe"),
        ("--pruner hyperband", "is not one of none, median, asha"),
        ("--time 2", "a time such as 90s, 45m, 2h"),
        ("--trials 0", "--trials"),
        ("--workers 0", "--workers"),
        ("--space gone.toml", "failed to read the search space gone.toml"),
    ] {
        let error = sandbox.fails(&format!("tune --data data --study s {line}"));
        assert!(error.contains(words), "{line}: {error}");
    }
    let error = sandbox.fails("tune --data gone");
    assert!(error.contains("gone"), "{error}");
    for (space, words) in [
        ("learnig_rate = [1e-4]", "line 1: unknown option \"learnig_rate\" (hint: did you mean \"learning_rate\"?)"),
        ("data = [\"a\", \"b\"]", "unknown option \"data\""),
        ("learning_rate = { low = 1e-4, high = 3.0 }", "key \"learning_rate\""),
        ("epochs = 3", "nothing to search"),
        ("epochs = { low = 1.5, high = 3 }", "key \"epochs\""),
    ] {
        sandbox.write("bad.toml", space);
        let error = sandbox.fails("tune --data data --study s --space bad.toml");
        assert!(error.contains("bad.toml") && error.contains(words), "{space}: {error}");
    }
    sandbox.succeeds("tune --data data --study s --space space.toml --trials 1");
    let error = sandbox.fails("tune --data data --study s --space space.toml --trials 2 --metric loss");
    assert!(error.contains("hint"), "{error}");
    let error = sandbox.fails("tune --data data --study s --space space.toml --trials 2 --metric macro-f1");
    assert!(
        error.contains("expected metric accuracy as in its earlier trials, found macro-f1")
            && error.contains("--study"),
        "{error}"
    );
    // Runs of a study that is gone are not taken for those of a new one.
    std::fs::remove_file(sandbox.path("s/study.jsonl")).expect("removes");
    let error = sandbox.fails("tune --data data --study s --space space.toml");
    assert!(error.contains("s/trials/0000 exists, but the study has no such trial"), "{error}");
    // Trials that all fail end the study, with the reason.
    sandbox.write("long.toml", "freeze_layers = [3, 4]\nlearning_rate = { low = 1e-4, high = 1e-3 }");
    let error = sandbox.fails("tune --data data --study f --space long.toml");
    assert!(error.contains("the first 3 trials all failed") && error.contains("the model's 2 layers"), "{error}");
}

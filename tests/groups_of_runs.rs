//! Groups of trainings that differ in the seed or in the fold that is held out: each run is what it would be alone, a group
//! may be stopped and killed, and what other commands open is its best run.
//!
//! `VERDICT_KILLS` says how many kills there are in all, of which a tenth is for groups (4 without it), `VERDICT_SEED` at which
//! instants.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use run::{OutOfFold, RunGroup};
use serde_json::Value;
use test_support::{Random, setting};

use crate::support::{HttpServer, Output, Sandbox, TRAIN, names};

fn group(sandbox: &Sandbox, name: &str) -> RunGroup {
    RunGroup::read(&sandbox.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the members of a group that are folders of runs.
fn members(sandbox: &Sandbox, name: &str) -> Vec<String> {
    group(sandbox, name).members.into_iter().map(|member| member.name).collect()
}

#[test]
fn each_run_of_a_group_is_to_the_bit_the_run_of_its_seed() {
    let sandbox = Sandbox::prepared();
    let output = sandbox.run(&format!("{TRAIN} --seeds 3 --output group"));
    assert_eq!((output.code, output.out.as_str()), (0, "group\n"), "{}", output.err);
    assert_eq!(members(&sandbox, "group"), ["seed-42", "seed-43", "seed-44"]);
    for seed in [42, 43, 44] {
        sandbox.succeeds(&format!("{TRAIN} --seed {seed} --output single-{seed}"));
        sandbox.assert_same(&format!("group/seed-{seed}"), &format!("single-{seed}"));
    }
    let models: BTreeSet<Vec<u8>> =
        [42, 43, 44].iter().map(|seed| sandbox.read(&format!("group/seed-{seed}/model.safetensors"))).collect();
    assert_eq!(models.len(), 3, "each seed trains another model");

    // The record is what the runs say.
    let record = group(&sandbox, "group");
    let of_run = |seed: u64| sandbox.json(&format!("group/seed-{seed}/metrics.json"));
    let values: Vec<f64> =
        [42, 43, 44].iter().map(|seed| of_run(*seed)["best"]["value"].as_f64().expect("a value")).collect();
    assert_eq!(record.results().map(|(_, result)| result.value).collect::<Vec<_>>(), values);
    let best = (0..3).rev().max_by(|one, other| values[*one].total_cmp(&values[*other])).expect("three");
    assert_eq!(record.best, Some(format!("seed-{}", 42 + best)));
    let scores = record.validation.expect("scores");
    let mean = values.iter().sum::<f64>() / 3.0;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((scores.mean.get("accuracy").expect("a mean") - mean).abs() < 1e-12);
    assert!((scores.deviation.get("accuracy").expect("a deviation") - deviation).abs() < 1e-12);
    let says_mean = |line: &str| line.starts_with("mean ") && line.contains(&format!("  {mean:.4}"));
    assert!(output.err.lines().any(says_mean), "{}", output.err);

    // The same command has nothing to do, and says the same.
    let before = sandbox.read("group/group.json");
    let again = sandbox.run(&format!("{TRAIN} --seeds 3 --output group"));
    assert_eq!((again.code, again.out.as_str()), (0, "group\n"), "{}", again.err);
    assert!(again.err.contains("3 finished before") && !again.err.contains("started"), "{}", again.err);
    assert_eq!(sandbox.read("group/group.json"), before);
}

#[test]
fn two_runs_at_the_same_time_share_the_threads_and_the_number_of_threads_is_kept() {
    let sandbox = Sandbox::prepared();
    let line = TRAIN.replace("--threads 1 ", "");
    let output = sandbox.run_with(&[("OMP_NUM_THREADS", "2")], &format!("{line} --seeds 3 --workers 2 --output group"));
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("2 at the same time"), "{}", output.err);
    assert_eq!(group(&sandbox, "group").threads, Some(1));
    sandbox.succeeds(&format!("{TRAIN} --seed 44 --output single"));
    sandbox.assert_same("group/seed-44", "single");
}

#[test]
fn commands_open_the_best_run_of_a_group_and_say_which_it_is() {
    let sandbox = Sandbox::prepared();
    // So few steps that the seeds end apart.
    let line = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 3 --max-steps 14";
    sandbox.succeeds(&format!("{line} --seed 7 --output runs/single"));
    sandbox.succeeds(&format!("{line} --seeds 3 --best-metric loss --output runs/a-group"));
    let record = group(&sandbox, "runs/a-group");
    let best = record.best.clone().expect("a best");
    let losses: Vec<f64> = record.results().map(|(_, result)| result.value).collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses.iter().any(|loss| *loss > lowest), "the seeds differ: {losses:?}");
    assert_eq!(record.results().find(|(_, result)| result.value == lowest).expect("one").0, best);

    let ask = |run: &str| {
        let mut command = sandbox.command(&format!("predict {run} --json"));
        let output = Output::of(command.args(["the film is lovely", "a dull plot"]).output().expect("starts"));
        assert_eq!(output.code, 0, "{}", output.err);
        output
    };
    let of_member = ask(&format!("--run runs/a-group/{best}"));
    assert!(!of_member.err.contains("group"), "{}", of_member.err);
    for run in ["--run runs/a-group", ""] {
        let of_group = ask(run);
        assert_eq!(of_group.out, of_member.out, "{run}");
        let note = format!("runs/a-group is a group of runs; {best} is taken, the best of 3 by loss on validation");
        assert!(of_group.err.contains(&note), "{}", of_group.err);
    }
    let server = HttpServer::start(&sandbox, "--run runs/a-group", &[]);
    let info: Value = serde_json::from_slice(&server.ask("GET", "/info", b"").body).expect("JSON");
    assert_eq!(info["model_id"], best, "{info}");
}

#[test]
fn evaluate_scores_the_best_run_in_full_and_each_run_in_a_table() {
    let sandbox = Sandbox::prepared();
    let line = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --max-steps 14";
    sandbox.succeeds(&format!("{line} --seeds 3 --output group"));
    let best = group(&sandbox, "group").best.expect("a best");
    let out = sandbox.succeeds("evaluate --run group --json group.json");
    assert!(sandbox.path(&format!("group/{best}/evaluation-test.json")).is_file());
    let (_, table) = out.split_once("all runs of the group:\n").unwrap_or_else(|| panic!("{out}"));
    let mut values = Vec::new();
    for member in members(&sandbox, "group") {
        sandbox.succeeds(&format!("evaluate --run group/{member} --json one.json"));
        let [accuracy, loss] =
            ["accuracy", "loss"].map(|key| sandbox.json("one.json")[key].as_f64().expect("a number"));
        let row = table.lines().find(|line| line.starts_with(&member)).unwrap_or_else(|| panic!("{member}: {table}"));
        assert!(row.contains(&format!("  {accuracy:.4}")) && row.ends_with(&format!("  {loss:.4}")), "{row}");
        values.push(accuracy);
        if member == best {
            assert_eq!(sandbox.json("group.json")["accuracy"], sandbox.json("one.json")["accuracy"]);
        }
    }
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!(table.lines().any(|line| line.starts_with("mean") && line.contains(&format!("  {mean:.4}"))), "{table}");
}

#[test]
fn folds_hold_out_each_training_row_once_and_predict_it() {
    let sandbox = Sandbox::prepared();
    let output = sandbox.run(&format!("{TRAIN} --folds 4 --seed 5 --output folds"));
    assert_eq!((output.code, output.out.as_str()), (0, "folds\n"), "{}", output.err);
    assert_eq!(members(&sandbox, "folds"), ["fold-1", "fold-2", "fold-3", "fold-4"]);
    let texts = |data: &str, split: &str| -> Vec<String> {
        let prepared = data::manifest::Prepared::open(&sandbox.path(data)).expect("prepared data");
        prepared.verify().expect("whole");
        let examples = prepared.split(split).expect("the split");
        (0..examples.len()).map(|row| examples.text(row).expect("a text").to_owned()).collect()
    };
    let train = texts("data", "train");
    let all = OutOfFold::read(&sandbox.path("folds/out-of-fold.csv")).expect("predictions");
    assert_eq!(all.rows.iter().map(|row| row.text.clone()).collect::<Vec<_>>(), train, "each row once, in order");
    let mut right = 0;
    for fold in 1..=4 {
        let data = format!("folds/data/fold-{fold}");
        let held_out: Vec<_> = all.rows.iter().filter(|row| row.fold == fold).collect();
        let held_out_texts: Vec<String> = held_out.iter().map(|row| row.text.clone()).collect();
        assert_eq!(texts(&data, "validation"), held_out_texts);
        let trained: BTreeSet<String> = texts(&data, "train").into_iter().collect();
        assert!(held_out_texts.iter().all(|text| !trained.contains(text)), "fold {fold}");
        assert_eq!(texts(&data, "train").len() + held_out.len(), train.len(), "and all others train");
        assert_eq!(sandbox.read(&format!("{data}/test.arrow")), sandbox.read("data/test.arrow"));
        // Both classes are half of the data, so they are of each fold.
        let positive = held_out.iter().filter(|row| row.label == 1).count();
        assert!((2 * positive).abs_diff(held_out.len()) <= 2, "fold {fold}: {positive} of {}", held_out.len());

        // The predictions are those of the fold's own model.
        let lines =
            sandbox.succeeds(&format!("predict --run folds/fold-{fold} --split validation --json --precision fp32"));
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), held_out.len());
        for (row, line) in held_out.iter().zip(&lines) {
            assert_eq!(line["text"], row.text);
            for (name, p) in all.label_names.iter().zip(&row.probabilities) {
                let found = line["probabilities"][name].as_f64().expect("a probability");
                assert!((found - f64::from(*p)).abs() < 1e-5, "fold {fold}: {found} and {p}");
            }
        }
        right += held_out.iter().filter(|row| row.prediction() == row.label).count();
        let metrics = sandbox.json(&format!("folds/fold-{fold}/metrics.json"));
        assert_eq!(metrics["validation"]["examples"], held_out.len());
        let of_fold = held_out.iter().filter(|row| row.prediction() == row.label).count() as f64;
        let accuracy = metrics["validation"]["accuracy"].as_f64().expect("a number");
        assert!((accuracy - of_fold / held_out.len() as f64).abs() < 1e-12, "the best model predicts");
    }
    let record = group(&sandbox, "folds");
    let accuracy = record.out_of_fold.as_ref().and_then(|scores| scores.get("accuracy")).expect("scores");
    assert!((accuracy - right as f64 / train.len() as f64).abs() < 1e-12);

    // A run of the group is the run of its data.
    sandbox.succeeds(&format!("{TRAIN} --seed 5 --output single").replace("--data data", "--data folds/data/fold-2"));
    sandbox.assert_same("folds/fold-2", "single");
    // The other folds were trained on what one holds out; none was trained on test.
    let best = record.best.expect("a best");
    let out = sandbox.succeeds("evaluate --run folds --split validation");
    assert!(out.contains(&format!("so only {best} is scored on it")) && !out.contains("all runs"), "{out}");
    let out = sandbox.succeeds("evaluate --run folds");
    assert!(out.contains("all runs of the group:\ntest") && out.contains("\nfold-4 "), "{out}");
    let mistakes = String::from_utf8(sandbox.read("folds/mistakes-train.csv")).expect("UTF-8");
    assert!(mistakes.starts_with("row,text,label,predicted,"), "{mistakes}");
    let wrong = all.rows.iter().filter(|row| row.prediction() != row.label).count();
    assert!(mistakes.lines().skip(1).filter(|line| line.ends_with("mistake")).count() <= wrong, "{mistakes}");
    // What is deleted is written again.
    let before = sandbox.read("folds/out-of-fold.csv");
    fs::remove_file(sandbox.path("folds/out-of-fold.csv")).expect("removes");
    sandbox.succeeds(&format!("{TRAIN} --folds 4 --seed 5 --output folds"));
    assert_eq!(sandbox.read("folds/out-of-fold.csv"), before);
}

/// A group in a process group of its own.
fn start(sandbox: &Sandbox, line: &str) -> Child {
    let mut command = sandbox.command(line);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    command.spawn().expect("the program starts")
}

fn send(signal: &str, target: &str) {
    let _ = Command::new("kill").args(["-s", signal, "--", target]).stderr(Stdio::null()).status();
}

/// Asserts that two groups have the same runs and the same record.
fn assert_same_groups(sandbox: &Sandbox, one: &str, other: &str) {
    for member in members(sandbox, one) {
        sandbox.assert_same(&format!("{one}/{member}"), &format!("{other}/{member}"));
    }
    assert_eq!(group(sandbox, one), group(sandbox, other));
    let predictions = |group: &str| fs::read(sandbox.path(group).join("out-of-fold.csv")).ok();
    assert_eq!(predictions(one), predictions(other));
}

/// Waits until a member of a group has logged so many steps.
fn wait_for_step(sandbox: &Sandbox, group: &str, member: &str, step: usize) {
    sandbox.wait_for_step(&format!("{group}/{member}"), step);
}

#[test]
fn ctrl_c_stops_cleanly_and_the_group_continues() {
    let sandbox = Sandbox::prepared();
    // 330 steps each.
    let line = TRAIN.replace("--epochs 3", "--epochs 30");
    sandbox.succeeds(&format!("{line} --seeds 2 --output whole"));
    let child = start(&sandbox, &format!("{line} --seeds 2 --output stopped"));
    wait_for_step(&sandbox, "stopped", "seed-43", 15);
    // As a terminal does: to all processes of the group.
    send("INT", &format!("-{}", child.id()));
    let output = Output::of(child.wait_with_output().expect("ends"));
    assert_eq!(output.code, 130, "{}", output.err);
    let said = "stopped by SIGINT; 1 of 2 runs are finished (hint: the same command, or `cargo run -p train -- --resume stopped`";
    assert!(output.err.contains(said), "{}", output.err);
    assert!(sandbox.path("stopped/seed-42/metrics.json").is_file(), "the first was finished");
    assert!(!sandbox.path("stopped/seed-43/metrics.json").exists(), "the second was not");
    let done = sandbox.events("stopped/seed-43", "step").len();
    assert_eq!(
        sandbox.checkpoints("stopped/seed-43").last(),
        Some(&format!("step-{done:08}")),
        "the last step is saved"
    );
    let opened = sandbox.run("predict --run stopped lovely");
    assert!(opened.err.contains("seed-42 is taken, the best of the 1 finished of 2"), "{}", opened.err);

    let output = sandbox.run("train --resume stopped");
    assert_eq!((output.code, output.out.as_str()), (0, "stopped\n"), "{}", output.err);
    assert!(output.err.contains("1 finished before"), "{}", output.err);
    assert_same_groups(&sandbox, "whole", "stopped");
}

#[test]
fn without_a_folder_the_same_command_continues_the_newest_unfinished_group() {
    let sandbox = Sandbox::prepared();
    let line = format!("{} --seeds 2", TRAIN.replace("--epochs 3", "--epochs 10"));
    let child = start(&sandbox, &line);
    let began = Instant::now();
    let folder = loop {
        let found = if sandbox.path("runs").is_dir() { names(&sandbox.path("runs")) } else { Vec::new() };
        match found.into_iter().find(|name| sandbox.path(&format!("runs/{name}/seed-42/log.jsonl")).is_file()) {
            Some(name) => break format!("runs/{name}"),
            None => assert!(began.elapsed() < Duration::from_secs(60), "it never began"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(folder.ends_with("-reviews.csv-tiny-seeds"), "{folder}");
    send("KILL", &child.id().to_string());
    assert_eq!(child.wait_with_output().expect("ends").status.signal(), Some(9));
    assert!(!group(&sandbox, &folder).is_finished());
    // Other options begin another group, and `--resume` alone continues the newest unfinished one.
    let other = format!("{line} --weight-decay 0.02 --max-steps 3");
    assert_ne!(sandbox.succeeds(&other), format!("{folder}\n"));
    assert_eq!(names(&sandbox.path("runs")).len(), 2);
    let output = sandbox.run(&line);
    assert_eq!((output.code, output.out), (0, format!("{folder}\n")), "{}", output.err);
    assert!(output.err.contains("was begun with the same options and is continued"), "{}", output.err);
    assert_eq!(names(&sandbox.path("runs")).len(), 2);
    assert!(group(&sandbox, &folder).is_finished());
    // A finished one isn't continued: the same command begins a new one.
    assert_ne!(sandbox.succeeds(&line), format!("{folder}\n"));
    assert_eq!(names(&sandbox.path("runs")).len(), 3);
}

#[test]
fn a_group_moves_with_its_folds_and_resume_alone_finds_it() {
    let sandbox = Sandbox::prepared();
    let line = format!("{} --folds 2", TRAIN.replace("--epochs 3", "--epochs 10"));
    sandbox.succeeds(&format!("{line} --output whole"));
    let child = start(&sandbox, &format!("{line} --output begun"));
    wait_for_step(&sandbox, "begun", "fold-1", 10);
    send("TERM", &child.id().to_string());
    assert_eq!(child.wait_with_output().expect("ends").status.code(), Some(143));
    fs::create_dir(sandbox.path("runs")).expect("a folder");
    fs::rename(sandbox.path("begun"), sandbox.path("runs/moved")).expect("moves");
    assert_eq!(sandbox.succeeds("train --resume"), "runs/moved\n");
    assert_same_groups(&sandbox, "whole", "runs/moved");
}

#[test]
fn random_kills_change_nothing() {
    let (kills, seed) =
        (setting("VERDICT_KILLS").map_or(4, |kills: u64| kills.div_ceil(10)), setting("VERDICT_SEED").unwrap_or(0));
    let sandbox = Sandbox::prepared();
    let mut random = Random::new(seed);
    let (mut killed, mut groups) = (0, 0);
    while killed < kills {
        groups += 1;
        let kind = if groups % 2 == 1 { "folds" } else { "seeds" };
        let line = format!("{TRAIN} --{kind} 3 --seed {groups} --workers {}", 1 + groups / 2 % 2);
        let began = Instant::now();
        sandbox.succeeds(&format!("{line} --output whole{groups}"));
        let longest = (began.elapsed() / 2).max(Duration::from_millis(1000));
        let interrupted = format!("{line} --output killed{groups}");
        loop {
            let mut child = start(&sandbox, &interrupted);
            let due = Instant::now() + Duration::from_millis(50 + random.below(longest.as_millis() as usize) as u64);
            let status = loop {
                if let Some(status) = child.try_wait().expect("can be waited for") {
                    break status;
                }
                if Instant::now() >= due && killed < kills {
                    // The group's process alone, whose trainings are then told by the end of their input; or all at once.
                    let all = random.below(2) == 0;
                    send("KILL", &if all { format!("-{}", child.id()) } else { child.id().to_string() });
                    break child.wait().expect("ends");
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            match status.signal() {
                Some(_) => killed += 1,
                None => {
                    let err = child.stderr.take().map(std::io::read_to_string);
                    assert!(status.success(), "seed {seed}, group {groups}, after {killed} kills: {status}: {err:?}");
                    break;
                }
            }
        }
        assert_same_groups(&sandbox, &format!("whole{groups}"), &format!("killed{groups}"));
    }
}

#[test]
fn a_refused_group_leaves_nothing_behind_and_a_hint_is_right() {
    let sandbox = Sandbox::prepared();
    let rows: String = (0..20).map(|row| format!("a {row} film,{}\n", ["fine", "bad"][row % 2])).collect();
    sandbox.write("rare.csv", &format!("text,label\n{rows}a plot,odd\nan actor,odd\nthe ending,odd\n"));
    sandbox.write("held.csv", &format!("text,label\n{}", rows.replace("film", "story")));
    sandbox.succeeds(
        "prepare --dataset rare.csv --validation-file held.csv --test-file held.csv --allow-leakage --model tiny \
         --max-length 32 --max-unknown 1 --output rare",
    );
    let train = "train --threads 1 --max-steps 1 --batch-size 4";
    let error = sandbox.fails(&format!("{train} --data rare --folds 5"));
    assert!(
        error.contains("the class \"odd\" has 3 different texts") && error.contains("(hint: --folds 3)"),
        "{error}"
    );
    for refused in ["--data rare --seeds 1", "--data gone --seeds 3", "--data rare --seeds 3 --model gone"] {
        sandbox.fails(&format!("{train} {refused}"));
    }
    assert!(!sandbox.path("runs").exists(), "nothing was begun");
    sandbox.succeeds(&format!("{train} --data rare --folds 3"));
    // What one member refuses, the others would refuse too.
    let error = sandbox.fails("train --data data --threads 1 --seeds 3 --batch-size 500 --output large");
    assert!(error.contains("seed-42: ") && error.contains("fewer than one batch of 500"), "{error}");
    assert!(!sandbox.path("large/seed-43").exists());
    let error = sandbox.fails("tune --data data --seeds 3");
    assert!(error.contains("unexpected argument '--seeds'"), "{error}");
}

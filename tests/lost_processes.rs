//! A process of a training is killed, stopped or fails: the others notice, say which, keep what is done, and a new start ends
//! as if nothing had happened.
//!
//! `VERDICT_KILLS` says how many processes are killed at random instants (a tenth of it, at least 5; as many under torchrun, at
//! least 2), `VERDICT_SEED` at which (0).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_support::{Random, python_with, setting, skipped};

use crate::support::{LaunchAttempt, Output, RestartingLauncher, Running, Sandbox, TRAIN};

/// For the survivors of a lost process, until they have ended.
const NOTICED: u64 = 15;

/// Gradients go through the network, as between machines, instead of through shared memory: a loss is noticed otherwise.
const NETWORK: &[(&str, &str)] = &[("VERDICT_SHARED_MEMORY", "off")];

/// 440 steps, one checkpoint at the end of each epoch.
fn long() -> String {
    TRAIN.replace("--epochs 3", "--epochs 40")
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux").trim().to_owned()
}

/// A number of processes, and what the environment tells them.
type Processes = (usize, &'static [(&'static str, &'static str)]);

/// Runs a command line by several processes, which must succeed.
fn succeed(sandbox: &Sandbox, (count, set): Processes, line: &str) {
    for output in sandbox.start_ranks(count, line, set).into_iter().map(|rank| rank.ends_within(120)) {
        assert_eq!(output.code, 0, "verdict {line}\n{}", output.err);
    }
}

/// An undisturbed run.
fn train_whole(sandbox: &Sandbox, processes: Processes, line: &str, run: &str) {
    succeed(sandbox, processes, &format!("{line} --output {run}"));
}

/// Resumes a run and compares it with an undisturbed one.
fn assert_resumes(sandbox: &Sandbox, processes: Processes, run: &str, whole: &str) {
    succeed(sandbox, processes, &format!("train --resume {run}"));
    sandbox.assert_same(whole, run);
}

/// Waits for the survivors of a process, which must name it.
fn assert_survivors_name(ranks: Vec<Running>, lost: usize, process: u32) -> Vec<Output> {
    let name = format!("rank {lost} (process {process} on {})", host());
    let began = Instant::now();
    let rest = || NOTICED.saturating_sub(began.elapsed().as_secs()).max(1);
    let outputs: Vec<Output> = ranks.into_iter().map(|rank| rank.ends_within(rest())).collect();
    for output in &outputs {
        assert_eq!((output.code, &output.out[..]), (1, ""), "{}", output.err);
        assert!(output.err.contains("error: ") && output.err.contains(&name), "expected {name}: {}", output.err);
        assert!(output.err.contains("is lost") && output.err.contains("(hint: "), "{}", output.err);
    }
    outputs
}

#[test]
fn a_killed_process_is_named_and_the_step_before_is_saved() {
    let sandbox = Sandbox::prepared();
    train_whole(&sandbox, (3, &[]), &long(), "whole");
    let mut ranks = sandbox.start_ranks(3, &format!("{} --save-every 1000 --output run", long()), &[]);
    sandbox.wait_for_step("run", 15);
    let killed = ranks.remove(1);
    killed.signal("KILL");
    let outputs = assert_survivors_name(ranks, 1, killed.pid());
    let done = sandbox.events("run", "step").len();
    assert!((15..440).contains(&done), "{done}");
    assert_eq!(sandbox.checkpoints("run").last(), Some(&format!("step-{done:08}")), "{}", outputs[0].err);
    let said = format!("Training has stopped after step {done}; step {done} is saved");
    assert!(outputs[0].err.contains(&said) && outputs[0].err.contains("--resume run"), "{}", outputs[0].err);
    assert_resumes(&sandbox, (3, &[]), "run", "whole");
}

#[test]
fn a_killed_first_process_leaves_its_last_checkpoint() {
    let sandbox = Sandbox::prepared();
    train_whole(&sandbox, (2, NETWORK), &long(), "whole");
    let mut ranks = sandbox.start_ranks(2, &format!("{} --output run", long()), NETWORK);
    sandbox.wait_for_step("run", 15);
    let killed = ranks.remove(0);
    killed.signal("KILL");
    assert_survivors_name(ranks, 0, killed.pid());
    assert!(!sandbox.checkpoints("run").is_empty());
    assert_resumes(&sandbox, (2, NETWORK), "run", "whole");
}

#[test]
fn a_process_that_stands_still_is_lost_and_ends_itself_when_it_goes_on() {
    let sandbox = Sandbox::prepared();
    std::thread::scope(|scope| {
        for (world, way, stopped) in [(2, &[][..], 0), (3, NETWORK, 2)] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let (whole, run) = (format!("whole-{world}"), format!("run-{world}"));
                train_whole(sandbox, (world, way), &long(), &whole);
                let mut ranks = sandbox.start_ranks(world, &format!("{} --output {run}", long()), way);
                sandbox.wait_for_step(&run, 15);
                let stopped_rank = ranks.remove(stopped);
                stopped_rank.signal("STOP");
                assert_survivors_name(ranks, stopped, stopped_rank.pid());
                stopped_rank.signal("CONT");
                let output = stopped_rank.ends_within(NOTICED);
                assert_eq!((output.code, &output.out[..]), (1, ""), "rank {stopped} alone: {}", output.err);
                assert_resumes(sandbox, (world, way), &run, &whole);
            });
        }
    });
}

#[test]
fn a_pause_of_some_seconds_is_no_loss() {
    let sandbox = Sandbox::prepared();
    // Sums of two do not depend on their way.
    train_whole(&sandbox, (2, &[]), &long(), "whole");
    std::thread::scope(|scope| {
        for (rank, way) in [(0, &[][..]), (1, NETWORK)] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let run = format!("run-{rank}");
                let ranks = sandbox.start_ranks(2, &format!("{} --output {run}", long()), way);
                sandbox.wait_for_step(&run, 10);
                ranks[rank].signal("STOP");
                std::thread::sleep(Duration::from_secs(4));
                ranks[rank].signal("CONT");
                for output in ranks.into_iter().map(|rank| rank.ends_within(60)) {
                    assert_eq!(output.code, 0, "{}", output.err);
                }
                sandbox.assert_same("whole", &run);
            });
        }
    });
}

#[test]
fn all_say_why_a_process_has_failed() {
    let sandbox = Sandbox::prepared();
    let line = format!("{TRAIN} --output run");
    let broken = sandbox.path("broken");
    sandbox.copy_folder("data", "broken");
    let split = fs::read_dir(&broken).expect("a folder").map(|entry| entry.expect("an entry").path());
    for file in split.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("train"))) {
        fs::write(&file, b"").expect("writes");
    }
    let port = crate::support::free_port();
    let lines = [line.clone(), line.clone(), line.replace("--data data", "--data broken")];
    let ranks: Vec<Running> =
        lines.iter().enumerate().map(|(rank, line)| Running::started(&mut sandbox.rank(rank, 3, port, line))).collect();
    let outputs: Vec<Output> = ranks.into_iter().map(|rank| rank.ends_within(NOTICED)).collect();
    let own = sandbox.failure(&outputs[2]).expect("fails");
    for output in &outputs[..2] {
        let error = sandbox.failure(output).expect("fails");
        assert!(error.contains("rank 2 (process ") && error.contains(" has stopped: "), "{error}");
        assert!(error.contains(own.trim_start_matches("error: ")), "{error}\nexpected {own}");
    }
}

/// Starts the processes again and again and kills one at a random instant each time, then lets them end.
fn kill_at_random(sandbox: &Sandbox, (world, way): Processes, kills: u64, random: &mut Random, whole: Duration) {
    let run = format!("killed-{world}");
    let line = format!("{TRAIN} --save-every 3 --output {run} --resume");
    let mut launcher = RestartingLauncher::new(sandbox, world, &line, way);
    let mut done = 0;
    while done < kills {
        let (rank, after) =
            (random.below(world), Duration::from_millis(random.below(whole.as_millis() as usize) as u64));
        let began = Instant::now();
        let mut hit = None;
        let attempt = launcher.attempt(|ranks| {
            let due = began.elapsed() >= after;
            if due && ranks[rank].status().is_none() {
                ranks[rank].signal("KILL");
                hit = Some(ranks[rank].pid());
            }
            due
        });
        let what = format!("{run}: rank {rank} killed after {after:?}");
        match hit {
            Some(process) if attempt.outputs[rank].code == -1 => {
                assert_restart_is_clean(&attempt, rank, process, &what);
                done += 1;
            }
            // It had ended before; the run is complete, and another one begins.
            _ => {
                assert!(attempt.succeeded(), "{what}: {}", attempt.outputs[0].err);
                sandbox.assert_same(&format!("whole-{world}"), &run);
                fs::remove_dir_all(sandbox.path(&run)).expect("removes");
            }
        }
    }
    let attempt = launcher.attempt(|_| true);
    let ends = || attempt.outputs.iter().map(|output| format!("{}: {}", output.code, output.err)).collect::<String>();
    assert!(attempt.succeeded() && !attempt.forced, "{run}: {}", ends());
    sandbox.assert_same(&format!("whole-{world}"), &run);
}

/// What the launcher finds when it has stopped the processes that were left after a kill.
fn assert_restart_is_clean(attempt: &LaunchAttempt, killed: usize, process: u32, what: &str) {
    assert!(!attempt.forced, "{what}: SIGTERM did not end the others");
    for (rank, (output, error)) in attempt.outputs.iter().zip(&attempt.errors).enumerate() {
        if rank == killed {
            assert_eq!(*error, None, "{what}: it could not say anything");
            continue;
        }
        // Before the first step SIGTERM ends a process at once.
        match (output.code, error) {
            (-1, None) => {}
            (0, None) => {}
            (143, Some(_)) => {}
            // SIGTERM may come between what it tells the launcher and its end.
            (1 | -1, Some(error)) => {
                assert!(output.code == -1 || output.err.contains(error.as_str()), "{what}: {error}\n{}", output.err);
                let names_process = error.contains(&format!("rank {killed} (process {process} on "));
                let before_it_was_known = killed == 0 && error.contains("rank 0 at 127.0.0.1:");
                assert!(names_process || before_it_was_known, "{what}: {error}");
            }
            (code, error) => panic!("{what}: rank {rank} ended with {code}, {error:?}: {}", output.err),
        }
    }
}

#[test]
fn random_kills_and_restarts_end_as_the_undisturbed_run() {
    let (kills, seed) = (setting("VERDICT_KILLS").unwrap_or(0), setting("VERDICT_SEED").unwrap_or(0));
    let kills = (kills / 10u64).max(5);
    let sandbox = Sandbox::prepared();
    std::thread::scope(|scope| {
        for (world, way, share) in [(2, &[][..], kills / 2), (3, NETWORK, kills - kills / 2)] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let began = Instant::now();
                let whole = format!("whole-{world}");
                train_whole(sandbox, (world, way), &format!("{TRAIN} --save-every 3"), &whole);
                let mut random = Random::new(seed + world as u64);
                kill_at_random(sandbox, (world, way), share, &mut random, began.elapsed());
            });
        }
    });
}

/// A launch by torchrun. It starts a script that notes its process in `RUN.RANK.RESTARTS`, and then is the program.
fn torchrun(sandbox: &Sandbox, python: &Path, (world, restarts): (usize, u64), line: &str, run: &str) -> Running {
    let note = format!("{run}.$RANK.$TORCHELASTIC_RESTART_COUNT");
    sandbox.write("rank.sh", &format!("echo $$ > noting.$RANK; mv noting.$RANK {note}; exec \"$@\""));
    let program = sandbox.command(&format!("{line} --output {run}"));
    let mut command = Command::new(python);
    command
        .args("-m torch.distributed.run --no-python --standalone --monitor-interval 0.05 --nproc-per-node".split(' '));
    command.args([&world.to_string(), "--max-restarts", &restarts.to_string(), "sh", "rank.sh"]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(sandbox.path("")).env("HF_HUB_OFFLINE", "1").env_remove("OMP_NUM_THREADS");
    Running::started(&mut command)
}

/// Has torchrun start the processes again after a random one was killed, within `whole` of its start, until `run` is complete.
/// Returns how often that was; it may be complete before the last kill.
fn kill_under_torchrun(
    sandbox: &Sandbox,
    python: &Path,
    (world, kills): (usize, u64),
    run: &str,
    random: &mut Random,
    whole: Duration,
) -> u64 {
    let mut training = torchrun(sandbox, python, (world, kills), &format!("{TRAIN} --save-every 3 --resume"), run);
    let process =
        |rank: usize, restarts: u64| fs::read_to_string(sandbox.path(&format!("{run}.{rank}.{restarts}"))).ok();
    let mut restarts = 0;
    while restarts < kills && training.status().is_none() {
        let rank = random.below(world);
        let waits = Duration::from_millis(random.below(whole.as_millis() as usize) as u64);
        // It is read again until the process has been started, and then until its successor has.
        while process(rank, restarts).is_none() && training.status().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(waits);
        let Some(killed) = process(rank, restarts) else { break };
        let kill = Command::new("kill").args(["-s", "KILL", killed.trim()]).stderr(Stdio::null()).status();
        kill.expect("kill starts");
        while process(rank, restarts + 1).is_none() && training.status().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        restarts += u64::from(process(rank, restarts + 1).is_some());
    }
    let output = training.ends_within(90);
    assert!(output.code == 0 && output.out.ends_with(&format!("{run}\n")), "{}{}", output.out, output.err);
    sandbox.assert_same(&format!("whole-{world}"), run);
    restarts
}

#[test]
fn torchrun_restarts_after_random_kills_and_prints_an_error() {
    // Importing torch takes seconds; whether it is installed is known at once.
    let installed = "importlib.metadata; importlib.metadata.version('torch')";
    let Some(python) = python_with(installed, "torch", "ranks-venv") else { return };
    let (kills, seed) = (setting("VERDICT_KILLS").unwrap_or(0u64), setting("VERDICT_SEED").unwrap_or(0u64));
    let kills = (kills / 20).max(1);
    let sandbox = Sandbox::prepared();
    for world in [2, 3] {
        let began = Instant::now();
        train_whole(&sandbox, (world, &[]), &format!("{TRAIN} --save-every 3"), &format!("whole-{world}"));
        let (whole, mut random, mut done) = (began.elapsed(), Random::new(seed + world as u64), 0);
        for launch in 0.. {
            let run = format!("run-{world}-{launch}");
            done += kill_under_torchrun(&sandbox, &python, (world, kills - done), &run, &mut random, whole);
            if done == kills {
                break;
            }
        }
    }

    let failing = torchrun(&sandbox, &python, (2, 0), &TRAIN.replace("--data data", "--data nowhere"), "other").end();
    assert_eq!(failing.code, 1, "{}", failing.err);
    let (_, root_cause) = failing.err.split_once("Root Cause").expect("torchrun names one");
    assert!(root_cause.contains("nowhere"), "{root_cause}");
}

#[test]
fn srun_starts_a_training_of_two_tasks() {
    let mut trial = Command::new("srun");
    trial.args(["-n", "2", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    let works = trial.spawn().is_ok_and(|mut child| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if let Some(status) = child.try_wait().expect("waits") {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    });
    if !works {
        return skipped("`srun -n 2 true` does not work here");
    }
    let sandbox = Sandbox::prepared();
    train_whole(&sandbox, (2, &[]), TRAIN, "whole");
    let program = sandbox.command(&format!("{TRAIN} --output run"));
    let mut srun = Command::new("srun");
    srun.args(["-n", "2"]).arg(program.get_program()).args(program.get_args()).current_dir(sandbox.path(""));
    let output = Running::started(srun.env("OMP_NUM_THREADS", "1").env("HF_HUB_OFFLINE", "1")).ends_within(60);
    assert_eq!((output.code, &output.out[..]), (0, "run\n"), "{}", output.err);
    assert!(output.err.contains("2 processes, started by SLURM"), "{}", output.err);
    sandbox.assert_same("whole", "run");
}

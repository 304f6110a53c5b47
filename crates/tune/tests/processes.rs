//! Concurrent workers in one process and in several processes, some of which are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use test_support::TestProcess;
use tune::{Distribution, Duplicates, Param, StartOutcome, Study, StudyDirection, TrialOutcome, TrialState};

const JOURNAL: &str = "VERDICT_TEST_JOURNAL";
const NAME: &str = "VERDICT_TEST_WORKER";

/// How many trials a study of workers that are killed gets, and how many of these workers are killed.
const TRIALS: usize = 150;
const KILLS: usize = 40;

fn open(path: &Path) -> Study {
    Study::open(path, "s", StudyDirection::Maximize).unwrap()
}

fn params(value: f64) -> BTreeMap<String, Param> {
    let distribution = Distribution::Float { low: 0.0, high: 1e9, log: false, step: None };
    BTreeMap::from([("x".to_owned(), Param { distribution, internal: value })])
}

/// Begins a trial, however often others are faster.
fn begin(study: &mut Study, value: f64, mark: &str) -> u64 {
    loop {
        study.sync().unwrap();
        let attrs = BTreeMap::from([("mark".to_owned(), json!(mark))]);
        let number = study.trials().len() as u64;
        match study.start_trial(number, params(value), attrs, Duplicates::Allow).unwrap() {
            StartOutcome::Started(number) => return number,
            StartOutcome::Outdated => {}
            StartOutcome::Duplicate(_) => unreachable!("repeats are allowed"),
        }
    }
}

/// A worker in another process, killed at the latest when this is dropped.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(path: &Path, name: &str) -> Self {
        let mut command = TestProcess::command();
        command.env(JOURNAL, path).env(NAME, name);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// What it says next, as many times, or until it has ended.
    fn read_lines(&mut self, most: usize) -> Vec<String> {
        let lines = self.output.by_ref().lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("SAID ").map(str::to_owned)).take(most).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn part() -> (Study, String) {
    let path = PathBuf::from(std::env::var_os(JOURNAL).expect("a journal"));
    (open(&path), std::env::var(NAME).expect("a name"))
}

/// To the parent, in a line of its own: the harness may have begun one.
fn say(text: &str) {
    let mut output = std::io::stdout();
    output.write_all(format!("\nSAID {text}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

/// The part of a worker that begins and finishes a hundred trials.
fn a_hundred_trials() {
    let (mut study, name) = part();
    for index in 0..100 {
        let number = begin(&mut study, f64::from(index), &format!("{name}-{index}"));
        study.finish(number, TrialOutcome::Complete(f64::from(index))).unwrap();
    }
}

/// The part of a worker that takes over what dead ones left, begins what nobody has begun, reports and finishes; it says
/// what was done once it is.
fn work_until_there_are_enough() {
    let (mut study, name) = part();
    loop {
        let number = match study.take_over().unwrap() {
            Some(number) => {
                say(&format!("took {number}"));
                number
            }
            None if study.trials().len() >= TRIALS => break,
            None => begin(&mut study, 0.5, &name),
        };
        for step in 0..3 {
            std::thread::sleep(Duration::from_millis(2));
            study.report(number, step, step as f64).unwrap();
            say(&format!("reported {number} {step}"));
        }
        study.finish(number, TrialOutcome::Complete(number as f64)).unwrap();
        say(&format!("finished {number}"));
    }
    say("done");
}

fn assert_hundred_each(path: &Path, workers: &[&str]) {
    let study = Study::load(path, "s").unwrap();
    assert_eq!(study.trials().len(), 100 * workers.len());
    let marks: BTreeSet<_> = study.trials().iter().map(|trial| trial.user_attrs["mark"].as_str().unwrap()).collect();
    assert_eq!(marks.len(), 100 * workers.len(), "an operation was lost or doubled");
    for trial in study.trials() {
        let mark = trial.user_attrs["mark"].as_str().unwrap();
        let index: f64 = mark.rsplit_once('-').unwrap().1.parse().unwrap();
        assert_eq!((trial.state, trial.value), (TrialState::Complete, Some(index)));
    }
    let lines = std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(lines, 1 + 200 * workers.len());
}

#[test]
fn two_processes_append_two_hundred_operations_each() {
    if TestProcess::is_this() {
        return a_hundred_trials();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.jsonl");
    let workers = ["a", "b"];
    let processes = workers.map(|name| Process::start(&path, name));
    for mut process in processes {
        assert!(process.child.wait().unwrap().success());
    }
    assert_hundred_each(&path, &workers);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a lock was left behind");
}

#[test]
fn two_threads_append_two_hundred_operations_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.jsonl");
    let workers = ["a", "b"];
    std::thread::scope(|scope| {
        for name in workers {
            let path = &path;
            scope.spawn(move || {
                let mut study = open(path);
                for index in 0..100 {
                    let number = begin(&mut study, f64::from(index), &format!("{name}-{index}"));
                    study.finish(number, TrialOutcome::Complete(f64::from(index))).unwrap();
                }
            });
        }
    });
    assert_hundred_each(&path, &workers);
}

#[test]
fn killed_workers_lose_no_reported_value() {
    if TestProcess::is_this() {
        return work_until_there_are_enough();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.jsonl");
    drop(open(&path));
    let (mut finished, mut reported, mut took) = (BTreeMap::new(), BTreeSet::new(), 0);
    let mut kills = 0;
    let begun = Instant::now();
    loop {
        let mut both = ["a", "b"].map(|name| Process::start(&path, name));
        let killed = kills < KILLS;
        let mut said = Vec::new();
        if killed {
            // Somewhere in the first trials, and a little later, so in the middle of anything.
            said = both[0].read_lines(1 + kills % 9);
            std::thread::sleep(Duration::from_micros(97 * (kills % 31) as u64));
            both.iter_mut().for_each(|process| process.child.kill().unwrap());
            kills += both.len();
        }
        said.extend(both.iter_mut().flat_map(|process| process.read_lines(usize::MAX)));
        for line in &said {
            let mut words = line.split(' ');
            match words.next().unwrap() {
                "took" => took += 1,
                "reported" => drop(reported.insert(words.map(str::to_owned).collect::<Vec<_>>())),
                "finished" => *finished.entry(words.next().unwrap().to_owned()).or_insert(0) += 1,
                _ => {}
            }
        }
        if !killed {
            assert_eq!(said.iter().filter(|line| *line == "done").count(), 2, "{said:?}");
            break;
        }
    }
    let study = Study::load(&path, "s").unwrap();
    // A worker in the middle of begin() may have lost the race for the last place.
    assert!((TRIALS..TRIALS + 2).contains(&study.trials().len()), "{} trials", study.trials().len());
    assert!(finished.values().all(|times| *times == 1), "a trial was finished twice: {finished:?}");
    for trial in study.trials() {
        assert_eq!((trial.state, trial.value), (TrialState::Complete, Some(trial.number as f64)));
        assert_eq!(trial.intermediate.len(), 3);
    }
    for words in &reported {
        let (number, step): (usize, u64) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        assert_eq!(study.trials()[number].intermediate[&step], step as f64);
    }
    // What was finished and not said was killed in between, which is rare; most is said.
    assert!(finished.len() * 2 > TRIALS, "{} of {TRIALS} were said to be finished", finished.len());
    let takeovers: u32 = study.trials().iter().map(|trial| study.takeovers(trial.number).unwrap()).sum();
    assert!(takeovers >= took && takeovers > 5, "{took} said, {takeovers} written");
    // A lock that a killed process left behind costs no half minute.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

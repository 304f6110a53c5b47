//! Helpers that stop trainings before their end and compare finished ones.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Output, Sandbox};

/// 11 steps an epoch, 33 in all, dropout on.
pub(crate) const TRAIN: &str = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 3";

/// A running process of the program.
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    pub(crate) fn of(child: Child) -> Self {
        Self { child: Some(child) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().expect("kill starts");
        assert!(sent.success(), "SIG{name} was not sent");
    }

    /// Waits for the end. A process that was ended by a signal has the code -1.
    pub(crate) fn end(mut self) -> Output {
        Output::of(self.child.take().expect("running").wait_with_output().expect("ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Sandbox {
    /// Prepared data and a run of [`TRAIN`] that was never stopped, with all its checkpoints: of every fourth step and of
    /// each epoch's last.
    pub(crate) fn with_uninterrupted_run() -> Self {
        let sandbox = Self::prepared();
        sandbox.succeeds(&format!("{TRAIN} --save-every 4 --save-total 99 --output whole"));
        sandbox
    }

    pub(crate) fn start(&self, line: &str) -> Running {
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::of(command.spawn().expect("the program starts"))
    }

    /// Waits until the log of a run holds a step.
    pub(crate) fn wait_for_step(&self, run: &str, step: usize) {
        self.wait_for(run, "step", step);
    }

    /// Waits until the log of a run holds so many lines of a kind.
    pub(crate) fn wait_for(&self, run: &str, kind: &str, count: usize) {
        let begun = Instant::now();
        while self.events(run, kind).len() < count {
            assert!(begun.elapsed() < Duration::from_secs(60), "{run} never came to {kind} {count}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Trains into `run` and kills the process once it has logged a step.
    pub(crate) fn train_and_kill(&self, line: &str, run: &str, step: usize) {
        for _ in 0..10 {
            let process = self.start(line);
            self.wait_for_step(run, step);
            process.signal("KILL");
            if process.end().code == -1 {
                return;
            }
            // On a busy machine it had ended before it could be killed.
            fs::remove_dir_all(self.path(run)).expect("removes");
        }
        panic!("{line}: it always ended before it could be killed");
    }

    /// The whole lines of one kind in the log of a run, without times.
    pub(crate) fn events(&self, run: &str, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(run).join("log.jsonl")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut events: Vec<Value> = lines.filter(|line| line["event"] == kind).collect();
        for event in events.iter_mut().filter_map(Value::as_object_mut) {
            ["seconds", "examples_per_second", "tokens_per_second"].iter().for_each(|key| drop(event.remove(*key)));
        }
        events
    }

    /// The names of the finished checkpoints of a run, in order.
    pub(crate) fn checkpoints(&self, run: &str) -> Vec<String> {
        let mut names = names(&self.path(run).join("checkpoints"));
        names.retain(|name| !name.starts_with('.'));
        names
    }

    /// The file of the newest checkpoint.
    pub(crate) fn in_newest(&self, run: &str, file: &str) -> String {
        let newest = self.checkpoints(run).pop().unwrap_or_else(|| panic!("{run} has no checkpoint"));
        format!("{run}/checkpoints/{newest}/{file}")
    }

    /// Copies a run's folder with only its first `checkpoints` checkpoints.
    pub(crate) fn copy_run(&self, from: &str, to: &str, checkpoints: usize) {
        copy(&self.path(from), &self.path(to));
        for later in &self.checkpoints(to)[checkpoints..] {
            fs::remove_dir_all(self.path(to).join("checkpoints").join(later)).expect("removes");
        }
    }

    /// Asserts that both runs have the same model, newest checkpoint, steps, evaluations and metrics.
    pub(crate) fn assert_same(&self, one: &str, other: &str) {
        let read = |run: &str, name: &str| self.read(&format!("{run}/{name}"));
        assert!(read(one, "model.safetensors") == read(other, "model.safetensors"), "{one}, {other}: kept models");
        assert_eq!(self.checkpoints(one).last(), self.checkpoints(other).last(), "{one}, {other}");
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let same = self.read(&self.in_newest(one, file)) == self.read(&self.in_newest(other, file));
            assert!(same, "{one}, {other}: {file} of the newest checkpoint");
        }
        for kind in ["step", "evaluation"] {
            assert_eq!(self.events(one, kind), self.events(other, kind), "{one}, {other}");
        }
        let figures = |run: &str| {
            let mut figures = self.json(&format!("{run}/metrics.json"));
            let map = figures.as_object_mut().expect("an object");
            let measured = ["seconds", "examples_per_second", "peak_memory_bytes", "peak_host_memory_bytes"];
            measured.iter().for_each(|key| drop(map.remove(*key)));
            figures
        };
        assert_eq!(figures(one), figures(other), "{one}, {other}");
    }
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes a folder");
    for name in names(from) {
        if from.join(&name).is_dir() {
            copy(&from.join(&name), &to.join(&name));
        } else {
            fs::copy(from.join(&name), to.join(&name)).expect("copies");
        }
    }
}

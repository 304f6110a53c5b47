//! Runs the members that are not finished, one process each. A single thread polls all of them in turn.

use std::collections::VecDeque;
use std::thread::sleep;
use std::time::Duration;

use disk::write_atomic;
use run::{GroupMember, GroupScores, HELD_OUT, MemberResult, RunFolder, RunGroup, RunMetrics};

use super::Program;
use super::plan::data_of;
use super::progress::GroupProgress;
use crate::error::{Result, TrainError};
use crate::options::TrainConfig;
use crate::signals::{self, Signal};
use crate::training_process::{TrainingExit, TrainingFiles, TrainingProcess};

/// Between two polls of the members.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A member fails when its process was killed this often.
const MAX_RESTARTS: u32 = 3;

pub(super) struct GroupRunner<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) group: &'a mut RunGroup,
    /// The configuration of all members, without the seed and the data of each.
    pub(super) config: &'a TrainConfig,
    pub(super) program: Program,
    pub(super) profile: bool,
    pub(super) workers: usize,
    /// The names of the GPUs; none on a CPU.
    pub(super) gpus: Vec<String>,
}

/// A member that trains.
struct RunningMember {
    /// Its index in the group.
    index: usize,
    process: TrainingProcess,
    /// How often its process was restarted.
    restarts: u32,
}

impl GroupRunner<'_> {
    /// Trains all members that are not finished; returns the signal that stopped them, if one did.
    ///
    /// # Errors
    /// A program that can't be started; files that can't be written; the failure of a member before any other is finished,
    /// because the others would most likely fail in the same way.
    pub(super) fn run(&mut self) -> Result<Option<Signal>> {
        let mut progress = GroupProgress::new(self.group);
        let mut waiting: VecDeque<usize> = (0..self.group.members.len()).filter(|&at| self.is_pending(at)).collect();
        let mut slots: Vec<Option<RunningMember>> = (0..self.workers).map(|_| None).collect();
        let (mut end, mut failure) = (None, None);
        loop {
            if end.is_none() {
                end = signals::requested();
                if end.is_some() {
                    progress.print_line("stopping: running trainings save, and are resumed by the next start");
                }
            }
            let stopping = end.is_some() || failure.is_some();
            for (worker, slot) in slots.iter_mut().enumerate() {
                if let Some(running) = slot {
                    if stopping {
                        running.process.stop();
                    }
                    match running.process.poll().map_err(process_error)? {
                        None => progress.update(&self.group.members[running.index].name, &running.process.log),
                        Some(exit) => {
                            let (index, restarts) = (running.index, running.restarts);
                            *slot = None;
                            match self.ended(index, exit, restarts, stopping, &mut progress)? {
                                Next::Restart => *slot = Some(self.start(index, worker, restarts + 1)?),
                                Next::Fail(error) => failure = Some(error),
                                Next::Free => {}
                            }
                        }
                    }
                }
                if slot.is_none()
                    && !stopping
                    && failure.is_none()
                    && let Some(index) = waiting.pop_front()
                {
                    progress.begin(&self.group.members[index].name);
                    *slot = Some(self.start(index, worker, 0)?);
                }
            }
            if slots.iter().all(Option::is_none) && (stopping || waiting.is_empty()) {
                break;
            }
            sleep(POLL_INTERVAL);
        }
        progress.close();
        match failure {
            Some(error) if end.is_none() => Err(error),
            _ => Ok(end.filter(|_| (0..self.group.members.len()).any(|at| self.is_pending(at)))),
        }
    }

    fn is_pending(&self, index: usize) -> bool {
        self.group.members[index].result.is_none()
    }

    fn files(&self, member: &GroupMember) -> TrainingFiles {
        let file = |ending: &str| self.folder.file(&format!("{}.{ending}", member.name));
        TrainingFiles { config: file("toml"), run: self.folder.file(&member.name), output: file("txt") }
    }

    fn start(&self, index: usize, worker: usize, restarts: u32) -> Result<RunningMember> {
        let member = &self.group.members[index];
        let files = self.files(member);
        let config = TrainConfig {
            seed: member.seed,
            data: Some(data_of(self.folder, self.group, member)),
            ..self.config.clone()
        };
        write_atomic(&files.config, config.to_toml())?;
        let mut program = self.program.command().map_err(process_error)?;
        program.args(member.fold.map(|fold| format!("--held-out={fold}")));
        program.args(self.profile.then_some("--profile"));
        let gpu = (!self.gpus.is_empty()).then(|| self.gpus[worker % self.gpus.len()].as_str());
        let process = TrainingProcess::start(program, &files, gpu).map_err(process_error)?;
        Ok(RunningMember { index, process, restarts })
    }

    /// Enters in the group how a member's process ended.
    fn ended(
        &mut self,
        index: usize,
        exit: TrainingExit,
        restarts: u32,
        stopping: bool,
        progress: &mut GroupProgress,
    ) -> Result<Next> {
        let name = self.group.members[index].name.clone();
        let how = match exit {
            TrainingExit::Done => {
                let result = result_of(self.folder, &self.group.members[index]);
                let Some(result) = result else { return self.failed(index, "it ended without scores", progress) };
                progress.finished(&name, self.group.metric, &result);
                self.group.members[index].failed = None;
                self.group.members[index].result = Some(result);
                self.group.summarize();
                self.group.write(self.folder.path())?;
                return Ok(Next::Free);
            }
            TrainingExit::Failed(why) => return self.failed(index, &why, progress),
            // A terminal sends its signal to all processes, and a member may get it before its handler is installed.
            TrainingExit::Stopped | TrainingExit::Killed(_) if stopping || signals::requested().is_some() => {
                progress.end(&name, "stopped, and saved");
                return Ok(Next::Free);
            }
            TrainingExit::Stopped => "stopped by another process".to_owned(),
            TrainingExit::Killed(how) => format!("killed ({how})"),
        };
        if restarts + 1 < MAX_RESTARTS {
            progress.print_line(&format!("{name}: its process was {how}; restarting from its checkpoint"));
            return Ok(Next::Restart);
        }
        let hint = if self.workers > 1 { " (hint: use fewer --workers if memory is short)" } else { "" };
        self.failed(index, &format!("its process was {how}, {MAX_RESTARTS} times{hint}"), progress)
    }

    fn failed(&mut self, index: usize, why: &str, progress: &mut GroupProgress) -> Result<Next> {
        self.group.members[index].failed = Some(why.to_owned());
        self.group.write(self.folder.path())?;
        let name = &self.group.members[index].name;
        progress.end(name, &format!("failed: {why}"));
        if self.group.finished() > 0 {
            return Ok(Next::Free);
        }
        let output = self.files(&self.group.members[index]).output;
        Ok(Next::Fail(TrainError::Refused(format!("{name}: {why} (its output is in {})", output.display()))))
    }
}

/// What a worker does after its member's process has ended.
enum Next {
    Free,
    Restart,
    /// All members end with this error.
    Fail(TrainError),
}

/// The scores of a member's best model, from its run; `None` for one that isn't finished.
pub(super) fn result_of(folder: &RunFolder, member: &GroupMember) -> Option<MemberResult> {
    let run = folder.file(&member.name);
    if member.fold.is_some() && !run.join(HELD_OUT).is_file() {
        return None;
    }
    let metrics = RunMetrics::read(&run).ok()?;
    let (best, validation) = (metrics.best?, metrics.validation?);
    let scores = GroupScores::of_report(&validation.report, validation.loss);
    Some(MemberResult { value: best.value, rows: validation.report.examples, scores })
}

fn process_error(error: std::io::Error) -> TrainError {
    TrainError::Refused(error.to_string())
}

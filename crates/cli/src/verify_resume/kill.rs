//! Trains, and kills the training processes at random times chosen by a seed, until there are enough kills.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use disk::sha256_bytes;
use run::checkpoints::newest_complete;
use run::last_step;
use serde::Serialize;

use super::process::{KillPlan, watch};

/// What a process was doing when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KillMoment {
    /// Training, evaluating, or ending.
    Training,
    /// Saving: it left an unfinished file or folder.
    Saving,
    /// Resuming after an earlier kill, before its first own step.
    Recovering,
}

impl KillMoment {
    fn description(self) -> &'static str {
        match self {
            Self::Training => "in training",
            Self::Saving => "inside a save",
            Self::Recovering => "during recovery",
        }
    }
}

/// How many of ten kills aim at each moment. A save is short; a kill that misses it hits training.
const TARGET_SHARES: [(KillMoment, f64); 3] =
    [(KillMoment::Training, 3.0), (KillMoment::Saving, 5.0), (KillMoment::Recovering, 2.0)];

#[derive(Debug, Serialize)]
pub(super) struct Kill {
    /// The killed run, from 1.
    pub run: usize,
    pub kind: KillMoment,
    /// The last step in the log, 0 where there is none.
    pub logged_step: u64,
    /// The step of the newest checkpoint, 0 where there is none.
    pub checkpoint_step: u64,
    /// Steps that must be repeated.
    pub lost_steps: u64,
    /// Missing checkpoints that were due before the last step in the log. Training waits for each save, so this must be 0.
    pub lost_saves: usize,
}

/// What is known from the uninterrupted run.
#[derive(Debug)]
pub(super) struct Timeline {
    /// When each step was done, in seconds since training began.
    pub seconds: Vec<f64>,
    /// The steps after which a checkpoint is due, in order.
    pub due: Vec<u64>,
    /// From the start of a process to its first step.
    pub startup: Duration,
    /// How long a save takes.
    pub save: Duration,
    /// A process that takes longer counts as hanging.
    pub timeout: Duration,
}

impl Timeline {
    /// The number of steps.
    pub(super) fn steps(&self) -> u64 {
        self.seconds.len() as u64
    }

    /// The most steps between two checkpoints that are due.
    pub(super) fn interval(&self) -> u64 {
        let before = std::iter::once(&0).chain(&self.due);
        self.due.iter().zip(before).map(|(step, before)| step - before).max().unwrap_or(1)
    }

    /// How many checkpoints are due after the step `from` and before `to`.
    fn due_between(&self, from: u64, to: u64) -> usize {
        self.due.iter().filter(|step| (from + 1..to).contains(*step)).count()
    }

    /// The time from a step to the next one; after the last step, the time that it took.
    fn after(&self, step: u64) -> Duration {
        let next = step.min(self.steps() - 1) as usize;
        let done = if next == 0 { 0.0 } else { self.seconds[next - 1] };
        Duration::from_secs_f64((self.seconds[next] - done).max(0.0))
    }
}

/// The steps after which a training saves: at the end of every epoch, at its own end, and every so many steps.
pub(super) fn steps_of_saves(steps: u64, steps_per_epoch: u64, save_every: Option<u64>) -> Vec<u64> {
    let every = save_every.unwrap_or(steps_per_epoch);
    let is_due = |step: &u64| step.is_multiple_of(every) || step.is_multiple_of(steps_per_epoch) || *step == steps;
    (1..=steps).filter(is_due).collect()
}

/// Random numbers that are the same for a seed on every machine: the digest of the seed, the digest of that, and so on.
pub(super) struct SeededRandom(pub u64);

impl SeededRandom {
    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        let [a, b, c, d, e, f, g, h, ..] = sha256_bytes(self.0.to_le_bytes());
        self.0 = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `bound`; 0 where `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        (self.unit() * bound as f64) as u64
    }
}

/// The kills of one comparison.
pub(super) struct Killer<'a> {
    /// The command that trains into a folder, and resumes the training in it if the flag is set.
    pub command: &'a dyn Fn(&Path, bool) -> Result<Command>,
    pub timeline: Timeline,
    /// How many kills there shall be.
    pub target: usize,
    pub random: SeededRandom,
    /// The kills so far.
    pub kills: Vec<Kill>,
}

/// This many runs in a row may end before they are killed.
const MAX_MISSES: usize = 10;

impl Killer<'_> {
    /// Trains into `work/killed-1`, `work/killed-2` and so on, until there are enough kills and the last run has ended.
    ///
    /// # Errors
    /// A process that fails on its own; runs too short to be killed.
    pub(super) fn run(&mut self, work: &Path) -> Result<Vec<PathBuf>> {
        let mut runs = Vec::new();
        while self.kills.len() < self.target {
            let run = work.join(format!("killed-{}", runs.len() + 1));
            runs.push(run.clone());
            self.train(&run, runs.len())?;
            let last_killed = self.kills.last().map_or(0, |kill| kill.run);
            if runs.len() - last_killed == MAX_MISSES {
                bail!("{MAX_MISSES} runs in a row ended before they could be killed (hint: train for more steps)");
            }
        }
        Ok(runs)
    }

    pub(super) fn count(&self, kind: KillMoment) -> usize {
        self.kills.iter().filter(|kill| kill.kind == kind).count()
    }

    /// Trains one run to its end, in as many processes as it takes.
    fn train(&mut self, run: &Path, number: usize) -> Result<()> {
        let (mut resumed, mut stalled) = (false, 0);
        loop {
            let before = newest_step(run);
            let plan =
                if self.kills.len() < self.target { self.plan(before, stalled) } else { KillPlan::Uninterrupted };
            let process = watch((self.command)(run, resumed)?, run, plan, self.timeline.timeout)?;
            let Some(death) = process.killed else { return Ok(()) };
            let (logged_step, checkpoint_step) = (last_step(run).unwrap_or(0), newest_step(run));
            let kind = if resumed && (death.log_untouched || logged_step <= before) {
                KillMoment::Recovering
            } else if death.inside_save && logged_step > 0 {
                KillMoment::Saving
            } else {
                KillMoment::Training
            };
            self.kills.push(Kill {
                run: number,
                kind,
                logged_step,
                checkpoint_step,
                lost_steps: logged_step.saturating_sub(checkpoint_step),
                lost_saves: self.timeline.due_between(checkpoint_step, logged_step),
            });
            disk::print_message(format!(
                "kill {} of {}: run {number} {}, after step {logged_step}; the newest checkpoint is of step {checkpoint_step}",
                self.kills.len(),
                self.target,
                kind.description()
            ));
            stalled = if checkpoint_step > before { 0 } else { stalled + 1 };
            resumed = true;
        }
    }

    /// When to kill the next process of a run. `checkpoint` is the step of the newest checkpoint; the last `stalled` processes
    /// saved no newer one.
    fn plan(&mut self, checkpoint: u64, stalled: u64) -> KillPlan {
        let aim = self.choose_moment();
        let (random, timeline, interval) = (&mut self.random, &self.timeline, self.timeline.interval());
        let remaining = timeline.steps().saturating_sub(checkpoint);
        if remaining == 0 && stalled >= 2 {
            return KillPlan::Uninterrupted;
        }
        if remaining == 0 || (aim == KillMoment::Recovering && stalled < 2) {
            // A resumed process takes a little longer to its first step than a new one.
            return KillPlan::AfterStart(timeline.startup.mul_f64(1.2 * random.unit()));
        }
        if stalled >= 3 {
            // Time enough for at least one more checkpoint, and for more of them the longer it takes.
            let step = (checkpoint + interval * (stalled - 1)).min(timeline.steps());
            return KillPlan::AfterStep(step, timeline.after(step).mul_f64(random.unit()));
        }
        if aim == KillMoment::Saving {
            let ahead = remaining.div_ceil(interval);
            let skip = (stalled + random.below(ahead.div_ceil(3).min(3))) as usize;
            // A little more than a save takes, so that its end and the cleanup after it are hit as well.
            return KillPlan::AfterSaveBegins { skip, delay: timeline.save.mul_f64(1.1 * random.unit()) };
        }
        let step = checkpoint + 1 + random.below((2 * interval).max(remaining / 3).min(remaining));
        KillPlan::AfterStep(step, timeline.after(step).mul_f64(random.unit()))
    }

    /// The moment to aim at next, by chance. The further it is behind its share of the kills, the likelier it is.
    fn choose_moment(&mut self) -> KillMoment {
        let behind = TARGET_SHARES.map(|(kind, share)| (kind, (self.count(kind) as f64 + self.random.unit()) / share));
        behind
            .into_iter()
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map_or(KillMoment::Training, |(kind, _)| kind)
    }
}

fn newest_step(run: &Path) -> u64 {
    newest_complete(run).map_or(0, |(step, _)| step)
}

#[cfg(test)]
mod tests;

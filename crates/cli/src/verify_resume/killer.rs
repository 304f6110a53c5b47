//! Trains into folders and kills what trains, at instants chosen by a seed, until enough kills are placed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use run::checkpoints::newest_complete;
use run::last_step;
use serde::Serialize;

use super::process::{End, KillPlan, Seen, Watched};
use super::random::SplitMix64;

/// What the process was doing when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Training, evaluating, or ending.
    Training,
    /// Saving: it left an unfinished file or folder.
    Saving,
    /// Going on from an earlier kill, before its first step of its own.
    Recovering,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Training => "in training",
            Self::Saving => "inside a save",
            Self::Recovering => "during recovery",
        }
    }
}

/// One kill.
#[derive(Debug, Clone, Serialize)]
pub struct Kill {
    /// The killed run, from 1.
    pub run: usize,
    /// What the process was doing.
    pub kind: Kind,
    /// The last step in the log, 0 where there is none.
    pub logged_step: u64,
    /// The step of the newest checkpoint, 0 where there is none.
    pub checkpoint_step: u64,
    /// Steps that have to be done again.
    pub lost_steps: u64,
    /// Checkpoints that were due before the last step in the log, and aren't there: training waits for each of them, so
    /// there may be none.
    pub lost_saves: usize,
}

/// What is known from the undisturbed run.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// When each step was done, in seconds since training began.
    pub seconds: Vec<f64>,
    /// The steps after which a checkpoint is due, in order.
    pub due: Vec<u64>,
    /// The most steps between two of them.
    pub interval: u64,
    /// The longest that a process may take before it counts as hanging.
    pub most: Duration,
}

impl Timeline {
    /// Of a training of these steps that saves at the end of every epoch, at its own end, and every so many steps.
    pub fn new(seconds: Vec<f64>, steps_per_epoch: u64, save_every: Option<u64>, most: Duration) -> Self {
        let (steps, every) = (seconds.len() as u64, save_every.unwrap_or(steps_per_epoch));
        let is_due = |step: &u64| step.is_multiple_of(every) || step.is_multiple_of(steps_per_epoch) || *step == steps;
        let due: Vec<u64> = (1..=steps).filter(is_due).collect();
        let before = std::iter::once(&0).chain(&due);
        let interval = due.iter().zip(before).map(|(step, before)| step - before).max().unwrap_or(0);
        Self { seconds, due, interval, most }
    }

    /// How many checkpoints are due after the step `from` and before `to`.
    fn due_between(&self, from: u64, to: u64) -> usize {
        self.due.iter().filter(|step| (from + 1..to).contains(*step)).count()
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.seconds.len() as u64
    }

    /// When a step was done; step 0 at the beginning.
    fn at(&self, step: u64) -> f64 {
        match step {
            0 => 0.0,
            step => self.seconds[step.min(self.steps()) as usize - 1],
        }
    }

    /// From a step to the next one, or as long as the last step took.
    fn after(&self, step: u64) -> Duration {
        let from = step.min(self.steps().saturating_sub(1));
        Duration::from_secs_f64((self.at(from + 1) - self.at(from)).max(0.0))
    }
}

/// Where a run stands before a life of it.
#[derive(Debug, Clone, Copy)]
struct Situation {
    resumed: bool,
    checkpoint: u64,
    /// Lives in a row that brought no newer checkpoint.
    stalled: u64,
    /// Whether too few kills hit a save so far, and a recovery.
    saves_wanted: bool,
    recoveries_wanted: bool,
}

/// The kills of one comparison.
pub struct Killer<'a> {
    /// Makes the command that trains into a folder, and goes on with what is there where the flag says so.
    pub command: &'a dyn Fn(&Path, bool) -> Command,
    /// The undisturbed run.
    pub timeline: Timeline,
    /// How long starts and saves took.
    pub seen: Seen,
    /// Kills to place.
    pub wanted: usize,
    /// Where the instants come from.
    pub random: SplitMix64,
    /// The kills so far.
    pub kills: Vec<Kill>,
}

/// Runs that may end in a row before a kill is placed.
const MISSES: usize = 10;

impl Killer<'_> {
    /// Trains into `work/killed-1`, `work/killed-2` and so on, until all kills are placed and the last run has ended.
    ///
    /// # Errors
    /// A process that ends by itself in another way than well; runs too short to be killed.
    pub fn run(&mut self, work: &Path) -> Result<Vec<PathBuf>> {
        let (mut runs, mut misses) = (Vec::new(), 0);
        while self.kills.len() < self.wanted {
            let before = self.kills.len();
            let run = work.join(format!("killed-{}", runs.len() + 1));
            runs.push(run.clone());
            self.train(&run, runs.len())?;
            misses = if self.kills.len() > before { 0 } else { misses + 1 };
            if misses == MISSES {
                bail!("{MISSES} runs in a row ended before they could be killed (hint: train for more steps)");
            }
        }
        Ok(runs)
    }

    /// One run to its end, in as many lives as it takes.
    fn train(&mut self, run: &Path, number: usize) -> Result<()> {
        let (mut resumed, mut stalled) = (false, 0);
        let output = run.with_extension("txt");
        loop {
            let checkpoint = newest_step(run);
            let plan = if self.kills.len() < self.wanted {
                let of = |kind: Kind| self.kills.iter().filter(|kill| kill.kind == kind).count();
                let saves_wanted = of(Kind::Saving) * 5 < (self.kills.len() + 1) * 2;
                let recoveries_wanted = of(Kind::Recovering) * 8 < self.kills.len();
                plan_kill(
                    &mut self.random,
                    &Situation { resumed, checkpoint, stalled, saves_wanted, recoveries_wanted },
                    &self.timeline,
                    &self.seen,
                )
            } else {
                KillPlan::Undisturbed
            };
            let process = Watched::start((self.command)(run, resumed), run, &output)?;
            match process.see_through(plan, self.timeline.most, &mut self.seen)? {
                End::Done => return Ok(()),
                End::Killed { log_untouched, inside_save } => {
                    let (logged_step, now) = (last_step(run).unwrap_or(0), newest_step(run));
                    let kind = match () {
                        () if resumed && (log_untouched || logged_step <= checkpoint) => Kind::Recovering,
                        () if inside_save && logged_step > 0 => Kind::Saving,
                        () => Kind::Training,
                    };
                    self.kills.push(Kill {
                        run: number,
                        kind,
                        logged_step,
                        checkpoint_step: now,
                        lost_steps: logged_step.saturating_sub(now),
                        lost_saves: self.timeline.due_between(now, logged_step),
                    });
                    eprintln!(
                        "kill {} of {}: run {number} {}, after step {logged_step}; the newest checkpoint is of step {now}",
                        self.kills.len(),
                        self.wanted,
                        kind.words()
                    );
                    stalled = if now > checkpoint { 0 } else { stalled + 1 };
                    resumed = true;
                }
            }
        }
    }
}

fn newest_step(run: &Path) -> u64 {
    newest_complete(run).map_or(0, |(step, _)| step)
}

/// When to kill the next process.
fn plan_kill(random: &mut SplitMix64, situation: &Situation, timeline: &Timeline, seen: &Seen) -> KillPlan {
    let Situation { resumed, checkpoint, stalled, .. } = *situation;
    let remaining = timeline.steps().saturating_sub(checkpoint);
    let draw = random.unit();
    if remaining == 0 && stalled >= 2 {
        return KillPlan::Undisturbed;
    }
    let share = if resumed && situation.recoveries_wanted { 0.5 } else { 0.1 };
    let before_any_step = remaining == 0 || (stalled < 2 && draw < share);
    if before_any_step {
        return KillPlan::AfterStart(random.up_to(median(&seen.startups, Duration::from_millis(200)).mul_f64(1.2)));
    }
    if stalled >= 3 {
        // Time enough for at least one more checkpoint, and for more of them the longer it takes.
        let step = (checkpoint + timeline.interval * (stalled - 1)).min(timeline.steps());
        return KillPlan::AfterStep(step, random.up_to(timeline.after(step)));
    }
    if random.unit() < if situation.saves_wanted { 0.7 } else { 0.3 } {
        let ahead = remaining.div_ceil(timeline.interval.max(1));
        let skip = stalled + random.below(ahead.div_ceil(3).min(3));
        // A little more than a save takes: the end of one, and what is tidied up after it, shall be hit as well.
        let delay = random.up_to(median(&seen.saves, Duration::from_millis(3)).mul_f64(1.1));
        return KillPlan::AfterSaveBegins { skip, delay };
    }
    let span = (2 * timeline.interval).max(remaining / 3).min(remaining);
    let (from, to) = (timeline.at(checkpoint), timeline.at(checkpoint + span));
    let instant = from + (to - from) * random.unit();
    let step = timeline.seconds.iter().filter(|&&seconds| seconds <= instant).count().max(1) as u64;
    KillPlan::AfterStep(step, random.up_to(timeline.after(step)))
}

/// The middle of some times.
fn median(times: &[Duration], otherwise: Duration) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests;

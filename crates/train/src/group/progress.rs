//! The progress of a group on stderr: a line for each member that begins or ends and, on a terminal, a bar for each that
//! trains.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use metrics::Metric;
use run::{LogFollower, MemberResult, RunGroup};

pub(super) struct GroupProgress {
    /// The longest name of a member.
    width: usize,
    live: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
}

impl GroupProgress {
    pub(super) fn new(group: &RunGroup) -> Self {
        let width = group.members.iter().map(|member| member.name.len()).max().unwrap_or(0);
        let bars = || (MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), BTreeMap::new());
        Self { width, live: stderr().is_terminal().then(bars) }
    }

    /// Prints a line above the bars.
    pub(super) fn print_line(&self, line: &str) {
        match &self.live {
            // A closed terminal does not stop the group.
            Some((all, _)) => drop(all.println(line)),
            None => disk::print_message(line),
        }
    }

    pub(super) fn begin(&mut self, name: &str) {
        let width = self.width;
        match &mut self.live {
            Some((all, bars)) => {
                let style = ProgressStyle::with_template("{prefix}  {bar:20} {msg}");
                let bar = all.add(ProgressBar::new(1));
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_prefix(format!("{name:width$}"));
                bar.set_message("starting");
                bars.insert(name.to_owned(), bar);
            }
            None => disk::print_message(format!("{name:width$}  started")),
        }
    }

    pub(super) fn update(&self, name: &str, log: &LogFollower) {
        let Some(bar) = self.live.as_ref().and_then(|(_, bars)| bars.get(name)) else { return };
        let Some(step) = &log.step else { return };
        let value = log.evaluations.last().map(|evaluation| format!(", last value {:.4}", evaluation.value));
        bar.set_length(step.total_steps);
        bar.set_position(step.step);
        bar.set_message(format!("epoch {:.2}, loss {:.3}{}", step.epoch, step.loss, value.unwrap_or_default()));
    }

    pub(super) fn finished(&mut self, name: &str, metric: Metric, result: &MemberResult) {
        self.end(name, &format!("finished: {metric} {:.4} on {} validation rows", result.value, result.rows));
    }

    /// A line for a member whose process ended.
    pub(super) fn end(&mut self, name: &str, how: &str) {
        if let Some(bar) = self.live.as_mut().and_then(|(_, bars)| bars.remove(name)) {
            bar.finish_and_clear();
        }
        let width = self.width;
        self.print_line(&format!("{name:width$}  {how}"));
    }

    /// Removes the bars; the lines stay.
    pub(super) fn close(&mut self) {
        if let Some((_, bars)) = self.live.take() {
            bars.values().for_each(ProgressBar::finish_and_clear);
        }
    }
}

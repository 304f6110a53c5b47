//! The progress of a study on stderr: a table of finished trials and, on a terminal, the running ones below it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{FormattedDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use run::StepRecord;
use tune::{Param, ParamValue, Trial, TrialState};

/// The maximum width of a parameter's column.
const MAX_WIDTH: usize = 10;

pub(super) struct TrialTable {
    metric: String,
    parameters: Vec<String>,
    live: Option<LiveLines>,
    has_header: bool,
}

/// The lines that are redrawn on a terminal.
struct LiveLines {
    all: MultiProgress,
    running: BTreeMap<u64, ProgressBar>,
    state: ProgressBar,
    started: Instant,
    width: usize,
}

impl TrialTable {
    /// A table with a column for each of these parameters.
    pub(super) fn new(metric: &str, parameters: Vec<String>) -> Self {
        let live = stderr().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let state = all.add(ProgressBar::new_spinner());
            state.set_style(style("{msg}"));
            let width = console::Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns));
            LiveLines { all, running: BTreeMap::new(), state, started: Instant::now(), width }
        });
        Self { metric: metric.to_owned(), parameters, live, has_header: false }
    }

    /// Prints a line above the running trials.
    pub(super) fn print_line(&self, line: &str) {
        match &self.live {
            // A closed terminal does not stop the study.
            Some(live) => drop(live.all.println(line)),
            None => disk::print_message(line),
        }
    }

    /// Adds a running trial.
    pub(super) fn begin(&mut self, number: u64, params: &BTreeMap<String, Param>, resumed: bool) {
        self.header();
        let configuration = self.configuration(params);
        match &mut self.live {
            Some(live) => {
                let bar = live.all.insert_before(&live.state, ProgressBar::new(1));
                bar.set_style(style("{prefix} {bar:20} {msg}"));
                bar.set_prefix(format!("{number:>5}"));
                bar.set_message("starting");
                live.running.insert(number, bar);
            }
            None => {
                let word = if resumed { "resumed" } else { "started" };
                let none = "";
                disk::print_message(format!(
                    "{number:>5}  {word:<12} {none:>9}  {none:>7}  {none:>7}  {configuration}"
                ));
            }
        }
    }

    /// Shows the progress of a running trial, and its last value.
    pub(super) fn progress(&self, number: u64, step: &StepRecord, value: Option<f64>) {
        let Some(bar) = self.live.as_ref().and_then(|live| live.running.get(&number)) else { return };
        let value = value.map_or_else(String::new, |value| format!(", {} {value:.4}", self.metric));
        bar.set_length(step.total_steps);
        bar.set_position(step.step);
        bar.set_message(format!("epoch {:.2}, loss {:.3}{value}", step.epoch, step.loss));
    }

    /// A row for a trial that ended or was interrupted, as `word` says.
    pub(super) fn end(&mut self, trial: &Trial, word: &str, epochs: Option<f64>) {
        if let Some(bar) = self.live.as_mut().and_then(|live| live.running.remove(&trial.number)) {
            bar.finish_and_clear();
        }
        self.header();
        let value = trial.value.or_else(|| trial.last_intermediate());
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        let epochs = epochs.map_or_else(|| "-".to_owned(), |epochs| format!("{epochs:.2}"));
        let time = trial
            .duration()
            .map_or_else(|| "-".to_owned(), |seconds| format_duration(Duration::from_secs_f64(seconds.max(0.0))));
        let line = format!("{:>5}  {word:<12} {value:>9}  {epochs:>7}  {time:>7}  ", trial.number);
        self.row(&(line + &self.configuration(&trial.params)));
    }

    /// The last line: a summary of the study.
    pub(super) fn summary(&self, trials: &[Trial], best: Option<&Trial>, total: Option<u64>, note: &str) {
        let Some(live) = &self.live else { return };
        let count = |state: TrialState| trials.iter().filter(|trial| trial.state == state).count();
        let done = count(TrialState::Complete) + count(TrialState::Pruned) + count(TrialState::Fail);
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let mut line = format!("      {done}{of} trials, {} pruned", count(TrialState::Pruned));
        if let Some((best, value)) = best.and_then(|best| Some((best.number, best.value?))) {
            let _ = write!(line, "; best: {} {value:.4} (trial {best})", self.metric);
        }
        let _ = write!(line, "; {}{note}", FormattedDuration(live.started.elapsed()));
        live.state.set_message(line);
        live.state.tick();
    }

    /// Removes the redrawn lines; the rows stay.
    pub(super) fn close(&mut self) {
        if let Some(live) = self.live.take() {
            live.running.values().for_each(ProgressBar::finish_and_clear);
            live.state.finish_and_clear();
        }
    }

    fn header(&mut self) {
        if std::mem::replace(&mut self.has_header, true) {
            return;
        }
        let metric = truncate(&self.metric, 9);
        let line = format!("{:>5}  {:<12} {metric:>9}  {:>7}  {:>7}  ", "trial", "", "trained", "time");
        let names = self.parameters.iter().map(|name| format!("{:<1$}", truncate(name, MAX_WIDTH), width(name)));
        self.row(&(line + &names.collect::<Vec<_>>().join("  ")));
    }

    fn row(&self, line: &str) {
        let width = self.live.as_ref().map_or(usize::MAX, |live| live.width);
        self.print_line(&truncate(line.trim_end(), width));
    }

    fn configuration(&self, params: &BTreeMap<String, Param>) -> String {
        let cell = |name: &String| {
            let text = params.get(name).map_or_else(|| "-".to_owned(), |param| format_value(&param.value()));
            format!("{:<1$}", truncate(&text, MAX_WIDTH), width(name))
        };
        self.parameters.iter().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A column's width: that of its name, but at least that of a number.
fn width(name: &str) -> usize {
    name.chars().count().clamp(8, MAX_WIDTH)
}

/// A value with few digits; journals and files have all digits.
pub(super) fn format_value(value: &ParamValue) -> String {
    match value {
        ParamValue::Float(number) if *number != 0.0 && !(1e-3..1e4).contains(&number.abs()) => format!("{number:.2e}"),
        ParamValue::Float(number) => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    }
}

/// `1:02:03`, `2:03`.
pub(super) fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// The first `width` characters, with `…` as the last if the text is longer.
fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_distinguishable() {
        let shown = |number| format_value(&ParamValue::Float(number));
        assert_eq!(
            [6.136259e-5, 3e-4, 0.1, 0.0, 0.75, 12345.0].map(shown),
            ["6.14e-5", "3.00e-4", "0.1", "0", "0.75", "1.23e4"]
        );
        assert_eq!(format_value(&ParamValue::Int(16)), "16");
        assert_eq!(format_value(&ParamValue::Str("adamw".to_owned())), "adamw");
    }

    #[test]
    fn times_and_long_texts_are_shortened() {
        assert_eq!(
            [5, 65, 3725].map(|seconds| format_duration(Duration::from_secs(seconds))),
            ["0:05", "1:05", "1:02:05"]
        );
        assert_eq!(truncate("layer_decay", 8), "layer_d…");
        assert_eq!(truncate("größe", 5), "größe");
    }
}

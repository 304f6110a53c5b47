//! Training curves: loss, scores of each evaluation and learning rate over the steps, one above the other.

use crate::canvas;
use crate::error::{ReportError, Result};
use crate::picture::Picture;
use crate::theme::SERIES;
use crate::ticks;

mod panel;
pub(crate) mod series;

use panel::{Curve, Look, Panel};

const WIDTH: u32 = 880;
const PANEL_HEIGHT: u32 = 250;
const TITLE_HEIGHT: u32 = 34;
/// A picture this wide can't show more points.
const MAX_POINTS: usize = 700;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPoint {
    pub step: u64,
    /// The training loss of its batch.
    pub loss: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPoint {
    pub step: u64,
    pub loss: f64,
    /// Scores by name. Not every evaluation needs to have the same ones.
    pub scores: Vec<(String, f64)>,
}

/// The curves to draw. Points that aren't finite numbers are left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Curves<'a> {
    pub title: &'a str,
    pub steps: &'a [StepPoint],
    pub evaluations: &'a [EvaluationPoint],
    /// The step of the best model, marked by a line.
    pub best_step: Option<u64>,
}

impl Curves<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// Nothing to draw, or a failure of the plotting library.
    pub fn draw(&self) -> Result<Picture> {
        let panels = self.panels();
        if panels.is_empty() {
            return Err(ReportError::NoPoints);
        }
        let top = if self.title.is_empty() { 0 } else { TITLE_HEIGHT };
        let last = self.last_step();
        let title = if self.title.is_empty() { "Training curves" } else { self.title };
        canvas::svg((WIDTH, top + PANEL_HEIGHT * panels.len() as u32), (title, &description(&panels)), |area| {
            let (head, body) = area.split_vertically(top);
            panel::title(&head, self.title)?;
            for (area, panel) in body.split_evenly((panels.len(), 1)).iter().zip(&panels) {
                panel.draw(area, last, self.best_step)?;
            }
            Ok(())
        })
    }

    fn last_step(&self) -> u64 {
        let steps = self.steps.iter().map(|step| step.step);
        steps.chain(self.evaluations.iter().map(|evaluation| evaluation.step)).max().unwrap_or(0).max(1)
    }

    /// The panels that have something to show.
    fn panels(&self) -> Vec<Panel> {
        let losses = finite(self.steps.iter().map(|step| (step.step, step.loss)));
        let rates = finite(self.steps.iter().map(|step| (step.step, step.learning_rate)));
        let held_out = finite(self.evaluations.iter().map(|evaluation| (evaluation.step, evaluation.loss)));
        let smooth = series::smoothed(&losses);
        let loss = vec![
            Curve::new("", SERIES[0], Look::Faint, series::thinned(&losses, MAX_POINTS)),
            Curve::new("training, smoothed", SERIES[0], Look::Plain, series::thinned(&smooth, MAX_POINTS)),
            Curve::new("validation", SERIES[1], Look::Marked, held_out),
        ];
        let rate = series::thinned(&rates, MAX_POINTS);
        let highest = rate.iter().fold(0.0, |highest: f64, (_, rate)| highest.max(rate.abs()));
        let rate = series::straightened(&rate, 0.002 * highest);
        [
            Panel { title: "Loss", lines: loss, ticks: ticks::decimal },
            Panel { title: "Validation scores", lines: self.scores(), ticks: ticks::decimal },
            Panel {
                title: "Learning rate",
                lines: vec![Curve::new("", SERIES[2], Look::Plain, rate)],
                ticks: ticks::scientific,
            },
        ]
        .into_iter()
        .map(|mut panel| {
            panel.lines.retain(|line| !line.points.is_empty());
            panel
        })
        .filter(|panel| !panel.lines.is_empty())
        .collect()
    }

    /// A line for each score's name, in the order the names first occur.
    fn scores(&self) -> Vec<Curve> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.evaluations.iter().flat_map(|evaluation| &evaluation.scores) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let points = |wanted: &str| {
            finite(self.evaluations.iter().flat_map(|evaluation| {
                let named = evaluation.scores.iter().filter(|(name, _)| name == wanted);
                named.map(|&(_, score)| (evaluation.step, score))
            }))
        };
        // The first color is that of the validation loss above.
        let colors = SERIES.iter().cycle().skip(1);
        names.iter().zip(colors).map(|(name, &color)| Curve::new(name, color, Look::Marked, points(name))).collect()
    }
}

fn finite(points: impl Iterator<Item = (u64, f64)>) -> Vec<(f64, f64)> {
    points.filter(|(_, y)| y.is_finite()).map(|(step, y)| (step as f64, y)).collect()
}

/// The picture in words: where each line begins and ends.
fn description(panels: &[Panel]) -> String {
    let mut lines = Vec::new();
    for panel in panels {
        for line in panel.lines.iter().filter(|line| line.look != Look::Faint) {
            if let (Some(first), Some(last)) = (line.points.first(), line.points.last()) {
                let name = if line.name.is_empty() { String::new() } else { format!(" ({})", line.name) };
                let (from, to) = ((panel.ticks)(&first.1), (panel.ticks)(&last.1));
                lines
                    .push(format!("{}{name}: from {from} at step {} to {to} at step {}", panel.title, first.0, last.0));
            }
        }
    }
    lines.join("; ")
}

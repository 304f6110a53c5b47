//! Learning curves: the metric over the epochs, all trials in one picture.

use super::StudyOutcome::{Complete, Failed, Pruned, Running};
use super::StudyTrial;
use super::values::{ValueAxis, between};
use super::view::{PageView, value};
use crate::canvas;
use crate::curves::series;
use crate::error::Result;
use crate::frame::{Frame, TICK, WIDTH};
use crate::heading::{self, Swatch};
use crate::html::{self, Html};
use crate::marks::{Mark, Marks};
use crate::page::Section;
use crate::theme::PAPER;
use crate::ticks;

const HEIGHT: u32 = 360;
/// All curves together get about so many points.
const MAX_POINTS: usize = 20_000;

/// The finite points of a trial's curve, by epochs.
struct Curve<'a> {
    trial: &'a StudyTrial,
    points: Vec<(f64, f64)>,
}

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("Learning curves", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let curves = curves(view);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let complete = view.trials.iter().filter(|trial| trial.outcome == Complete).filter_map(|trial| value(trial));
    let all: Vec<f64> = points().map(|&(_, value)| value).collect();
    let Some(values) = ValueAxis::new(view.measure, &all, &complete.collect::<Vec<_>>()) else {
        return Ok(Html::default());
    };
    let first = points().map(|&(epochs, _)| epochs).fold(f64::INFINITY, f64::min);
    let last = points().map(|&(epochs, _)| epochs).fold(f64::NEG_INFINITY, f64::max);

    let up = values.ticks(6);
    let frame = Frame::new((WIDTH, HEIGHT), &up, 44.0);
    let numbers = ticks::round_numbers(first, last, 10);
    let across = ticks::labeled(&numbers, |number| between(first, last, number));
    let across = ticks::spaced(across, frame.width(), &TICK);

    let mut marks = Marks::default();
    let place = |&(epochs, value): &(f64, f64)| (between(first, last, epochs), values.place_beyond(value));
    for curve in &curves {
        let inside = clipped_line(&curve.points.iter().map(place).collect::<Vec<_>>());
        draw(view, &mut marks, curve, &inside.iter().map(|&(x, y)| (frame.x(x), frame.y(y))).collect::<Vec<_>>());
    }
    let title = format!("{} by epoch", view.metric_first());
    let drawn: Vec<&StudyTrial> = curves.iter().map(|curve| curve.trial).collect();
    let outcomes = [Complete, Pruned, Failed, Running].map(|outcome| (outcome, Swatch::Bar));
    let picture = canvas::layered(
        frame.size,
        (&title, &format!("One line for each of {} trials. {}", curves.len(), view.summary())),
        |area| {
            heading::draw(area, &title, &view.legend(&drawn, &outcomes, Swatch::Bar))?;
            frame.draw(area, &across, &up)?;
            frame.caption(area, "epochs")
        },
        marks.svg(),
        |_| Ok(()),
    )?;
    Ok(html::figure(&picture) + html::caption(&values.outliers_text("points")))
}

/// All curves in the order in which they're drawn: the winner over complete trials over the rest.
fn curves<'a>(view: &PageView<'a>) -> Vec<Curve<'a>> {
    let most = (MAX_POINTS / view.trials.len().max(1)).max(20);
    let curve = |trial: &'a StudyTrial| {
        let finite = trial.curve.iter().filter(|(epochs, value)| epochs.is_finite() && value.is_finite());
        let mut points: Vec<(f64, f64)> = finite.copied().collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve { trial, points: series::thinned(&points, most) }
    };
    let mut curves: Vec<Curve> = view.trials.iter().map(|trial| curve(trial)).collect();
    curves.retain(|curve| !curve.points.is_empty());
    curves.sort_by_key(|curve| (view.is_winner(curve.trial), curve.trial.outcome == Complete));
    curves
}

/// A line that runs along the edges, 0 and 1, where it would lead beyond them, and crosses them where it would.
fn clipped_line(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut along: Vec<(f64, f64)> = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for &(x, y) in points {
        if let Some((x0, y0)) = before {
            let edges = if y0 < y { [0.0, 1.0] } else { [1.0, 0.0] };
            let crossed = edges.into_iter().filter(|edge| (y0 - edge) * (y - edge) < 0.0);
            let crossings = crossed.map(|edge| (x0 + (x - x0) * (edge - y0) / (y - y0), edge));
            // The crossings of lines between extreme numbers may not be finite.
            along.extend(crossings.filter(|(x, _)| x.is_finite()));
        }
        along.push((x, y.clamp(0.0, 1.0)));
        before = Some((x, y));
    }
    along
}

fn draw(view: &PageView, marks: &mut Marks, curve: &Curve, points: &[(f64, f64)]) {
    let title = view.words(curve.trial);
    let crowd = (24.0 / view.count(Complete).max(1) as f64).clamp(0.2, 0.75);
    let (opacity, width) = match curve.trial.outcome {
        _ if view.is_winner(curve.trial) => (1.0, 3.5),
        Complete => (crowd, 1.5),
        _ => (0.8 * crowd.min(0.5), 1.2),
    };
    let mark = view.mark(curve.trial, opacity, &title);
    if view.is_winner(curve.trial) {
        marks.line(&Mark { class: "casing", color: PAPER, title: "", ..mark }, points, width + 3.0, false);
    }
    marks.line(&mark, points, width, false);
    let Some(&end) = points.last() else { return };
    let ending = Mark { class: "end", opacity: mark.opacity.max(0.5), ..mark };
    match curve.trial.outcome {
        Failed => marks.cross(&ending, end, 3.0),
        Pruned => marks.dot(&ending, end, 2.0),
        // A curve of one point has no line.
        _ if points.len() == 1 || view.is_winner(curve.trial) => marks.dot(&ending, end, width + 1.5),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cross_the_edges_where_they_would_and_run_along_them() {
        assert_eq!(clipped_line(&[(0.0, 0.2), (1.0, 0.8)]), [(0.0, 0.2), (1.0, 0.8)]);
        assert_eq!(clipped_line(&[(0.0, -1.0), (1.0, 1.0)]), [(0.0, 0.0), (0.5, 0.0), (1.0, 1.0)]);
        let both = clipped_line(&[(0.0, 2.0), (1.0, -2.0)]);
        assert_eq!(both, [(0.0, 1.0), (0.25, 1.0), (0.5, 0.0), (1.0, 0.0)]);
        assert_eq!(clipped_line(&[(0.0, -2.0), (1.0, -1.0)]), [(0.0, 0.0), (1.0, 0.0)]);
        assert_eq!(clipped_line(&[(0.0, f64::NEG_INFINITY), (1.0, 0.5)]), [(0.0, 0.0), (1.0, 0.5)]);
        assert!(clipped_line(&[]).is_empty());
    }
}

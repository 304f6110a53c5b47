//! The history of the search: each trial's value by its number, and the best so far.

use super::StudyOutcome::{Complete, Failed, Pruned, Running};
use super::values::between;
use super::view::{PageView, dot_size, value};
use crate::canvas;
use crate::error::Result;
use crate::frame::{Frame, TICK, WIDTH};
use crate::heading::{self, LegendEntry, Swatch};
use crate::html::{self, Html};
use crate::marks::{Mark, Marks};
use crate::page::Section;
use crate::theme::BEST;
use crate::ticks::{self, Tick};

const HEIGHT: u32 = 340;
/// The height without values, with only an axis.
const EMPTY_HEIGHT: u32 = 130;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("How the search went", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let (Some(first), Some(last)) = (view.trials.first(), view.trials.last()) else {
        return Ok(html::caption("No trial has started yet."));
    };
    let (first, last) = (first.number as f64, last.number as f64);
    let place = |number: f64| between(first - 0.5, last + 0.5, number);
    let up = view.values.as_ref().map_or_else(Vec::new, |values| values.ticks(6));
    let frame = Frame::new((WIDTH, if up.is_empty() { EMPTY_HEIGHT } else { HEIGHT }), &up, 44.0);
    let across = numbers(first, last, place);
    let across = ticks::spaced(across, frame.width(), &TICK);

    let mut marks = Marks::default();
    draw_best(view, &mut marks, &frame, place);
    draw_trials(view, &mut marks, &frame, place);
    let title = format!("{} by trial", view.metric_first());
    let picture = canvas::layered(
        frame.size,
        (&title, &view.summary()),
        |area| {
            heading::draw(area, &title, &legend(view))?;
            frame.draw(area, &across, &up)?;
            frame.caption(area, "trial")
        },
        marks.svg(),
        |_| Ok(()),
    )?;
    Ok(html::figure(&picture) + caption(view))
}

fn numbers(first: f64, last: f64, place: impl Fn(f64) -> f64) -> Vec<Tick> {
    let numbers = ticks::round_numbers(first, last, 10).into_iter().filter(|number| number.fract().abs() < 1e-6);
    numbers.map(|number| Tick { place: place(number), text: format!("{number:.0}") }).collect()
}

fn legend(view: &PageView) -> Vec<LegendEntry> {
    let outcomes = [(Complete, Swatch::Dot), (Pruned, Swatch::Ring), (Failed, Swatch::Cross), (Running, Swatch::Ring)];
    let mut entries = view.legend(&view.trials, &outcomes, Swatch::Ring);
    if view.trials.iter().any(|trial| trial.outcome == Complete && value(trial).is_some()) {
        entries.push(LegendEntry { name: "best so far".to_owned(), color: BEST, swatch: Swatch::Bar });
    }
    entries
}

/// The best value so far, as a line of steps to the last trial.
fn draw_best(view: &PageView, marks: &mut Marks, frame: &Frame, place: impl Fn(f64) -> f64) {
    let Some(values) = &view.values else { return };
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut best = f64::NEG_INFINITY;
    let complete = view.trials.iter().filter(|trial| trial.outcome == Complete);
    for (trial, value) in complete.filter_map(|trial| Some((trial, value(trial)?))) {
        if view.measure.merit(value) > best {
            best = view.measure.merit(value);
            let x = frame.x(place(trial.number as f64));
            points.extend(points.last().map(|&(_, y)| (x, y)));
            points.push((x, frame.y(values.place(value))));
        }
    }
    points.extend(points.last().map(|&(_, y)| (frame.right, y)));
    marks.line(&Mark { class: "best", color: BEST, opacity: 0.7, title: "best so far" }, &points, 1.5, false);
}

/// A dot for each trial that has a value; a cross on the axis for each that has none.
fn draw_trials(view: &PageView, marks: &mut Marks, frame: &Frame, place: impl Fn(f64) -> f64) {
    let (radius, opacity) = dot_size(view.trials.len());
    for &trial in &view.trials {
        let (x, title) = (frame.x(place(trial.number as f64)), view.words(trial));
        let (mark, value) = (view.mark(trial, opacity, &title), value(trial).zip(view.values.as_ref()));
        let at = (x, value.map_or(frame.bottom, |(value, values)| frame.y(values.place(value))));
        match trial.outcome {
            _ if value.is_none() && trial.outcome != Running => marks.cross(&mark, at, radius),
            Complete => marks.dot(&mark, at, radius),
            _ => marks.ring(&mark, at, radius - 0.6, 1.4),
        }
    }
    // Drawn last, so that no other trial covers it.
    if let Some((winner, values)) = view.winner().zip(view.values.as_ref())
        && let Some(value) = value(winner)
    {
        let at = (frame.x(place(winner.number as f64)), frame.y(values.place(value)));
        let title = format!("Winner. {}", view.words(winner));
        marks.ring(&Mark { class: "winner-ring", color: BEST, opacity: 1.0, title: &title }, at, radius + 4.0, 2.0);
    }
}

fn caption(view: &PageView) -> Html {
    let mut sentences = Vec::new();
    if view.count(Pruned) > 0 {
        sentences.push("Pruned trials are shown with their last value.".to_owned());
    }
    if view.values.is_none() {
        sentences.push("No trial has a value.".to_owned());
    }
    sentences.extend(view.values.as_ref().map(|values| values.outliers_text("values")));
    sentences.retain(|sentence| !sentence.is_empty());
    html::caption(&sentences.join(" "))
}

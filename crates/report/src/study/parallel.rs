//! All trials at once: an axis for each parameter and one for the value, a line for each trial.

use plotters::element::Rectangle;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use super::StudyOutcome::{Complete, Pruned};
use super::StudyTrial;
use super::scale::{self, Scale};
use super::values::ValueAxis;
use super::view::PageView;
use crate::canvas::{self, Area, Type, drawing};
use crate::error::Result;
use crate::frame::{TICK, WIDTH, line, pixel};
use crate::heading::MARGIN;
use crate::html::{self, Html};
use crate::marks::{Mark, Marks};
use crate::page::Section;
use crate::theme::{self, INK, MUTED, PAPER};
use crate::ticks::Tick;

const NAME: Type = Type::bold(12.0, INK);
const NAME_LINE: f64 = 16.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 362.0;
const HEIGHT: u32 = 384;
/// Axes are never closer than this: pictures of many parameters are wide, and the page lets them scroll.
const MIN_AXIS_DISTANCE: f64 = 98.0;
/// Space for labels outside the outer axes.
const OUTER_MARGIN: f64 = 66.0;
/// Words on one axis, if there are more only some are written.
const MAX_TICKS: usize = 16;

struct Axis {
    x: f64,
    name: Vec<String>,
    ticks: Vec<Tick>,
}

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("All trials at once", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let Some(values) = view.values.as_ref().filter(|_| !view.page.parameters.is_empty()) else {
        return Ok(Html::default());
    };
    let parameters = view.page.parameters;
    let room = (f64::from(WIDTH) - 2.0 * (f64::from(MARGIN) + OUTER_MARGIN)) / parameters.len() as f64;
    let apart = room.clamp(MIN_AXIS_DISTANCE, 300.0);
    let x = |axis: usize| f64::from(MARGIN) + OUTER_MARGIN + apart * axis as f64;
    let width = (x(parameters.len()) + OUTER_MARGIN + f64::from(MARGIN)).ceil() as u32;

    let scales: Vec<Scale> = parameters.iter().map(|parameter| Scale::new(parameter, &view.trials)).collect();
    let axes = parameters.iter().zip(&scales).enumerate().map(|(index, (parameter, scale))| {
        let most = if matches!(scale, Scale::Words(_)) { MAX_TICKS } else { 6 };
        Axis { x: x(index), name: name(&parameter.name, apart - 8.0), ticks: scale.ticks(most) }
    });
    let axes: Vec<Axis> = axes.collect();
    let last = Axis { x: x(parameters.len()), name: name(view.metric(), apart - 8.0), ticks: values.ticks(8) };

    let mut marks = Marks::default();
    draw_shades(&mut marks, values, last.x);
    for (trial, value) in view.by_merit() {
        if view.is_winner(trial) || matches!(trial.outcome, Complete | Pruned) {
            let places = parameters.iter().zip(&scales).map(|(parameter, scale)| {
                scale::setting(trial, &parameter.name).and_then(|setting| scale.place(setting))
            });
            let places = places.chain([Some(values.place(value))]);
            let points: Vec<Option<(f64, f64)>> =
                places.enumerate().map(|(axis, place)| Some((x(axis), y(place?)))).collect();
            draw_trial(view, &mut marks, trial, theme::value(values.share(value)), &points);
        }
    }
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let description =
        format!("One line for each trial through {} and its {}. {}", names.join(", "), view.metric(), view.summary());
    let picture = canvas::layered(
        (width, HEIGHT),
        ("All trials over their parameters", &description),
        |area| axes.iter().chain([&last]).try_for_each(|axis| line(area, (axis.x, TOP), (axis.x, BOTTOM), MUTED)),
        marks.svg(),
        |area| {
            axes.iter().try_for_each(|axis| draw_labels(area, axis, apart - 16.0))?;
            draw_value_labels(area, &last)
        },
    )?;
    let figure = if width > WIDTH { html::wide_figure(&picture) } else { html::figure(&picture) };
    let direction = if view.measure.maximize { "more" } else { "less" };
    let reading = format!(
        "Each line is a trial, colored by its {}, of which {direction} is better; the winner is thick, pruned trials \
         are faint, and a dashed stretch passes parameters that a trial didn't have.",
        view.metric()
    );
    Ok(figure + html::caption(&reading))
}

/// A share of the way up as a pixel.
fn y(place: f64) -> f64 {
    BOTTOM - place * (BOTTOM - TOP)
}

/// A parameter's name in at most two lines, broken at a joint of it.
fn name(name: &str, width: f64) -> Vec<String> {
    let mut joints = name.char_indices().filter(|(_, c)| "_-./ ".contains(*c)).map(|(at, c)| at + c.len_utf8());
    let fitting = joints.rfind(|at| NAME.width(name[..*at].trim()) <= width);
    match fitting.map(|at| name.split_at(at)) {
        Some((head, tail)) if NAME.width(name) > width => {
            vec![NAME.shorten(head.trim(), width), NAME.shorten(tail.trim(), width)]
        }
        _ => vec![NAME.shorten(name, width)],
    }
}

/// The colors beside the axis of values.
fn draw_shades(marks: &mut Marks, values: &ValueAxis, x: f64) {
    const STEPS: u32 = 50;
    let height = (BOTTOM - TOP) / f64::from(STEPS);
    for step in 0..STEPS {
        let place = (f64::from(step) + 0.5) / f64::from(STEPS);
        let good = if values.measure.maximize { place } else { 1.0 - place };
        let mark = Mark { class: "shade", color: theme::value(good), opacity: 1.0, title: "" };
        // A little higher than its step, so that no gap shows between two.
        marks.bar(&mark, (x + 2.0, BOTTOM - height * f64::from(step + 1)), (8.0, height + 0.3));
    }
}

/// A trial's line: solid from one axis to the next, dashed past axes that it has no place on.
fn draw_trial(view: &PageView, marks: &mut Marks, trial: &StudyTrial, color: RGBColor, points: &[Option<(f64, f64)>]) {
    let settings = trial.params.iter().map(|(name, setting)| format!(", {name} {}", scale::text(setting)));
    let title = settings.fold(view.words(trial), |title, setting| title + &setting);
    let crowd = (60.0 / view.trials.len() as f64).clamp(0.12, 0.85);
    let mark = match view.mark(trial, 0.5 * crowd, &title) {
        mark if mark.class == "complete" => Mark { color, opacity: crowd, ..mark },
        mark => mark,
    };
    let width = if mark.class == "winner" { 4.0 } else { 1.5 };
    let stretches = stretches(points);
    if mark.class == "winner" {
        for (stretch, _) in &stretches {
            marks.line(&Mark { class: "casing", color: PAPER, title: "", ..mark }, stretch, width + 3.0, false);
        }
    }
    for (stretch, dashed) in stretches {
        marks.line(&mark, &stretch, width, dashed);
    }
}

/// The longest stretches without a gap, and between them those that lead over gaps (`true`).
fn stretches(points: &[Option<(f64, f64)>]) -> Vec<(Vec<(f64, f64)>, bool)> {
    let mut stretches = Vec::new();
    let mut solid: Vec<(f64, f64)> = Vec::new();
    let mut gap = false;
    for point in points {
        match (point, solid.last()) {
            (None, _) => gap = true,
            (Some(point), Some(&before)) if gap => {
                stretches.push((std::mem::take(&mut solid), false));
                stretches.push((vec![before, *point], true));
                solid.push(*point);
                gap = false;
            }
            (Some(point), _) => {
                solid.push(*point);
                gap = false;
            }
        }
    }
    stretches.push((solid, false));
    stretches.retain(|(points, _)| points.len() > 1);
    stretches
}

/// A parameter's name above its axis and the ticks to its left, on paper that lets the lines shine through.
fn draw_labels(area: &Area, axis: &Axis, room: f64) -> Result<()> {
    draw_name(area, axis)?;
    for tick in &axis.ticks {
        let text = TICK.shorten(&tick.text, room);
        let (at, width) = ((axis.x - 7.0, y(tick.place)), TICK.width(&text));
        let plate = [pixel((at.0 - width - 2.0, at.1 - 7.0)), pixel((at.0 + 2.0, at.1 + 7.0))];
        area.draw(&Rectangle::new(plate, PAPER.mix(0.8).filled())).map_err(drawing)?;
        line(area, (axis.x - 4.0, at.1), (axis.x, at.1), MUTED)?;
        TICK.write(area, &text, HPos::Right, pixel(at))?;
    }
    Ok(())
}

/// The same for values, whose ticks stand beyond the colors.
fn draw_value_labels(area: &Area, axis: &Axis) -> Result<()> {
    draw_name(area, axis)?;
    axis.ticks
        .iter()
        .try_for_each(|tick| TICK.write(area, &tick.text, HPos::Left, pixel((axis.x + 15.0, y(tick.place)))))
}

fn draw_name(area: &Area, axis: &Axis) -> Result<()> {
    for (index, text) in axis.name.iter().rev().enumerate() {
        NAME.write(area, text, HPos::Center, pixel((axis.x, TOP - 18.0 - NAME_LINE * index as f64)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dashed_past_what_is_missing() {
        let point = |x: u32| Some((f64::from(x), 0.0));
        let lengths = |points: &[Option<(f64, f64)>]| -> Vec<(usize, bool)> {
            stretches(points).iter().map(|(points, dashed)| (points.len(), *dashed)).collect()
        };
        assert_eq!(lengths(&[point(0), point(1), point(2)]), [(3, false)]);
        assert_eq!(lengths(&[point(0), point(1), None, point(3)]), [(2, false), (2, true)]);
        assert_eq!(lengths(&[point(0), None, None, point(3), point(4)]), [(2, true), (2, false)]);
        assert_eq!(lengths(&[None, point(1), point(2), None]), [(2, false)]);
        assert!(lengths(&[None, None, point(2)]).is_empty());
    }

    #[test]
    fn names_break_at_their_joints() {
        assert_eq!(name("batch_size", 100.0), ["batch_size"]);
        assert_eq!(name("warmup_proportion", 90.0), ["warmup_", "proportion"]);
        let long = name("layerwise_learning_rate_decay", 90.0);
        assert!(long[0] == "layerwise_" && long[1].starts_with("lear") && long[1].ends_with("cay"), "{long:?}");
        assert!(name("nowheretobreakthisname", 90.0)[0].contains('…'));
        assert_eq!(name("", 50.0), [""]);
    }
}

//! The time that the study took: a bar for each trial, and the sums in words.

use plotters::style::text_anchor::HPos;

use super::StudyOutcome::{self, Complete, Failed, Pruned, Running};
use super::StudyTrial;
use super::values::{between, short};
use super::view::{PageView, word};
use crate::canvas::{self, Area};
use crate::error::Result;
use crate::frame::{Frame, TICK, WIDTH, pixel};
use crate::heading::{self, Swatch};
use crate::html::{self, Html};
use crate::marks::Marks;
use crate::page::Section;
use crate::ticks::{self, Tick};

/// With more trials than this, they share rows.
const MAX_ROWS: usize = 40;
/// The rows' height together, in pixels, and that of one.
const MAX_HEIGHT: f64 = 520.0;
const MAX_ROW_HEIGHT: f64 = 18.0;

/// A trial's time, in seconds since the start of the study, and the row it is drawn in.
struct TrialSpan<'a> {
    trial: &'a StudyTrial,
    from: f64,
    to: f64,
    row: usize,
}

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("Time of the trials", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let spans = spans(view);
    if spans.is_empty() {
        return Ok(Html::default());
    }
    let rows = spans.iter().map(|span| span.row + 1).max().unwrap_or(1);
    let height = (MAX_HEIGHT / rows as f64).min(MAX_ROW_HEIGHT);
    let start = spans.iter().map(|span| span.from).fold(0.0, f64::min);
    let end = spans.iter().map(|span| span.to).fold(0.0, f64::max);
    let labels = row_labels(&spans, height);
    let size = (WIDTH, (86.0 + height * rows as f64).ceil() as u32);
    let frame = Frame::new(size, &labels, 44.0);
    let (unit, name) = unit(end);
    let numbers = ticks::round_numbers(start / unit, end / unit, 10);
    let across = ticks::labeled(&numbers, |number| between(start, end, number * unit));
    let across = ticks::spaced(across, frame.width(), &TICK);

    let mut marks = Marks::default();
    // The trials of a study that took no time are drawn at its start.
    let x = |seconds: f64| frame.x(if end > start { between(start, end, seconds) } else { 0.0 });
    for span in &spans {
        let title = format!("{}, {}", view.words(span.trial), duration(span.to - span.from));
        let corner = (x(span.from), frame.top + height * (span.row as f64 + 0.1));
        let width = (x(span.to) - x(span.from)).max(1.0);
        marks.bar(&view.mark(span.trial, 0.9, &title), corner, (width, 0.8 * height));
    }
    let title = "Trials over time";
    let outcomes = [Complete, Pruned, Failed, Running].map(|outcome| (outcome, Swatch::Bar));
    let drawn: Vec<&StudyTrial> = spans.iter().map(|span| span.trial).collect();
    let words = summary_text(view, &spans);
    let picture = canvas::layered(
        size,
        (title, &words),
        |area| {
            heading::draw(area, title, &view.legend(&drawn, &outcomes, Swatch::Bar))?;
            frame.draw(area, &across, &[])?;
            frame.caption(area, name)?;
            write_labels(area, &frame, &labels)
        },
        marks.svg(),
        |_| Ok(()),
    )?;
    let rows = match spans.len() > MAX_ROWS {
        true => " Trials share rows in the picture: each takes the first that is free when it starts.",
        false => "",
    };
    Ok(html::caption(&words) + html::figure(&picture) + html::caption(rows.trim()))
}

/// The times of all trials that have one, by their starts.
fn spans<'a>(view: &PageView<'a>) -> Vec<TrialSpan<'a>> {
    let span = |&trial: &&'a StudyTrial| {
        let (from, to) = (trial.begun, trial.begun + trial.seconds);
        (from.is_finite() && to.is_finite() && to >= from).then_some(TrialSpan { trial, from, to, row: 0 })
    };
    let mut spans: Vec<TrialSpan> = view.trials.iter().filter_map(span).collect();
    spans.sort_by(|a, b| a.from.total_cmp(&b.from).then(a.trial.number.cmp(&b.trial.number)));
    let share = spans.len() > MAX_ROWS;
    let mut ends: Vec<f64> = Vec::new();
    for (place, span) in spans.iter_mut().enumerate() {
        let free = ends.iter().position(|end| *end <= span.from);
        span.row = if share { free.unwrap_or(ends.len()) } else { place };
        match ends.get_mut(span.row) {
            Some(end) => *end = span.to,
            None => ends.push(span.to),
        }
    }
    spans
}

/// The trial numbers beside the rows, if each trial has its own row that is high enough.
fn row_labels(spans: &[TrialSpan], height: f64) -> Vec<Tick> {
    if spans.len() > MAX_ROWS {
        return Vec::new();
    }
    let every = (12.0 / height).ceil() as usize;
    let rows = spans.len() as f64;
    let label = |span: &TrialSpan| Tick { place: (span.row as f64 + 0.5) / rows, text: span.trial.number.to_string() };
    spans.iter().step_by(every.max(1)).map(label).collect()
}

fn write_labels(area: &Area, frame: &Frame, labels: &[Tick]) -> Result<()> {
    for label in labels {
        let y = frame.top + label.place * (frame.bottom - frame.top);
        TICK.write(area, &label.text, HPos::Right, pixel((frame.left - 8.0, y)))?;
    }
    Ok(())
}

fn summary_text(view: &PageView, spans: &[TrialSpan]) -> String {
    let sum = |included: &dyn Fn(StudyOutcome) -> bool| {
        let included = spans.iter().filter(|span| included(span.trial.outcome));
        included.map(|span| span.to - span.from).sum::<f64>()
    };
    let all = sum(&|_| true);
    let last = spans.iter().map(|span| span.to).fold(f64::NEG_INFINITY, f64::max);
    let first = spans.iter().map(|span| span.from).fold(f64::INFINITY, f64::min);
    let trials = if spans.len() == 1 { "1 trial" } else { &format!("{} trials", spans.len()) };
    // Where minutes are rounded, the seconds follow.
    let exact = if all >= 60.0 { format!(" ({all:.0} s)") } else { String::new() };
    let mut words =
        format!("{trials} took {}{exact} in all, within {} of time.", duration(all), duration(last - first));
    let share = |outcome, how: &str| {
        let count = spans.iter().filter(|span| span.trial.outcome == outcome).count();
        let percent = 100.0 * sum(&|other| other == outcome) / all;
        (count > 0 && all > 0.0).then(|| format!("{percent:.1} % went into {count} that {how}"))
    };
    let shares = [share(Pruned, "were pruned"), share(Failed, "failed")].into_iter().flatten();
    let shares = shares.collect::<Vec<_>>().join(" and ");
    if !shares.is_empty() {
        words += &format!(" Of that {shares}.");
    }
    let running = view.count(Running);
    if running > 0 {
        words += &format!(" Still {}: {running}.", word(Running));
    }
    words
}

/// The unit for times up to `end` seconds: its seconds and its name.
fn unit(end: f64) -> (f64, &'static str) {
    match end {
        _ if end > 3.0 * 86_400.0 => (86_400.0, "days"),
        _ if end > 3.0 * 3_600.0 => (3_600.0, "hours"),
        _ if end > 180.0 => (60.0, "minutes"),
        _ => (1.0, "seconds"),
    }
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round();
    if seconds < 60.0 {
        format!("{} s", short(seconds))
    } else if whole < 3_600.0 {
        format!("{} min {} s", (whole / 60.0).floor(), whole % 60.0)
    } else if whole < 48.0 * 3_600.0 {
        let minutes = (seconds / 60.0).round();
        format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0)
    } else {
        format!("{} days", short(seconds / 86_400.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cases =
            [(0.0, "0 s"), (12.34, "12.34 s"), (61.0, "1 min 1 s"), (3_599.9, "1 h 0 min"), (7_320.0, "2 h 2 min")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(4.0 * 86_400.0), "4 days");
    }
}

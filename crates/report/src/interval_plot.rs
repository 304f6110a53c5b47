//! Shares with their intervals, a row for each: slices of the data, a model beside its baselines, runs beside each other.

use plotters::style::text_anchor::HPos;

use crate::canvas::{self, Area, Type};
use crate::error::{ReportError, Result};
use crate::frame::{Frame, LARGE_TICK, pixel};
use crate::heading::{HEADING_HEIGHT, MARGIN};
use crate::marks::{Mark, Marks};
use crate::picture::Picture;
use crate::plot_interval::PlotInterval;
use crate::theme::{BEST, INK, MUTED, SERIES};
use crate::ticks::{self, Tick};

const WIDTH: u32 = 720;
const HEADING: Type = Type::bold(15.0, INK);
const GROUP: Type = Type::bold(13.0, INK);
const NAME: Type = Type::new(13.0, INK);
const STRONG: Type = Type::bold(13.0, INK);
const NOTE: Type = Type::new(13.0, MUTED);
const ROW: f64 = 24.0;
/// A name is shortened where it's wider than this.
const NAME_WIDTH: f64 = 230.0;
const BELOW: f64 = 46.0;

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalRow<'a> {
    /// Rows of one group stand together, below its name; may be empty.
    pub group: &'a str,
    pub name: &'a str,
    pub share: PlotInterval,
    /// What stands behind it: how many rows it is of.
    pub note: &'a str,
    /// Whether it stands out: the weakest slice, the model among its baselines.
    pub marked: bool,
}

/// Shares from 0 to 1 to draw. Rows that aren't finite numbers are left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalPlot<'a> {
    pub title: &'a str,
    /// What the shares are, such as `accuracy`.
    pub axis: &'a str,
    /// A share that all others are held against, with its name: a line, and a band for its interval.
    pub reference: Option<(&'a str, PlotInterval)>,
    pub rows: &'a [IntervalRow<'a>],
}

/// What a line of the picture holds.
enum Line<'a> {
    Group(&'a str),
    Row(&'a IntervalRow<'a>),
}

impl IntervalPlot<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// No row with finite numbers, or a failure of the plotting library.
    pub fn draw(&self) -> Result<Picture> {
        let lines = self.lines();
        let rows = || lines.iter().filter_map(|line| if let Line::Row(row) = line { Some(*row) } else { None });
        let shares = || rows().map(|row| row.share).chain(self.reference.map(|(_, share)| share));
        if rows().next().is_none() {
            return Err(ReportError::NothingToDraw { what: "intervals" });
        }
        let lowest = shares().map(|share| share.low.min(share.value)).fold(f64::INFINITY, f64::min);
        let highest = shares().map(|share| share.high.max(share.value)).fold(f64::NEG_INFINITY, f64::max);
        let air = (0.04 * (highest - lowest)).max(0.005);
        let (low, high) = ((lowest - air).max(0.0), (highest + air).min(1.0).max(lowest + 0.01));
        let place = |share: f64| ((share - low) / (high - low)).clamp(0.0, 1.0);

        let widest = lines.iter().map(|line| name_of(line).1).fold(0.0, f64::max).min(NAME_WIDTH);
        let notes = rows().map(|row| NOTE.width(&note(row))).fold(0.0, f64::max);
        let size = (WIDTH, (f64::from(HEADING_HEIGHT) + 14.0 + ROW * lines.len() as f64 + BELOW) as u32);
        let mut frame = Frame::large(size, &[], BELOW);
        frame.top += 4.0;
        frame.left = f64::from(MARGIN) + widest.ceil() + 14.0;
        frame.right -= notes.ceil() + 10.0;
        let numbers = ticks::round_numbers(100.0 * low, 100.0 * high, 5);
        let across = numbers.iter().zip(ticks::texts(&numbers));
        let across = across.map(|(number, text)| Tick { place: place(number / 100.0), text: format!("{text} %") });
        let across = ticks::spaced(across.collect(), frame.width(), &LARGE_TICK);
        let middle = |line: usize| frame.top + 4.0 + ROW * (line as f64 + 0.5);

        let mut marks = Marks::default();
        if let Some((name, share)) = self.reference {
            let title = format!("{name}: {}", share.words());
            let mark = Mark { class: "reference", color: MUTED, opacity: 0.16, title: &title };
            let (left, right) = (frame.x(place(share.low)), frame.x(place(share.high)));
            marks.bar(&mark, (left, frame.top), ((right - left).max(1.0), frame.bottom - frame.top));
            let at = frame.x(place(share.value));
            marks.line(&Mark { opacity: 0.9, ..mark }, &[(at, frame.top), (at, frame.bottom)], 1.4, true);
        }
        for (index, line) in lines.iter().enumerate() {
            let Line::Row(row) = line else { continue };
            let (y, share) = (middle(index), row.share);
            let title = format!("{} {}: {} {}", row.group, row.name, share.words(), row.note);
            let color = if row.marked { BEST } else { SERIES[0] };
            let mark = Mark { class: "interval", color, opacity: 1.0, title: title.trim() };
            marks.line(&mark, &[(frame.x(place(share.low)), y), (frame.x(place(share.high)), y)], 2.4, false);
            marks.dot(&Mark { class: "share", ..mark }, (frame.x(place(share.value)), y), 5.0);
            if row.marked {
                marks.ring(&Mark { class: "marked", ..mark }, (frame.x(place(share.value)), y), 8.0, 1.6);
            }
        }
        canvas::layered(
            size,
            (self.title, &self.words(&lines)),
            |area| {
                HEADING.write(area, self.title, HPos::Left, (MARGIN, HEADING_HEIGHT / 2 + 2))?;
                frame.draw(area, &across, &[])?;
                frame.caption(area, self.axis)?;
                for (index, line) in lines.iter().enumerate() {
                    draw_line(area, line, &frame, middle(index))?;
                }
                Ok(())
            },
            marks.svg(),
            |_| Ok(()),
        )
    }

    /// The rows below the names of their groups.
    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        let mut group = "";
        for row in self.rows.iter().filter(|row| row.share.is_finite()) {
            if row.group != group {
                group = row.group;
                lines.push(Line::Group(group));
            }
            lines.push(Line::Row(row));
        }
        lines
    }

    /// The picture in words.
    fn words(&self, lines: &[Line]) -> String {
        let reference = self.reference.map(|(name, share)| format!("{name}: {}", share.words()));
        let row = |line: &Line| match line {
            Line::Group(_) => None,
            Line::Row(row) => {
                let group = if row.group.is_empty() { String::new() } else { format!("{}, ", row.group) };
                Some(format!("{group}{}: {}", row.name, row.share.words()))
            }
        };
        reference.into_iter().chain(lines.iter().filter_map(row)).collect::<Vec<_>>().join("; ")
    }
}

fn note(row: &IntervalRow) -> String {
    let share = format!("{:.1} %", 100.0 * row.share.value);
    if row.note.is_empty() { share } else { format!("{share}  {}", row.note) }
}

/// The name of a line as it is written, and its width.
fn name_of(line: &Line) -> (String, f64) {
    let (look, name) = match line {
        Line::Group(name) => (GROUP, name),
        Line::Row(row) => (if row.marked { STRONG } else { NAME }, &row.name),
    };
    let name = look.shorten(name, NAME_WIDTH);
    let width = look.width(&name);
    (name, width)
}

fn draw_line(area: &Area, line: &Line, frame: &Frame, y: f64) -> Result<()> {
    let (name, _) = name_of(line);
    let Line::Row(row) = line else {
        return GROUP.write(area, &name, HPos::Left, pixel((f64::from(MARGIN), y)));
    };
    let look = if row.marked { STRONG } else { NAME };
    look.write(area, &name, HPos::Right, pixel((frame.left - 14.0, y)))?;
    NOTE.write(area, &note(row), HPos::Left, pixel((frame.right + 10.0, y)))
}

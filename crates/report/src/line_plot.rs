//! Lines over a common axis, one for each class or run: ROC and precision-recall curves, risk over coverage, scores over
//! epochs. What the axes are is the caller's to say.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::canvas::{self, Area, Type};
use crate::curves::series;
use crate::error::{ReportError, Result};
use crate::frame::{Frame, LARGE_TICK, pixel};
use crate::heading::{HEADING_HEIGHT, MARGIN};
use crate::marks::{Mark, Marks};
use crate::picture::Picture;
use crate::theme::{INK, MUTED, SERIES};
use crate::ticks::{self, Tick};

const WIDTH: u32 = 460;
/// The height of the chart, without the lines' names below it.
const HEIGHT: u32 = 400;
/// Below the chart: its ticks and the name of its axis.
const BELOW: f64 = 46.0;
const HEADING: Type = Type::bold(15.0, INK);
const NAME: Type = Type::new(13.0, INK);
const NOTE: Type = Type::new(13.0, MUTED);
/// The height of a line's name.
const ROW: f64 = 21.0;
/// A picture this wide can't show more points.
const MAX_POINTS: usize = 300;

/// An axis, and how its numbers are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotAxis<'a> {
    pub name: &'a str,
    /// The ends of the axis; `None` where the points decide.
    pub range: Option<(f64, f64)>,
    /// Shares from 0 to 1, written as 0 to 100 %.
    pub percent: bool,
}

/// A line with its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotLine<'a> {
    pub name: &'a str,
    /// What stands behind the name: the area under the line.
    pub note: &'a str,
    /// Points that aren't finite numbers are left out.
    pub points: &'a [(f64, f64)],
    /// Points with a mark, each with a few words.
    pub marked: &'a [(f64, f64, String)],
}

/// Lines to draw. More than a dozen can't be told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinePlot<'a> {
    pub title: &'a str,
    pub x: PlotAxis<'a>,
    pub y: PlotAxis<'a>,
    pub lines: &'a [PlotLine<'a>],
    /// Whether a dashed line leads from the lower left to the upper right.
    pub diagonal: bool,
}

/// An axis with both ends.
struct AxisSpan {
    low: f64,
    high: f64,
    percent: bool,
}

impl AxisSpan {
    /// `None` without a finite number.
    fn new(axis: &PlotAxis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        if low > high {
            return None;
        }
        match axis.range {
            Some(range) => (low, high) = range,
            None => {
                let air = if high > low { 0.06 * (high - low) } else { (0.1 * high.abs()).max(1e-6) };
                let (floor, ceiling) = if axis.percent { (0.0, 1.0) } else { (f64::MIN, f64::MAX) };
                // The axis of values that are never negative starts at 0 or above.
                let floor = if low >= 0.0 { 0.0 } else { floor };
                (low, high) = ((low - air).max(floor), (high + air).min(ceiling.max(high)));
            }
        }
        (high > low).then_some(Self { low, high, percent: axis.percent })
    }

    fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self, most: usize) -> Vec<Tick> {
        let (factor, unit) = if self.percent { (100.0, " %") } else { (1.0, "") };
        let numbers = ticks::round_numbers(factor * self.low, factor * self.high, most);
        let texts = ticks::texts(&numbers);
        let tick =
            |(number, text): (&f64, String)| Tick { place: self.place(number / factor), text: format!("{text}{unit}") };
        numbers.iter().zip(texts).map(tick).collect()
    }
}

impl LinePlot<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// No line with a point to draw, or a failure of the plotting library.
    pub fn draw(&self) -> Result<Picture> {
        let finite = |line: &PlotLine| -> Vec<(f64, f64)> {
            let finite = line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
            series::thinned(&finite.collect::<Vec<_>>(), MAX_POINTS)
        };
        let drawn: Vec<(&PlotLine, Vec<(f64, f64)>)> =
            self.lines.iter().map(|line| (line, finite(line))).filter(|(_, points)| !points.is_empty()).collect();
        let points = || drawn.iter().flat_map(|(_, points)| points);
        let spans = AxisSpan::new(&self.x, points().map(|point| point.0))
            .zip(AxisSpan::new(&self.y, points().map(|point| point.1)))
            .ok_or(ReportError::NothingToDraw { what: "lines" })?;
        let (x, y) = spans;
        let up = y.ticks(6);
        let below = BELOW + ROW * drawn.len() as f64 + 8.0;
        let size = (WIDTH, HEIGHT + (ROW * drawn.len() as f64) as u32);
        let mut frame = Frame::large(size, &up, below);
        // Space for the name of the vertical axis, above it.
        frame.top += 20.0;
        let across = ticks::spaced(x.ticks(5), frame.width(), &LARGE_TICK);

        let mut marks = Marks::default();
        if self.diagonal {
            let mark = Mark { class: "diagonal", color: MUTED, opacity: 0.8, title: "" };
            marks.line(&mark, &[(frame.x(0.0), frame.y(0.0)), (frame.x(1.0), frame.y(1.0))], 1.2, true);
        }
        for (index, (line, points)) in drawn.iter().enumerate() {
            let at = |&(px, py): &(f64, f64)| (frame.x(x.place(px)), frame.y(y.place(py)));
            let mark = Mark { class: "line", color: color(index), opacity: 1.0, title: line.name };
            marks.line(&mark, &points.iter().map(at).collect::<Vec<_>>(), 2.0, is_dashed(index));
            if points.len() == 1 {
                marks.dot(&Mark { class: "point", ..mark }, at(&points[0]), 4.0);
            }
            for (px, py, words) in line.marked.iter().filter(|(px, py, _)| px.is_finite() && py.is_finite()) {
                marks.ring(&Mark { class: "marked", title: words, ..mark }, at(&(*px, *py)), 5.5, 2.0);
            }
            let middle = legend_row(&frame, index);
            let swatch = [(frame.left, middle), (frame.left + 26.0, middle)];
            marks.line(&Mark { class: "swatch", title: "", ..mark }, &swatch, 2.5, is_dashed(index));
        }
        canvas::layered(
            size,
            (self.title, &self.words(&drawn)),
            |area| {
                HEADING.write(area, self.title, HPos::Left, (MARGIN, HEADING_HEIGHT / 2 + 2))?;
                NOTE.write(area, self.y.name, HPos::Left, (MARGIN, HEADING_HEIGHT + 8))?;
                frame.draw(area, &across, &up)?;
                frame.caption(area, self.x.name)?;
                if let [(line, _)] = drawn.as_slice() {
                    for (px, py, words) in line.marked {
                        draw_mark(area, &frame, (frame.x(x.place(*px)), frame.y(y.place(*py))), words)?;
                    }
                }
                draw_names(area, &frame, &drawn)
            },
            marks.svg(),
            |_| Ok(()),
        )
    }

    /// The picture in words: where each line begins and ends, and what is marked.
    fn words(&self, drawn: &[(&PlotLine, Vec<(f64, f64)>)]) -> String {
        let number = |axis: &PlotAxis, value: f64| match axis.percent {
            true => format!("{:.1} %", 100.0 * value),
            false => ticks::decimal(&value),
        };
        let line = |(line, points): &(&PlotLine, Vec<(f64, f64)>)| {
            let at = |&(x, y): &(f64, f64)| format!("({}, {})", number(&self.x, x), number(&self.y, y));
            let (from, to) = (points.first().map(at), points.last().map(at));
            let marked: String = line.marked.iter().map(|(_, _, words)| format!(", marked: {words}")).collect();
            let note = if line.note.is_empty() { String::new() } else { format!(", {}", line.note) };
            format!("{}{note}: from {} to {}{marked}", line.name, from.unwrap_or_default(), to.unwrap_or_default())
        };
        let lines: Vec<String> = drawn.iter().map(line).collect();
        format!("{} over {}. {}", self.y.name, self.x.name, lines.join("; "))
    }
}

fn color(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// Lines of the same color differ in this, and neighbors in both.
fn is_dashed(index: usize) -> bool {
    (index + index / SERIES.len()) % 2 == 1
}

fn legend_row(frame: &Frame, index: usize) -> f64 {
    frame.bottom + BELOW + ROW * (index as f64 + 0.5)
}

/// The words of a marked point, beside it where there is space: above and to its left, else to its right.
fn draw_mark(area: &Area, frame: &Frame, (x, y): (f64, f64), words: &str) -> Result<()> {
    let fits_left = x - 12.0 - NAME.width(words) > frame.left;
    let (side, at) = if fits_left { (HPos::Right, x - 10.0) } else { (HPos::Left, x + 10.0) };
    NAME.write(area, words, side, pixel((at, (y - 12.0).max(frame.top + 8.0))))
}

/// A name for each line below the chart, and what is noted of it at the right edge.
fn draw_names(area: &Area, frame: &Frame, drawn: &[(&PlotLine, Vec<(f64, f64)>)]) -> Result<()> {
    for (index, (line, _)) in drawn.iter().enumerate() {
        let middle = legend_row(frame, index);
        let room = frame.width() - 36.0 - NOTE.width(line.note) - 12.0;
        NAME.write(area, &NAME.shorten(line.name, room), HPos::Left, pixel((frame.left + 36.0, middle)))?;
        NOTE.write(area, line.note, HPos::Right, pixel((frame.right, middle)))?;
    }
    Ok(())
}

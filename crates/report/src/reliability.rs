//! Whether probabilities mean what they say: the share that is right over the confidence, beside the diagonal on which both
//! are equal; below it, how many predictions have that confidence.

use plotters::style::text_anchor::HPos;

use crate::canvas::{self, Area, Type};
use crate::error::{ReportError, Result};
use crate::frame::{Frame, LARGE_TICK, line, pixel};
use crate::heading::{HEADING_HEIGHT, MARGIN};
use crate::marks::{Mark, Marks};
use crate::picture::Picture;
use crate::plot_interval::PlotInterval;
use crate::theme::{INK, MUTED, SERIES};
use crate::ticks::Tick;

const WIDTH: u32 = 460;
const CHART: u32 = 400;
/// The histogram below the chart.
const HISTOGRAM: u32 = 96;
const BELOW: f64 = 46.0;
const HEADING: Type = Type::bold(15.0, INK);
const NAME: Type = Type::new(13.0, INK);
const NOTE: Type = Type::new(13.0, MUTED);
const ROW: f64 = 21.0;

/// The predictions whose confidence lies between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceBin {
    pub low: f64,
    pub high: f64,
    pub rows: u64,
    /// The mean confidence.
    pub confidence: f64,
    /// The share that is right.
    pub accuracy: PlotInterval,
}

/// A model's bins under its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityLine<'a> {
    pub name: &'a str,
    pub bins: &'a [ConfidenceBin],
}

/// A reliability diagram of one model, with intervals and a histogram, or of several, without them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityPlot<'a> {
    pub title: &'a str,
    pub models: &'a [ReliabilityLine<'a>],
}

impl ReliabilityPlot<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// No bin with finite numbers, or a failure of the plotting library.
    pub fn draw(&self) -> Result<Picture> {
        let drawn: Vec<(&str, Vec<&ConfidenceBin>)> =
            self.models.iter().map(|model| (model.name, finite(model))).collect();
        if drawn.iter().all(|(_, bins)| bins.is_empty()) {
            return Err(ReportError::NothingToDraw { what: "confidences" });
        }
        let ticks: Vec<Tick> =
            (0..=5).map(|fifth| Tick { place: f64::from(fifth) / 5.0, text: format!("{} %", 20 * fifth) }).collect();
        let alone = drawn.len() == 1;
        let extra = if alone { HISTOGRAM } else { (ROW * drawn.len() as f64) as u32 + 8 };
        let size = (WIDTH, CHART + extra);
        let mut frame = Frame::large(size, &ticks, BELOW + f64::from(extra));
        frame.top += 20.0;
        let bars = Frame { top: f64::from(CHART), bottom: f64::from(size.1) - 12.0, ..frame };

        let mut marks = Marks::default();
        let mark = Mark { class: "diagonal", color: MUTED, opacity: 0.8, title: "" };
        marks.line(&mark, &[(frame.x(0.0), frame.y(0.0)), (frame.x(1.0), frame.y(1.0))], 1.2, true);
        for (index, (name, bins)) in drawn.iter().enumerate() {
            draw_model(&mut marks, &frame, index, (name, bins), alone);
            if alone {
                draw_histogram(&mut marks, &bars, bins);
            } else {
                let middle = legend_row(&frame, index);
                let mark = Mark { class: "swatch", color: SERIES[index % SERIES.len()], opacity: 1.0, title: "" };
                marks.line(&mark, &[(frame.left, middle), (frame.left + 26.0, middle)], 2.5, is_dashed(index));
            }
        }
        canvas::layered(
            size,
            (self.title, &words(&drawn)),
            |area| {
                HEADING.write(area, self.title, HPos::Left, (MARGIN, HEADING_HEIGHT / 2 + 2))?;
                NOTE.write(area, "share that is right", HPos::Left, (MARGIN, HEADING_HEIGHT + 8))?;
                frame.draw(area, &ticks, &ticks)?;
                frame.caption(area, "confidence: probability of the predicted label")?;
                match alone {
                    true => draw_counts(area, &bars, &drawn[0].1),
                    false => draw_names(area, &frame, &drawn),
                }
            },
            marks.svg(),
            |_| Ok(()),
        )
    }
}

fn finite<'a>(model: &ReliabilityLine<'a>) -> Vec<&'a ConfidenceBin> {
    let finite = |bin: &&ConfidenceBin| bin.rows > 0 && bin.confidence.is_finite() && bin.accuracy.is_finite();
    model.bins.iter().filter(finite).collect()
}

/// A line through the bins; of a model alone each bin's interval too.
fn draw_model(marks: &mut Marks, frame: &Frame, index: usize, (name, bins): (&str, &[&ConfidenceBin]), alone: bool) {
    let color = SERIES[index % SERIES.len()];
    let at = |confidence: f64, accuracy: f64| (frame.x(confidence.clamp(0.0, 1.0)), frame.y(accuracy.clamp(0.0, 1.0)));
    let points: Vec<(f64, f64)> = bins.iter().map(|bin| at(bin.confidence, bin.accuracy.value)).collect();
    let plain = Mark { class: "line", color, opacity: if alone { 0.45 } else { 1.0 }, title: name };
    marks.line(&plain, &points, 2.0, is_dashed(index));
    for bin in bins {
        let title = format!("{name}{}{}", if name.is_empty() { "" } else { ": " }, bin_words(bin));
        let mark = Mark { class: "bin", color, opacity: 1.0, title: &title };
        if alone {
            let ends = [at(bin.confidence, bin.accuracy.low), at(bin.confidence, bin.accuracy.high)];
            marks.line(&Mark { class: "interval", ..mark }, &ends, 2.0, false);
        }
        marks.dot(&mark, at(bin.confidence, bin.accuracy.value), if alone { 5.0 } else { 3.5 });
    }
}

/// Bars as wide as their bins, the longest as high as there is space.
fn draw_histogram(marks: &mut Marks, bars: &Frame, bins: &[&ConfidenceBin]) {
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1).max(1) as f64;
    for bin in bins {
        let (left, right) = (bars.x(bin.low.clamp(0.0, 1.0)), bars.x(bin.high.clamp(0.0, 1.0)));
        let height = (bin.rows as f64 / most * (bars.bottom - bars.top - 16.0)).max(1.0);
        let title = bin_words(bin);
        let mark = Mark { class: "count", color: SERIES[0], opacity: 0.55, title: &title };
        marks.bar(&mark, (left + 1.0, bars.bottom - height), ((right - left - 2.0).max(1.0), height));
    }
}

/// The baseline of the histogram, and the number of the longest bar above it.
fn draw_counts(area: &Area, bars: &Frame, bins: &[&ConfidenceBin]) -> Result<()> {
    line(area, (bars.left, bars.bottom), (bars.right, bars.bottom), MUTED)?;
    let Some(longest) = bins.iter().max_by_key(|bin| bin.rows) else { return Ok(()) };
    let middle = bars.x((longest.low + longest.high).clamp(0.0, 2.0) / 2.0);
    let text = format!("{} rows", longest.rows);
    let half = LARGE_TICK.width(&text) / 2.0;
    let middle = middle.clamp(bars.left + half, bars.right - half);
    LARGE_TICK.write(area, &text, HPos::Center, pixel((middle, bars.top + 6.0)))
}

/// Lines of the same color differ in this.
fn is_dashed(index: usize) -> bool {
    (index / SERIES.len()) % 2 == 1
}

fn legend_row(frame: &Frame, index: usize) -> f64 {
    frame.bottom + BELOW + ROW * (index as f64 + 0.5)
}

fn draw_names(area: &Area, frame: &Frame, drawn: &[(&str, Vec<&ConfidenceBin>)]) -> Result<()> {
    for (index, (name, _)) in drawn.iter().enumerate() {
        let name = NAME.shorten(name, frame.width() - 36.0);
        NAME.write(area, &name, HPos::Left, pixel((frame.left + 36.0, legend_row(frame, index))))?;
    }
    Ok(())
}

fn bin_words(bin: &ConfidenceBin) -> String {
    let rows = if bin.rows == 1 { "row" } else { "rows" };
    format!(
        "confidence {:.0} to {:.0} %: {} {rows}, {:.1} % on average, {} right",
        100.0 * bin.low,
        100.0 * bin.high,
        bin.rows,
        100.0 * bin.confidence,
        bin.accuracy.words()
    )
}

/// The picture in words.
fn words(drawn: &[(&str, Vec<&ConfidenceBin>)]) -> String {
    let model = |(name, bins): &(&str, Vec<&ConfidenceBin>)| {
        let bins: Vec<String> = bins.iter().map(|bin| bin_words(bin)).collect();
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        format!("{name}{}", bins.join("; "))
    };
    drawn.iter().map(model).collect::<Vec<_>>().join(". ")
}

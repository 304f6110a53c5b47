//! One chart of the picture: a title with the legend beside it, axes, lines.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::element::Circle;
use plotters::prelude::SVGBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor, ShapeStyle, TRANSPARENT};

use crate::canvas::{Area, Type, drawing};
use crate::error::Result;
use crate::heading::{self, HEADING_HEIGHT, LegendEntry, MARGIN, Swatch};
use crate::theme::{GRID, INK, MUTED};

const TITLE: Type = Type::bold(17.0, INK);
const TICK: Type = Type::new(11.0, MUTED);

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A pale backdrop.
    Faint,
    Plain,
    /// A line with a dot at each point.
    Marked,
}

/// Points over steps. Without a name it isn't in the legend.
pub(super) struct Curve {
    pub name: String,
    pub color: RGBColor,
    pub look: Look,
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    pub(super) fn new(name: &str, color: RGBColor, look: Look, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), color, look, points }
    }

    fn stroke(&self) -> ShapeStyle {
        match self.look {
            Look::Faint => self.color.mix(0.3).stroke_width(1),
            Look::Plain | Look::Marked => self.color.stroke_width(2),
        }
    }
}

/// A chart with at least one line, each with at least one point.
pub(super) struct Panel {
    pub title: &'static str,
    pub lines: Vec<Curve>,
    pub ticks: fn(&f64) -> String,
}

pub(super) fn title(area: &Area, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let (width, height) = area.dim_in_pixel();
    let text = TITLE.wrap(text, f64::from(width) - 2.0 * f64::from(MARGIN), 1).concat();
    TITLE.write(area, &text, HPos::Left, (MARGIN, height as i32 / 2 + 4))
}

impl Panel {
    /// Draws the panel over the steps from 0 to `last`.
    pub(super) fn draw(&self, area: &Area, last: u64, best_step: Option<u64>) -> Result<()> {
        self.draw_heading(area, best_step.is_some())?;
        let (low, high) = self.range();
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEADING_HEIGHT + 4)
            .margin_right(MARGIN)
            .margin_left(MARGIN)
            .margin_bottom(6)
            .x_label_area_size(26)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..last as f64, low..high)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(TICK.style(HPos::Left))
            .x_labels(last.saturating_add(1).min(8) as usize)
            .y_labels(5)
            .x_label_formatter(&step)
            .y_label_formatter(&self.ticks)
            .draw()
            .map_err(drawing)?;
        if let Some(best_step) = best_step {
            let line = [(best_step as f64, low), (best_step as f64, high)];
            chart.draw_series(DashedLineSeries::new(line, 5, 4, MUTED.stroke_width(1))).map_err(drawing)?;
        }
        self.lines.iter().try_for_each(|line| draw_line(&mut chart, line))
    }

    /// The title, and to its right a swatch and a name for each line.
    fn draw_heading(&self, area: &Area, best_step: bool) -> Result<()> {
        let entry = |name: &str, color| LegendEntry { name: name.to_owned(), color, swatch: Swatch::Bar };
        let named = self.lines.iter().filter(|line| !line.name.is_empty());
        let mut entries: Vec<LegendEntry> = named.map(|line| entry(&line.name, line.color)).collect();
        if best_step && !entries.is_empty() {
            entries.push(entry("best model", MUTED));
        }
        heading::draw(area, self.title, &entries)
    }

    /// The range of the values with a small margin; never empty.
    fn range(&self) -> (f64, f64) {
        let values = || self.lines.iter().flat_map(|line| line.points.iter().map(|&(_, y)| y));
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let air = if high > low { 0.06 * (high - low) } else { (0.1 * high.abs()).max(1e-9) };
        // The axis of values that are never negative starts at 0 or above.
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        ((low - air).max(floor), high + air)
    }
}

fn draw_line(chart: &mut Chart, line: &Curve) -> Result<()> {
    chart.draw_series(LineSeries::new(line.points.iter().copied(), line.stroke())).map_err(drawing)?;
    if line.look == Look::Marked || line.points.len() == 1 {
        let dots = line.points.iter().map(|&point| Circle::new(point, 4, line.color.filled()));
        chart.draw_series(dots).map_err(drawing)?;
    }
    Ok(())
}

fn step(value: &f64) -> String {
    if value.fract().abs() < 1e-6 { format!("{value:.0}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticks::decimal;

    #[test]
    fn only_whole_steps_are_labeled() {
        assert_eq!([0.0, 100.0, 2.5].map(|v| step(&v)), ["0", "100", ""]);
    }

    #[test]
    fn a_flat_line_still_has_a_range() {
        let panel = |y: f64| Panel {
            title: "",
            lines: vec![Curve::new("", INK, Look::Plain, vec![(0.0, y), (1.0, y)])],
            ticks: decimal,
        };
        for y in [0.0, 2e-5, -3.0, 1e9] {
            let (low, high) = panel(y).range();
            assert!(low <= y && y < high && low < high, "{y}: {low} to {high}");
        }
    }
}

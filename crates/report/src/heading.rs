//! The line above a chart: its title, and to the right its legend.

use plotters::element::{Circle, Cross, Rectangle};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use crate::canvas::{Area, Type, drawing};
use crate::error::Result;
use crate::theme::INK;

const HEADING: Type = Type::bold(13.0, INK);
const LEGEND: Type = Type::new(12.0, INK);

/// Left and right of a chart.
pub(crate) const MARGIN: i32 = 20;
/// The height of the line.
pub(crate) const HEADING_HEIGHT: i32 = 30;
/// The width of a swatch with the space around it.
const SWATCH: i32 = 38;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swatch {
    Bar,
    Dot,
    Ring,
    Cross,
}

pub(crate) struct LegendEntry {
    pub name: String,
    pub color: RGBColor,
    pub swatch: Swatch,
}

pub(crate) fn draw(area: &Area, title: &str, entries: &[LegendEntry]) -> Result<()> {
    let y = HEADING_HEIGHT / 2 + 2;
    HEADING.write(area, title, HPos::Left, (MARGIN, y))?;
    let space = f64::from(area.dim_in_pixel().0) - 2.0 * f64::from(MARGIN) - HEADING.width(title) - 24.0;
    let width = (space / entries.len().max(1) as f64 - f64::from(SWATCH)).max(20.0);
    // Names are cut only if they don't fit together.
    let uncut: f64 = entries.iter().map(|entry| LEGEND.width(&entry.name) + f64::from(SWATCH)).sum();
    let width = if uncut <= space { space } else { width };
    let names: Vec<String> = entries.iter().map(|entry| LEGEND.wrap(&entry.name, width, 1).concat()).collect();
    let mut x = area.dim_in_pixel().0 as i32 - MARGIN;
    for (name, entry) in names.iter().zip(entries).rev() {
        x -= LEGEND.width(name).ceil() as i32;
        LEGEND.write(area, name, HPos::Left, (x, y))?;
        draw_swatch(area, entry, (x, y))?;
        x -= SWATCH;
    }
    Ok(())
}

fn draw_swatch(area: &Area, entry: &LegendEntry, (x, y): (i32, i32)) -> Result<()> {
    let (filled, middle) = (entry.color.filled(), (x - 11, y));
    match entry.swatch {
        Swatch::Bar => area.draw(&Rectangle::new([(x - 20, y - 1), (x - 6, y + 2)], filled)),
        Swatch::Dot => area.draw(&Circle::new(middle, 4, filled)),
        Swatch::Ring => area.draw(&Circle::new(middle, 4, entry.color.stroke_width(2))),
        Swatch::Cross => area.draw(&Cross::new(middle, 4, entry.color.stroke_width(2))),
    }
    .map_err(drawing)
}

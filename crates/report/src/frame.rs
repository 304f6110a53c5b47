//! A chart's frame: the area of the data, the grid behind it, and the ticks along its edges.

use plotters::element::PathElement;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use crate::canvas::{Area, Type, drawing};
use crate::error::Result;
use crate::heading::{HEADING_HEIGHT, MARGIN};
use crate::theme::{GRID, MUTED};
use crate::ticks::Tick;

pub(crate) const WIDTH: u32 = 880;
pub(crate) const TICK: Type = Type::new(11.0, MUTED);
/// Of pictures that a phone shows at two thirds of their size.
pub(crate) const LARGE_TICK: Type = Type::new(13.0, MUTED);

/// The rectangle of the data, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub size: (u32, u32),
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    /// How its ticks are written.
    pub tick: Type,
}

impl Frame {
    /// In a picture of this size, with space for a heading, for `ticks` to the left and `below` pixels below.
    pub(crate) fn new(size: (u32, u32), ticks: &[Tick], below: f64) -> Self {
        Self::with(TICK, size, ticks, below)
    }

    /// The same, with large ticks.
    pub(crate) fn large(size: (u32, u32), ticks: &[Tick], below: f64) -> Self {
        Self::with(LARGE_TICK, size, ticks, below)
    }

    fn with(tick: Type, size: (u32, u32), ticks: &[Tick], below: f64) -> Self {
        let widest = ticks.iter().map(|mark| tick.width(&mark.text)).fold(0.0, f64::max);
        Self {
            size,
            left: f64::from(MARGIN) + if widest > 0.0 { widest.ceil() + 8.0 } else { 0.0 },
            top: f64::from(HEADING_HEIGHT) + 6.0,
            right: f64::from(size.0) - f64::from(MARGIN) - 4.0,
            bottom: f64::from(size.1) - below,
            tick,
        }
    }

    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    /// The pixel of a share of the way from left to right.
    pub(crate) fn x(&self, share: f64) -> f64 {
        self.left + share * self.width()
    }

    /// The pixel of a share of the way from the bottom up.
    pub(crate) fn y(&self, share: f64) -> f64 {
        self.bottom - share * (self.bottom - self.top)
    }

    pub(crate) fn draw(&self, area: &Area, across: &[Tick], up: &[Tick]) -> Result<()> {
        for tick in across {
            let x = self.x(tick.place);
            line(area, (x, self.top), (x, self.bottom), GRID)?;
            self.tick.write(area, &tick.text, HPos::Center, pixel((x, self.bottom + 14.0)))?;
        }
        for tick in up {
            let y = self.y(tick.place);
            line(area, (self.left, y), (self.right, y), GRID)?;
            self.tick.write(area, &tick.text, HPos::Right, pixel((self.left - 8.0, y)))?;
        }
        line(area, (self.left, self.bottom), (self.right, self.bottom), MUTED)
    }

    /// Writes the name of the horizontal axis below its ticks.
    pub(crate) fn caption(&self, area: &Area, text: &str) -> Result<()> {
        self.tick.write(area, text, HPos::Center, pixel((self.x(0.5), self.bottom + 31.0)))
    }
}

pub(crate) fn line(area: &Area, from: (f64, f64), to: (f64, f64), color: RGBColor) -> Result<()> {
    area.draw(&PathElement::new([pixel(from), pixel(to)], color.stroke_width(1))).map_err(drawing)
}

/// The nearest whole pixel: the plotting library has no fractions.
pub(crate) fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

//! The confusion matrix as a picture: a square for each (true, predicted) pair, darker the larger its share of the row.

use plotters::element::Rectangle;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use crate::canvas::{self, Area, Type, drawing};
use crate::error::{ReportError, Result};
use crate::picture::Picture;
use crate::theme::{INK, MUTED, scale, text_on};

const TITLE: Type = Type::bold(17.0, INK);
const AXIS: Type = Type::bold(13.0, INK);
const LABEL: Type = Type::new(13.0, INK);
const SMALL: Type = Type::new(11.0, MUTED);

const MARGIN: i32 = 20;
const GAP: i32 = 2;
/// A class name is cut where it's wider than this.
const LABEL_WIDTH: f64 = 170.0;
const LINE: i32 = 16;

/// A confusion matrix to draw: rows are true classes, columns predicted ones.
#[derive(Debug, Clone, Copy)]
pub struct ConfusionPlot<'a> {
    pub labels: &'a [String],
    /// `counts[t][p]`: how often class `t` was predicted as `p`.
    pub counts: &'a [Vec<u64>],
    pub title: &'a str,
}

struct Layout {
    cell: i32,
    /// The upper left corner of the squares.
    left: i32,
    top: i32,
    width: i32,
    height: i32,
    /// The columns' names, a list of lines each; upright where they're too long for their column.
    columns: Vec<Vec<String>>,
    upright: bool,
    rows: Vec<Vec<String>>,
}

impl ConfusionPlot<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// No classes, counts that aren't one row and one column for each label, or a failure of the plotting library.
    pub fn draw(&self) -> Result<Picture> {
        self.check()?;
        let layout = self.layout();
        let size = (layout.width.unsigned_abs(), layout.height.unsigned_abs());
        let title = if self.title.is_empty() { "Confusion matrix" } else { self.title };
        canvas::svg(size, (title, &self.description()), |area| {
            TITLE.write(
                area,
                &TITLE.wrap(self.title, f64::from(layout.width - 2 * MARGIN), 1).concat(),
                HPos::Left,
                (MARGIN, MARGIN + 6),
            )?;
            self.draw_names(area, &layout)?;
            self.draw_cells(area, &layout)?;
            draw_scale(area, &layout)
        })
    }

    fn check(&self) -> Result<()> {
        let classes = self.labels.len();
        if classes == 0 {
            return Err(ReportError::NoClasses);
        }
        for row in 0..classes.max(self.counts.len()) {
            let found = self.counts.get(row).map_or(0, Vec::len);
            if found != classes || row >= classes {
                return Err(ReportError::Shape { row, found, classes });
            }
        }
        Ok(())
    }

    fn layout(&self) -> Layout {
        let classes = self.labels.len();
        let cell: i32 = match classes {
            0..=2 => 116,
            3 => 100,
            4..=5 => 84,
            6..=8 => 70,
            9..=12 => 58,
            _ => 50,
        };
        let room = f64::from(cell - 8);
        let upright = !self.labels.iter().all(|label| LABEL.fits(label, room, 2));
        let wrap = |width, lines| self.labels.iter().map(|label| LABEL.wrap(label, width, lines)).collect::<Vec<_>>();
        let columns = if upright { wrap(LABEL_WIDTH, 1) } else { wrap(room, 2) };
        let rows = wrap(LABEL_WIDTH, if cell > 60 { 2 } else { 1 });
        let widest = |lines: &[Vec<String>]| lines.iter().flatten().map(|line| LABEL.width(line)).fold(0.0, f64::max);
        let head = match upright {
            true => widest(&columns).ceil() as i32 + 8,
            false => LINE * columns.iter().map(Vec::len).max().unwrap_or(1) as i32 + 6,
        };
        let totals = self.counts.iter().map(|row| SMALL.width(&total(row))).fold(0.0, f64::max);
        let left = MARGIN + LINE + 12 + widest(&rows).max(totals).ceil() as i32 + 10;
        let top = MARGIN + if self.title.is_empty() { 0 } else { 26 } + LINE + 6 + head;
        let squares = cell * classes as i32;
        let width = (left + squares + 76).max(if self.title.is_empty() { 0 } else { 360 });
        Layout { cell, left, top, width, height: top + squares + MARGIN, columns, upright, rows }
    }

    fn draw_names(&self, area: &Area, layout: &Layout) -> Result<()> {
        let Layout { cell, left, top, .. } = *layout;
        let middle = cell * self.labels.len() as i32 / 2;
        let axis_top = MARGIN + if self.title.is_empty() { 8 } else { 34 };
        AXIS.write(area, "predicted", HPos::Center, (left + middle, axis_top))?;
        AXIS.write_up(area, "true", HPos::Center, (MARGIN + 6, top + middle))?;
        for (column, lines) in (0..).zip(&layout.columns) {
            let x = left + cell * column + cell / 2;
            for (line, text) in (0..).zip(lines) {
                if layout.upright {
                    LABEL.write_up(area, text, HPos::Left, (x, top - 6))?;
                } else {
                    LABEL.write(area, text, HPos::Center, (x, top - 10 - LINE * (lines.len() as i32 - 1 - line)))?;
                }
            }
        }
        for ((row, lines), counts) in (0..).zip(&layout.rows).zip(self.counts) {
            let height = LINE * (lines.len() as i32 + 1);
            let first = top + cell * row + (cell - height) / 2 + LINE / 2;
            for (line, text) in (0..).zip(lines) {
                LABEL.write(area, text, HPos::Right, (left - 10, first + LINE * line))?;
            }
            SMALL.write(area, &total(counts), HPos::Right, (left - 10, first + LINE * lines.len() as i32))?;
        }
        Ok(())
    }

    fn draw_cells(&self, area: &Area, layout: &Layout) -> Result<()> {
        for (row, counts) in (0..).zip(self.counts) {
            let support = support(counts);
            for (column, &count) in (0..).zip(counts) {
                let corner = (layout.left + layout.cell * column, layout.top + layout.cell * row);
                draw_cell(area, layout.cell, corner, count, support)?;
            }
        }
        Ok(())
    }

    /// The picture in words, with the names uncut.
    fn description(&self) -> String {
        let rows = self.labels.iter().zip(self.counts).map(|(label, counts)| {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            format!("{label}: {}", counts.join(" "))
        });
        format!("Counts by true class (rows) and predicted class (columns). {}", rows.collect::<Vec<_>>().join("; "))
    }
}

/// One square with its count and, where the row has anything, its share of the row.
fn draw_cell(area: &Area, cell: i32, (x, y): (i32, i32), count: u64, support: u64) -> Result<()> {
    let share = if support == 0 { 0.0 } else { count as f64 / support as f64 };
    let shade = scale(share);
    fill(area, (x, y), (x + cell - GAP, y + cell - GAP), shade)?;

    let (text, room) = (count.to_string(), f64::from(cell - GAP - 8));
    let mut number = Type::bold(if cell > 60 { 16.0 } else { 14.0 }, text_on(shade));
    number.size *= (room / number.width(&text)).min(1.0);
    let center = (x + (cell - GAP) / 2, y + (cell - GAP) / 2);
    if count == 0 {
        number.weight = crate::fonts::FontWeight::Regular;
        return number.write(area, &text, HPos::Center, center);
    }
    number.write(area, &text, HPos::Center, (center.0, center.1 - 8))?;
    let percent = Type::new(if cell > 60 { 12.0 } else { 10.5 }, text_on(shade));
    percent.write(area, &format!("{:.1} %", 100.0 * share), HPos::Center, (center.0, center.1 + 11))
}

/// What the shades mean: a bar beside the squares.
fn draw_scale(area: &Area, layout: &Layout) -> Result<()> {
    let squares = layout.height - MARGIN - layout.top;
    let (x, width, height) = (layout.left + squares + 16, 12, squares - GAP);
    // One rectangle a step, no step thinner than a pixel.
    let steps = height.min(64);
    let edge = |step: i32| layout.top + height * step / steps;
    for step in 0..steps {
        let share = 1.0 - (f64::from(step) + 0.5) / f64::from(steps);
        fill(area, (x, edge(step)), (x + width, edge(step + 1)), scale(share))?;
    }
    for (percent, y) in [(100, layout.top + 5), (50, layout.top + height / 2), (0, layout.top + height - 5)] {
        SMALL.write(area, &format!("{percent} %"), HPos::Left, (x + width + 5, y))?;
    }
    Ok(())
}

fn fill(area: &Area, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Result<()> {
    area.draw(&Rectangle::new([from, to], color.filled())).map_err(drawing)
}

fn total(counts: &[u64]) -> String {
    format!("n = {}", support(counts))
}

fn support(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
}

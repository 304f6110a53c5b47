//! The marks of a picture, one for each measurement, as SVG of our own: the plotting library rounds to whole pixels, and
//! has no dashes and no titles, which a browser shows as tooltips.

use std::fmt::Write as _;

use plotters::style::RGBColor;

use crate::canvas::escape;

/// How a mark looks, whatever its shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    /// The kind of mark, for style sheets and tests.
    pub class: &'static str,
    pub color: RGBColor,
    /// From 0, invisible, to 1.
    pub opacity: f64,
    /// The tooltip; may be empty.
    pub title: &'a str,
}

/// Marks in the order in which they were drawn. Positions are pixels from the upper left corner.
#[derive(Debug, Default)]
pub(crate) struct Marks(String);

impl Marks {
    pub(crate) fn dot(&mut self, mark: &Mark, (x, y): (f64, f64), radius: f64) {
        let fill = hex(mark.color);
        let _ = write!(self.0, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\"");
        self.finish("circle", mark);
    }

    pub(crate) fn ring(&mut self, mark: &Mark, (x, y): (f64, f64), radius: f64, width: f64) {
        let _ = write!(self.0, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"none\"");
        self.stroke(mark, width);
        self.finish("circle", mark);
    }

    /// An x that reaches `radius` to each side.
    pub(crate) fn cross(&mut self, mark: &Mark, (x, y): (f64, f64), radius: f64) {
        let (left, right, top, bottom) = (x - radius, x + radius, y - radius, y + radius);
        let _ = write!(
            self.0,
            "<path d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{right:.1} {top:.1}L{left:.1} {bottom:.1}\""
        );
        self.stroke(mark, 2.0);
        self.finish("path", mark);
    }

    /// A line through `points`; nothing for fewer than two.
    pub(crate) fn line(&mut self, mark: &Mark, points: &[(f64, f64)], width: f64, dashed: bool) {
        if points.len() < 2 {
            return;
        }
        self.0.push_str("<polyline points=\"");
        for (place, (x, y)) in points.iter().enumerate() {
            let _ = write!(self.0, "{}{x:.1},{y:.1}", if place == 0 { "" } else { " " });
        }
        self.0.push_str("\" fill=\"none\" stroke-linejoin=\"round\"");
        if dashed {
            let (dash, gap) = (3.0 + 1.5 * width, 3.0 + width);
            let _ = write!(self.0, " stroke-dasharray=\"{dash} {gap}\"");
        }
        self.stroke(mark, width);
        self.finish("polyline", mark);
    }

    pub(crate) fn bar(&mut self, mark: &Mark, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let fill = hex(mark.color);
        let _ = write!(
            self.0,
            "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{width:.1}\" height=\"{height:.2}\" fill=\"{fill}\""
        );
        self.finish("rect", mark);
    }

    pub(crate) fn svg(&self) -> &str {
        &self.0
    }

    fn stroke(&mut self, mark: &Mark, width: f64) {
        let _ = write!(self.0, " stroke=\"{}\" stroke-width=\"{width}\"", hex(mark.color));
    }

    fn finish(&mut self, element: &str, mark: &Mark) {
        if mark.opacity < 1.0 {
            let _ = write!(self.0, " opacity=\"{:.2}\"", mark.opacity);
        }
        let _ = write!(self.0, " class=\"{}\"", mark.class);
        let _ = match mark.title {
            "" => writeln!(self.0, "/>"),
            title => writeln!(self.0, "><title>{}</title></{element}>", escape(title)),
        };
    }
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::SERIES;

    #[test]
    fn a_mark_has_an_escaped_title() {
        let mut marks = Marks::default();
        let mark = Mark { class: "complete", color: SERIES[0], opacity: 0.5, title: "<1> & \"2\"" };
        marks.dot(&mark, (1.0, 2.25), 3.0);
        assert_eq!(
            marks.svg(),
            "<circle cx=\"1.0\" cy=\"2.2\" r=\"3\" fill=\"#2F7FE6\" opacity=\"0.50\" class=\"complete\">\
             <title>&lt;1&gt; &amp; &quot;2&quot;</title></circle>\n"
        );
    }

    #[test]
    fn a_line_needs_two_points() {
        let mut marks = Marks::default();
        let mark = Mark { class: "best", color: SERIES[0], opacity: 1.0, title: "" };
        marks.line(&mark, &[(1.0, 1.0)], 2.0, true);
        assert!(marks.svg().is_empty());
        marks.line(&mark, &[(1.0, 1.0), (2.0, 1.0)], 2.0, true);
        assert!(marks.svg().contains("points=\"1.0,1.0 2.0,1.0\"") && marks.svg().contains("dasharray"));
    }
}

//! Drawing on the plotting library's SVG backend: text by pixel size, and lines of text that fit.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle};

use crate::error::{ReportError, Result};
use crate::fonts::{self, FontWeight};
use crate::picture::Picture;
use crate::theme::PAPER;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws an SVG picture of `width` x `height` pixels, with a title and a description for screen readers.
pub(crate) fn svg(size: (u32, u32), words: (&str, &str), draw: impl FnOnce(&Area) -> Result<()>) -> Result<Picture> {
    layered(size, words, draw, "", |_| Ok(()))
}

/// Draws an SVG picture as [`svg`] does, with `marks`, which are SVG, over what `below` draws and under what `above` draws.
pub(crate) fn layered(
    (width, height): (u32, u32),
    (title, description): (&str, &str),
    below: impl FnOnce(&Area) -> Result<()>,
    marks: &str,
    above: impl FnOnce(&Area) -> Result<()>,
) -> Result<Picture> {
    let on_paper = |area: &Area| area.fill(&PAPER).map_err(drawing).and_then(|()| below(area));
    let (below, above) = (content((width, height), on_paper)?, content((width, height), above)?);
    let (title, description) = (escape(title), escape(description));
    Ok(Picture::from_svg(format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n\
         <title>{title}</title>\n<desc>{description}</desc>\n{below}{marks}{above}</svg>\n"
    )))
}

/// What the library draws, without its `<svg>` element, which can't have a title and a description.
fn content(size: (u32, u32), draw: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area)?;
        area.present().map_err(drawing)?;
    }
    let inside = svg.split_once('>').map_or("", |(_, inside)| inside.trim());
    let inside = inside.strip_suffix("</svg>").unwrap_or(inside);
    Ok(inside.to_owned())
}

pub(crate) fn drawing<E>(error: DrawingAreaErrorKind<E>) -> ReportError
where
    E: std::error::Error + Send + Sync + 'static,
{
    ReportError::Draw(Box::new(error))
}

/// Escapes text for content and attributes of XML and HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(printable(c)),
        }
    }
    escaped
}

/// `text` on one line, without characters that XML forbids.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(printable).map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect()
}

/// XML 1.0 forbids most control characters and two non-characters, even escaped.
fn printable(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    /// Pixels per em.
    pub size: f64,
    pub weight: FontWeight,
    pub color: RGBColor,
}

impl Type {
    pub(crate) const fn new(size: f64, color: RGBColor) -> Self {
        Self { size, weight: FontWeight::Regular, color }
    }

    pub(crate) const fn bold(size: f64, color: RGBColor) -> Self {
        Self { size, weight: FontWeight::Bold, color }
    }

    pub(crate) fn width(&self, text: &str) -> f64 {
        fonts::width(text, self.size, self.weight)
    }

    /// The plotting library's style. The library writes its size divided by 1.24 into the SVG.
    pub(crate) fn style(&self, horizontal: HPos) -> TextStyle<'static> {
        let style = match self.weight {
            FontWeight::Regular => FontStyle::Normal,
            FontWeight::Bold => FontStyle::Bold,
        };
        let font = plotters::style::FontDesc::new(FontFamily::SansSerif, self.size * 1.24, style);
        TextStyle { font, color: self.color.to_backend_color(), pos: Pos::new(horizontal, VPos::Center) }
    }

    /// Writes `text` with its vertical middle at `at`.
    pub(crate) fn write(&self, area: &Area, text: &str, horizontal: HPos, at: (i32, i32)) -> Result<()> {
        area.draw_text(&clean(text), &self.style(horizontal), at).map_err(drawing)
    }

    pub(crate) fn write_up(&self, area: &Area, text: &str, horizontal: HPos, at: (i32, i32)) -> Result<()> {
        let style = self.style(horizontal).transform(FontTransform::Rotate270);
        area.draw_text(&clean(text), &style, at).map_err(drawing)
    }

    /// `text` in at most `lines` lines that are at most `width` wide, broken at spaces; what doesn't fit ends in "…".
    pub(crate) fn wrap(&self, text: &str, width: f64, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        for word in clean(text).split_whitespace() {
            if let Some(line) = wrapped.last_mut() {
                let longer = format!("{line} {word}");
                // The last line takes whatever is left, and is cut below.
                if self.width(&longer) <= width || wrapped.len() == lines {
                    if let Some(line) = wrapped.last_mut() {
                        *line = longer;
                    }
                    continue;
                }
            }
            wrapped.push(word.to_owned());
        }
        wrapped.iter().map(|line| self.cut(line, width)).collect()
    }

    /// Whether [`Type::wrap`] would cut anything.
    pub(crate) fn fits(&self, text: &str, width: f64, lines: usize) -> bool {
        self.wrap(text, width, lines).iter().all(|line| !line.ends_with('…') || text.contains('…'))
    }

    /// `text` on one line that is at most `width` wide, without its middle where it's too long: names that begin alike
    /// often end differently.
    pub(crate) fn shorten(&self, text: &str, width: f64) -> String {
        let text = clean(text);
        if self.width(&text) <= width {
            return text;
        }
        let characters: Vec<char> = text.chars().collect();
        let shortened = |kept: usize| {
            let (head, tail) = (&characters[..kept.div_ceil(2)], &characters[characters.len() - kept / 2..]);
            format!("{}…{}", String::from_iter(head).trim_end(), String::from_iter(tail).trim_start())
        };
        let fits = |text: &String| self.width(text) <= width;
        (0..characters.len()).rev().map(shortened).find(fits).unwrap_or_else(|| "…".to_owned())
    }

    fn cut(&self, line: &str, width: f64) -> String {
        if self.width(line) <= width {
            return line.to_owned();
        }
        let mut cut = line.to_owned();
        while cut.pop().is_some() && self.width(&cut) + self.width("…") > width {}
        format!("{}…", cut.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::INK;

    const SMALL: Type = Type::new(10.0, INK);

    #[test]
    fn lines_are_as_wide_as_allowed_and_the_last_is_cut() {
        assert_eq!(SMALL.wrap("very negative", 200.0, 2), ["very negative"]);
        assert_eq!(SMALL.wrap("very negative", 50.0, 2), ["very", "negative"]);
        let cut = SMALL.wrap("a review of something else entirely", 60.0, 2);
        assert_eq!(cut.len(), 2);
        assert!(cut[1].ends_with('…') && cut.iter().all(|line| SMALL.width(line) <= 60.0), "{cut:?}");
        assert!(SMALL.fits("very negative", 50.0, 2) && !SMALL.fits("very negative", 50.0, 1));
        assert!(SMALL.wrap("", 50.0, 2).is_empty());
    }

    #[test]
    fn a_long_name_is_shortened_in_the_middle() {
        assert_eq!(SMALL.shorten("linear", 50.0), "linear");
        let short = SMALL.shorten("bert uncased of 12 layers", 60.0);
        assert!(short.starts_with("bert") && short.ends_with("ers") && SMALL.width(&short) <= 60.0, "{short}");
        assert_eq!(SMALL.shorten("linear", 1.0), "…");
    }

    #[test]
    fn escaped_text_holds_no_markup_and_no_control() {
        assert_eq!(escape("<b a=\"1\">&'\u{0}\u{1b}é"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;\u{FFFD}\u{FFFD}é");
        assert_eq!(clean("a\nb\u{FFFF}"), "a b\u{FFFD}");
    }
}

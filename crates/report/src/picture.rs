//! A finished picture, as SVG and as PNG.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::error::{ReportError, Result};
use crate::fonts;

/// Pixels of a PNG for each pixel of the SVG: sharp on dense screens and in print.
const SCALE: u32 = 2;

/// A picture on white paper. Its texts are escaped and stay text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    svg: String,
}

impl Picture {
    pub(crate) fn from_svg(svg: String) -> Self {
        Self { svg }
    }

    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// Its title.
    pub(crate) fn title(&self) -> &str {
        // Escaped, as it stands in the SVG.
        self.between("<title>", "</title>")
    }

    /// In pixels of the SVG.
    pub(crate) fn width(&self) -> f64 {
        self.between("<svg width=\"", "\"").parse().unwrap_or(0.0)
    }

    fn between(&self, begin: &str, end: &str) -> &str {
        let rest = self.svg.split_once(begin).map_or("", |(_, rest)| rest);
        rest.split_once(end).map_or("", |(text, _)| text)
    }

    /// The picture as PNG, two pixels for each of the SVG's.
    ///
    /// # Errors
    /// A failure to rasterize or to encode.
    pub fn png(&self) -> Result<Vec<u8>> {
        let options = Options { fontdb: fonts::database(&self.svg), ..Options::default() };
        let tree = Tree::from_str(&self.svg, &options)?;
        let size = tree.size().to_int_size();
        let (width, height) = (size.width().saturating_mul(SCALE), size.height().saturating_mul(SCALE));
        let mut pixels = Pixmap::new(width, height).ok_or(ReportError::Size { width, height })?;
        resvg::render(&tree, Transform::from_scale(SCALE as f32, SCALE as f32), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| ReportError::Png(Box::new(error)))
    }
}

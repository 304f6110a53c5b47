//! The fonts inside the program (DejaVu Sans, regular and bold), and the width of text in them.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::Database;
use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider};
use unicode_width::UnicodeWidthChar;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FontWeight {
    Regular,
    Bold,
}

/// Which characters a font has, and the advance of each.
struct Face {
    characters: Charmap<'static>,
    advances: GlyphMetrics<'static>,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Option<Self> {
        let font = FontRef::new(bytes).ok()?;
        let advances = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        Some(Self { characters: font.charmap(), advances })
    }
}

static FACES: LazyLock<[Option<Face>; 2]> =
    LazyLock::new(|| [dejavu::sans::regular(), dejavu::sans::bold()].map(Face::new));

static EMBEDDED: LazyLock<Arc<Database>> = LazyLock::new(|| Arc::new(embedded()));

/// The machine's fonts come after ours: they are used only for characters that ours lack.
static WITH_SYSTEM: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = embedded();
    fonts.load_system_fonts();
    // Loading them may have changed the default.
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

fn embedded() -> Database {
    let mut fonts = Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts
}

/// The fonts to rasterize `text` with: ours, and the machine's own only where ours lack a character (Chinese, emoji).
pub(crate) fn database(text: &str) -> Arc<Database> {
    let known = |c: char| c.is_ascii() || glyph(c, FontWeight::Regular).is_some();
    Arc::clone(if text.chars().all(known) { &EMBEDDED } else { &WITH_SYSTEM })
}

/// The width of `text` at `size` pixels an em. Characters that our fonts lack count a full em, or half of one where
/// they take one column of a terminal.
pub(crate) fn width(text: &str, size: f64, weight: FontWeight) -> f64 {
    text.chars().map(|c| advance(c, weight)).sum::<f64>() * size
}

/// A character's advance in ems.
fn advance(c: char, weight: FontWeight) -> f64 {
    glyph(c, weight).unwrap_or_else(|| 0.5 * c.width().unwrap_or(0) as f64)
}

/// A character's advance in ems, if our font has it.
fn glyph(c: char, weight: FontWeight) -> Option<f64> {
    let face = FACES[weight as usize].as_ref()?;
    face.advances.advance_width(face.characters.map(c)?).map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_are_inside_the_program() {
        assert!(FACES.iter().all(Option::is_some));
        assert_eq!(EMBEDDED.len(), 2);
    }

    #[test]
    fn widths_are_the_fonts() {
        // DejaVu Sans: "0" advances 1303 of 2048 units, "i" 569; bold "0" 1425.
        assert!((width("0", 2048.0, FontWeight::Regular) - 1303.0).abs() < 0.5);
        assert!((width("i0", 2048.0, FontWeight::Regular) - 1872.0).abs() < 0.5);
        assert!((width("0", 2048.0, FontWeight::Bold) - 1425.0).abs() < 0.5);
        assert_eq!(width("良い", 10.0, FontWeight::Regular), 20.0);
    }

    #[test]
    fn the_machines_fonts_are_asked_only_when_ours_lack_something() {
        assert!(Arc::ptr_eq(&database("très négatif, отрицательный ≥ 3 …\n"), &EMBEDDED));
        assert!(Arc::ptr_eq(&database("良い"), &WITH_SYSTEM));
    }
}

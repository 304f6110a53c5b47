//! The colors. In the page, style rules find the first four by value and change them for dark screens.

use plotters::style::RGBColor;

pub(crate) const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// Ticks, units and other small print.
pub(crate) const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6E);
pub(crate) const GRID: RGBColor = RGBColor(0xDF, 0xE3, 0xE8);
/// Behind everything.
pub(crate) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

/// Lines of curves, readable on white and on near-black alike.
pub(crate) const SERIES: [RGBColor; 6] = [
    RGBColor(0x2F, 0x7F, 0xE6),
    RGBColor(0xE0, 0x70, 0x10),
    RGBColor(0x1F, 0x9D, 0x57),
    RGBColor(0xA8, 0x55, 0xE0),
    RGBColor(0xD6, 0x3F, 0x6C),
    RGBColor(0x0F, 0x9A, 0xA8),
];

/// The best of all, wherever there is one.
pub(crate) const BEST: RGBColor = SERIES[1];

/// The scale of shares, from none to all. It passes quickly through the shades on which neither black nor white is easy
/// to read.
const SCALE: [RGBColor; 5] = [
    RGBColor(0xF3, 0xF7, 0xFC),
    RGBColor(0xC9, 0xDF, 0xF3),
    RGBColor(0x8D, 0xBB, 0xE2),
    RGBColor(0x24, 0x63, 0xA6),
    RGBColor(0x0A, 0x3A, 0x75),
];

/// The scale of values, from the worst to the best. Unlike [`SCALE`], all of it shows as a thin line, on white and on
/// near-black alike; it grows lighter too, for those who see few hues.
const VALUES: [RGBColor; 5] = [
    RGBColor(0x5B, 0x6B, 0xD8),
    RGBColor(0xA8, 0x55, 0xE0),
    RGBColor(0xC8, 0x50, 0xA8),
    RGBColor(0xDD, 0x50, 0x68),
    BEST,
];

/// The color of a share from 0 to 1.
pub(crate) fn scale(share: f64) -> RGBColor {
    mixed(&SCALE, share)
}

/// The color of a value, from 0, the worst, to 1, the best.
pub(crate) fn value(share: f64) -> RGBColor {
    mixed(&VALUES, share)
}

/// The color at a share of the way along `stops`.
fn mixed(stops: &[RGBColor; 5], share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let stop = (place as usize).min(stops.len() - 2);
    let (from, to, part) = (stops[stop], stops[stop + 1], place - stop as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Black or white, whichever is easier to read on `background`.
pub(crate) fn text_on(background: RGBColor) -> RGBColor {
    let (black, white) = (RGBColor(0, 0, 0), RGBColor(0xFF, 0xFF, 0xFF));
    if contrast(white, background) > contrast(black, background) { white } else { black }
}

/// WCAG 2's contrast ratio, 1 to 21.
fn contrast(a: RGBColor, b: RGBColor) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// WCAG 2's relative luminance, 0 to 1.
fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_legible_on_every_shade() {
        for percent in 0..=100 {
            let shade = scale(f64::from(percent) / 100.0);
            let ratio = contrast(text_on(shade), shade);
            assert!(ratio >= 4.5, "{percent} %: contrast {ratio:.2}");
        }
        assert_eq!(text_on(scale(0.0)), RGBColor(0, 0, 0));
        assert_eq!(text_on(scale(1.0)), RGBColor(255, 255, 255));
    }

    #[test]
    fn the_scale_darkens_all_the_way() {
        let luminances: Vec<f64> = (0..=100).map(|percent| luminance(scale(f64::from(percent) / 100.0))).collect();
        assert!(luminances.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn curves_show_on_light_and_dark_paper() {
        let values = (0..=100).map(|percent| value(f64::from(percent) / 100.0));
        for color in SERIES.into_iter().chain(values) {
            assert!(contrast(color, PAPER) >= 3.0, "{color:?} on white");
            assert!(contrast(color, RGBColor(0x16, 0x1B, 0x22)) >= 3.0, "{color:?} on near-black");
        }
    }
}

//! One option at a time: values against each parameter, a small picture for each.

use plotters::style::text_anchor::HPos;

use super::StudyOutcome::{Complete, Failed};
use super::StudyParameter;
use super::scale::{self, Scale};
use super::values::ValueAxis;
use super::view::{PageView, dot_size};
use crate::canvas::{self, Area, Type};
use crate::error::Result;
use crate::frame::{Frame, TICK, pixel};
use crate::heading::MARGIN;
use crate::html::{self, Html};
use crate::marks::Marks;
use crate::page::Section;
use crate::picture::Picture;
use crate::theme::INK;
use crate::ticks::{self, Tick};

const NAME: Type = Type::bold(13.0, INK);
const WIDTH: u32 = 284;
/// The height of the data and the heading.
const HEIGHT: u32 = 220;
/// The height below the data, for horizontal and for vertical ticks.
const HORIZONTAL_TICKS: f64 = 30.0;
const VERTICAL_TICKS: f64 = 88.0;
/// The least width of a vertical word, in pixels.
const MIN_WORD_WIDTH: f64 = 13.0;
/// Dots keep this share of the width away from the edges.
const INSET: f64 = 0.04;
/// Dots of one word spread over this share of its part.
const SPREAD: f64 = 0.5;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("One option at a time", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let Some(values) = &view.values else { return Ok(Html::default()) };
    let pictures: Vec<Picture> =
        view.page.parameters.iter().map(|parameter| picture(view, values, parameter)).collect::<Result<_>>()?;
    if pictures.is_empty() {
        return Ok(Html::default());
    }
    let mut reading =
        format!("{} against each parameter. Filled dots are complete trials, hollow ones pruned", view.metric_first());
    if view.winner().is_some() {
        reading += "; the winner is orange";
    }
    Ok(html::multiples(&pictures) + html::caption(&(reading + ".")))
}

fn picture(view: &PageView, values: &ValueAxis, parameter: &StudyParameter) -> Result<Picture> {
    let scale = Scale::new(parameter, &view.trials);
    let (up, across) = (values.ticks(5), Across::new(&scale, values));
    let size = (WIDTH, HEIGHT + across.below.ceil() as u32);
    let frame = Frame::new(size, &up, across.below);

    let mut marks = Marks::default();
    let mut dots = 0;
    for (trial, value) in view.by_merit().into_iter().filter(|(trial, _)| trial.outcome != Failed) {
        let setting = scale::setting(trial, &parameter.name);
        let Some((setting, place)) = setting.and_then(|setting| Some((setting, scale.place(setting)?))) else {
            continue;
        };
        let place = place + jitter(trial.number) * spread(&scale);
        let at = (frame.x(inset(place, &scale)), frame.y(values.place(value)));
        let title = format!("{}, {} {}", view.words(trial), parameter.name, scale::text(setting));
        let (radius, opacity) = dot_size(view.trials.len());
        let (radius, mark) = (0.85 * radius, view.mark(trial, 0.8 * opacity, &title));
        match trial.outcome {
            _ if view.is_winner(trial) => marks.dot(&mark, at, radius + 1.5),
            Complete => marks.dot(&mark, at, radius),
            _ => marks.ring(&mark, at, radius - 0.5, 1.2),
        }
        dots += 1;
    }
    let description = format!("{} of {dots} trials against {}", view.metric_first(), parameter.name);
    canvas::layered(
        size,
        (&parameter.name, &description),
        |area| {
            let room = f64::from(WIDTH) - 2.0 * f64::from(MARGIN);
            NAME.write(area, &NAME.wrap(&parameter.name, room, 1).concat(), HPos::Left, (MARGIN, 17))?;
            let horizontal = if across.vertical { Vec::new() } else { across.inset(&scale, &frame) };
            frame.draw(area, &horizontal, &up)?;
            if across.vertical { draw_vertical(area, &frame, &across.ticks) } else { Ok(()) }
        },
        marks.svg(),
        |_| Ok(()),
    )
}

struct Across {
    ticks: Vec<Tick>,
    /// Whether they are words too long to stand side by side.
    vertical: bool,
    below: f64,
}

impl Across {
    fn new(scale: &Scale, values: &ValueAxis) -> Self {
        let width = Frame::new((WIDTH, HEIGHT), &values.ticks(5), HORIZONTAL_TICKS).width();
        let Scale::Words(words) = scale else {
            return Self { ticks: scale.ticks(4), vertical: false, below: HORIZONTAL_TICKS };
        };
        let part = width / words.len().max(1) as f64;
        let vertical = !words.iter().all(|word| TICK.width(word) <= part - 6.0);
        let most = if vertical { (width / MIN_WORD_WIDTH) as usize } else { words.len() };
        let longest = words.iter().map(|word| TICK.width(word)).fold(0.0, f64::max);
        let below = if vertical { (longest + 16.0).clamp(HORIZONTAL_TICKS, VERTICAL_TICKS) } else { HORIZONTAL_TICKS };
        Self { ticks: scale.ticks(most), vertical, below }
    }

    fn inset(&self, scale: &Scale, frame: &Frame) -> Vec<Tick> {
        let moved = self.ticks.iter().map(|tick| Tick { place: inset(tick.place, scale), text: tick.text.clone() });
        ticks::spaced(moved.collect(), frame.width(), &TICK)
    }
}

/// Draws words below their parts, upwards.
fn draw_vertical(area: &Area, frame: &Frame, words: &[Tick]) -> Result<()> {
    for word in words {
        let text = TICK.shorten(&word.text, VERTICAL_TICKS - 16.0);
        TICK.write_up(area, &text, HPos::Right, pixel((frame.x(word.place), frame.bottom + 8.0)))?;
    }
    Ok(())
}

/// Keeps numbers away from the edges; words are away from them already.
fn inset(place: f64, scale: &Scale) -> f64 {
    if matches!(scale, Scale::Words(_)) { place } else { INSET + (1.0 - 2.0 * INSET) * place }
}

/// How far the dots of one place may lie from it.
fn spread(scale: &Scale) -> f64 {
    match scale {
        Scale::Words(words) => 0.5 * SPREAD / words.len().max(1) as f64,
        Scale::Linear { .. } | Scale::Log { .. } => 0.0,
    }
}

/// A number from -1 to 1 that looks random and is the same for the same trial, whatever the others are.
fn jitter(number: u64) -> f64 {
    // SplitMix64's output function (Steele, Lea and Flood 2014).
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_fills_its_range_and_stays_the_same() {
        let jitters: Vec<f64> = (0..1000).map(jitter).collect();
        assert!(jitters.iter().all(|j| (-1.0..=1.0).contains(j)));
        for edge in [-0.95, -0.5, 0.0, 0.5, 0.9] {
            assert!(jitters.iter().any(|j| (edge..edge + 0.05).contains(j)), "none from {edge}");
        }
        assert_eq!(jitter(17), jitter(17));
    }
}

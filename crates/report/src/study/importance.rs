//! How much each parameter matters: a bar for each.

use plotters::style::text_anchor::HPos;

use super::StudyOutcome;
use super::view::PageView;
use crate::canvas::{self, Type};
use crate::error::Result;
use crate::frame::{WIDTH, pixel};
use crate::heading::MARGIN;
use crate::html::{self, Html};
use crate::marks::{Mark, Marks};
use crate::page::Section;
use crate::theme::{INK, SERIES};

const NAME: Type = Type::new(13.0, INK);
const PERCENT: Type = Type::bold(12.0, INK);
const ROW: f64 = 30.0;
/// A name is cut where it's wider than this.
const NAME_WIDTH: f64 = 260.0;
/// The width of the percentages to the right of the bars.
const PERCENT_WIDTH: f64 = 64.0;

/// With fewer complete trials than this the shares are rough.
const MIN_RELIABLE_TRIALS: usize = 30;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("What mattered", content(view)?))
}

fn content(view: &PageView) -> Result<Html> {
    let finite = view.page.importance.iter().filter(|(_, share)| share.is_finite());
    let shares: Vec<(&str, f64)> = finite.map(|(name, share)| (name.as_str(), share.clamp(0.0, 1.0))).collect();
    let Some(largest) = shares.iter().map(|(_, share)| *share).reduce(f64::max) else {
        return Ok(Html::default());
    };
    let names: Vec<String> = shares.iter().map(|(name, _)| NAME.wrap(name, NAME_WIDTH, 1).concat()).collect();
    let left = f64::from(MARGIN) + names.iter().map(|name| NAME.width(name)).fold(0.0, f64::max).ceil() + 12.0;
    let longest = f64::from(WIDTH) - left - PERCENT_WIDTH - f64::from(MARGIN);
    let length = |share: f64| if largest > 0.0 { (share / largest * longest).max(1.0) } else { 1.0 };
    let middle = |row: usize| 10.0 + ROW * (row as f64 + 0.5);

    let mut marks = Marks::default();
    for (row, (name, share)) in shares.iter().enumerate() {
        let title = format!("{name}: {}", percent(*share));
        let mark = Mark { class: "share", color: SERIES[0], opacity: 1.0, title: &title };
        marks.bar(&mark, (left, middle(row) - 9.0), (length(*share), 18.0));
    }
    let words: Vec<String> = shares.iter().map(|(name, share)| format!("{name} {}", percent(*share))).collect();
    let picture = canvas::layered(
        (WIDTH, (20.0 + ROW * shares.len() as f64) as u32),
        ("Importance of the parameters", &words.join("; ")),
        |area| {
            for (row, (name, (_, share))) in names.iter().zip(&shares).enumerate() {
                NAME.write(area, name, HPos::Right, pixel((left - 12.0, middle(row))))?;
                PERCENT.write(area, &percent(*share), HPos::Left, pixel((left + length(*share) + 8.0, middle(row))))?;
            }
            Ok(())
        },
        marks.svg(),
        |_| Ok(()),
    )?;
    let mut reading = format!(
        "A parameter's share is the part of the variance in {} among complete trials that it explains, averaged over \
         the others. If it is large, the choice matters; the sections below show which choice is good.",
        view.metric()
    );
    let complete = view.count(StudyOutcome::Complete);
    if complete < MIN_RELIABLE_TRIALS {
        reading += &format!(" There are only {complete} complete trials, so the shares are rough.");
    }
    Ok(html::figure(&picture) + html::caption(&reading))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

//! The accuracy of parts of the rows, the weakest named, also written as `slices-SPLIT.svg` and `.png`.

use anyhow::Result;
use judge::Slice;
use report::{IntervalPlot, IntervalRow, Section, html};

use super::ReportInput;
use super::wording::{count, p_value, percent_with_range, plotted, rows};

/// More slices are left to the JSON: the first are drawn, and more are listed.
const DRAWN: usize = 40;
const LISTED: usize = 200;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(judgement) = input.judgement().filter(|judgement| !judgement.slices.slices.is_empty()) else {
        return Ok(Section::default());
    };
    let found = &judgement.slices;
    let weakest = found.weakest.and_then(|weakest| found.slices.get(weakest));
    // The weakest is drawn also where it comes late.
    let late = weakest.filter(|_| found.weakest.is_some_and(|weakest| weakest >= DRAWN));
    let drawn: Vec<&Slice> = found.slices.iter().take(DRAWN).chain(late).collect();
    let notes: Vec<String> = drawn.iter().map(|slice| format!("of {}", count(slice.rows))).collect();
    let is_weakest = |slice: &Slice| weakest.is_some_and(|weakest| std::ptr::eq(weakest, slice));
    let plotted_rows: Vec<IntervalRow> = drawn
        .iter()
        .zip(&notes)
        .map(|(slice, note)| IntervalRow {
            group: &slice.group,
            name: &slice.name,
            share: plotted(&slice.accuracy),
            note,
            marked: is_weakest(slice),
        })
        .collect();
    let title = format!("{} on {}: slices", input.about.dataset, input.result.split);
    let reference = judgement.scores.get("accuracy").map(|accuracy| ("all rows", plotted(accuracy)));
    let picture =
        IntervalPlot { title: &title, axis: "accuracy with its 95 % interval", reference, rows: &plotted_rows }
            .draw()?;

    let listed = |slice: &Slice| {
        let p = slice.p_value.map_or_else(|| "not tested".to_owned(), p_value);
        (format!("{}: {}", slice.group, slice.name), vec![count(slice.rows), percent_with_range(&slice.accuracy), p])
    };
    let table: Vec<_> = found.slices.iter().take(LISTED).map(listed).collect();
    let mut caption = match weakest {
        Some(slice) => format!("Weakest: {}: {}, {}. ", slice.group, slice.name, rows(slice.rows)),
        None => "No slice is worse than the other rows beyond chance. ".to_owned(),
    };
    caption += &format!(
        "The dashed line is the accuracy on all rows, and the band its interval. p is the chance of such a difference to the \
         other rows if there is none, corrected for the {} slices that were tested (Holm). Slices overlap.",
        found.tested
    );
    if found.slices.len() > DRAWN {
        caption +=
            &format!(" {} of {} slices are drawn; the JSON has all.", drawn.len(), count(found.slices.len() as u64));
    }
    let content = html::figure(&picture)
        + html::table(&["Slice", "Rows", "Accuracy", "Against the others"], &table)
        + html::caption(&caption);
    Ok(Section::new("Slices", content).with_picture(format!("slices-{}", input.result.split), picture))
}

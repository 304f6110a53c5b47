//! The model against another run on the same rows: differences, whether they could be chance, and each changed prediction.

use anyhow::Result;
use judge::{ChangedPrediction, ScoreDifference};
use report::{Html, Section, html};

use super::ReportInput;
use super::remarks::sentence;
use super::wording::{count, p_value, range, score_name, shortened};

/// More changed predictions are left to the JSON.
const MOST_CHANGED: usize = 20;
/// Characters of a text in the table.
const TEXT: usize = 300;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(comparison) = input.judgement().and_then(|judgement| judgement.comparison.as_ref()) else {
        return Ok(Section::default());
    };
    let sentence = sentence(&comparison.to_string());
    let rows: Vec<_> = comparison.differences.iter().map(difference).collect();
    let (ours, theirs) = comparison.discordant;
    let caption = format!(
        "Differences are this model's scores less those of {}, on the same rows: for accuracy with Tango's interval, else by a paired bootstrap. Only this model has {} \
         rows right and only the other one {}; McNemar's exact test (mid-p) of these: {}.",
        comparison.against,
        count(ours),
        count(theirs),
        p_value(comparison.mcnemar_p)
    );
    let content = html::caption(&sentence)
        + html::table(&["Score", "Difference", "95 % interval"], &rows)
        + html::caption(&caption);
    Ok(Section::new("Against another run", content + changed(&comparison.changed)))
}

fn difference(difference: &ScoreDifference) -> (String, Vec<String>) {
    let cells = if difference.score == "matthews" {
        vec![format!("{:+.3}", difference.value), range(difference.low, difference.high, 3)]
    } else {
        let points = |share: f64| 100.0 * share;
        vec![
            format!("{:+.1} points", points(difference.value)),
            range(points(difference.low), points(difference.high), 1),
        ]
    };
    (score_name(&difference.score).to_owned(), cells)
}

fn changed(changed: &[ChangedPrediction]) -> Html {
    let row = |one: &ChangedPrediction| {
        let which = match (one.predicted == one.label, one.other == one.label) {
            (true, false) => "better",
            (false, true) => "worse",
            _ => "both wrong",
        };
        let cells =
            [shortened(&one.text, TEXT), one.label.clone(), one.predicted.clone(), one.other.clone(), which.to_owned()];
        // Counted from 1, as the audit counts.
        ((one.row + 1).to_string(), cells.to_vec())
    };
    let rows: Vec<_> = changed.iter().take(MOST_CHANGED).map(row).collect();
    let caption = match changed.len() {
        0 => "Both models label every row alike.".to_owned(),
        all if all > MOST_CHANGED => {
            format!(
                "The first {MOST_CHANGED} of {} rows that the two label differently; the JSON has all.",
                count(all as u64)
            )
        }
        _ => String::new(),
    };
    html::subheading("Changed predictions")
        + html::records(&["Row", "Text", "Label", "This model", "The other", "Change"], &rows)
        + html::caption(&caption)
}

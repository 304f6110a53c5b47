//! Mistakes that are worth a look: the most confident ones, and labels that are likely wrong.

use anyhow::Result;
use judge::{Mistake, WordAttribution};
use report::{AttributedWord, Html, Misread, Section, attributed_text, attribution_legend, html};

use super::ReportInput;
use super::wording::{count, shortened};

/// Of each kind; the JSON has more.
const SHOWN: usize = 20;
/// Characters of a text.
const TEXT: usize = 1_000;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(mistakes) = input.judgement().map(|judgement| &judgement.mistakes) else { return Ok(Section::default()) };
    let confident = shown(input, &mistakes.confident);
    let issues = shown(input, &mistakes.label_issues);
    let mut content = Html::default();
    if !confident.is_empty() {
        let caption = format!(
            "The wrong predictions that the model is surest of{}. The percentages are its probabilities.",
            cut(mistakes.confident.len() as u64)
        );
        content = content + html::subheading("Most confident mistakes") + html::caption(&caption) + confident;
    }
    if !issues.is_empty() {
        let caption = format!(
            "Rows whose label is likely wrong, or whose text has several readings, by confident learning; the likeliest \
             first{}. Correct those that are wrong in your data, and train again.",
            cut(mistakes.label_issues_found)
        );
        content = content + html::subheading("Likely label errors") + html::caption(&caption) + issues;
    }
    Ok(Section::new("Mistakes worth a look", content))
}

fn shown(input: &ReportInput, mistakes: &[Mistake]) -> Html {
    let misread = |mistake: &Mistake| Misread {
        // Counted from 1, as the audit counts.
        place: format!("{} row {}", input.result.split, mistake.row + 1),
        text: shortened(&mistake.text, TEXT),
        label: mistake.label.clone(),
        predicted: mistake.predicted.clone(),
        probability: mistake.probability,
        label_probability: mistake.label_probability,
        words: (!mistake.words.is_empty()).then(|| colored(mistake)),
    };
    let legend =
        if mistakes.iter().any(|mistake| !mistake.words.is_empty()) { attribution_legend() } else { Html::default() };
    legend + html::misread(&mistakes.iter().take(SHOWN).map(misread).collect::<Vec<_>>())
}

/// The text with each word in the color of what it adds to the predicted label.
fn colored(mistake: &Mistake) -> Html {
    let shown = mistake.words.iter().filter(|word| word.end < TEXT);
    let word =
        |word: &WordAttribution| AttributedWord { characters: word.start..word.end, attribution: word.attribution };
    attributed_text(&shortened(&mistake.text, TEXT), &shown.map(word).collect::<Vec<_>>())
}

/// `: 20 of 61`, where not all are shown.
fn cut(found: u64) -> String {
    if found > SHOWN as u64 { format!(": {SHOWN} of {}", count(found)) } else { String::new() }
}

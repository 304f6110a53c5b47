//! Explanations as a page of their own.

use std::path::Path;

use judge::{Explanation, METHOD};
use report::{AttributedText, AttributedWord, Page, Section, attributed_texts, attribution_legend, html};

use super::terminal::checked;

/// The page of some explanations of a run.
pub(super) fn html(run: &Path, explanations: &[Explanation]) -> String {
    let texts: Vec<AttributedText> = explanations.iter().map(attributed).collect();
    let content = attribution_legend() + attributed_texts(&texts) + html::caption(&format!("Method: {METHOD}."));
    Page {
        title: "Why these labels",
        subtitle: &run.display().to_string(),
        sections: vec![Section::new("Words", content)],
        ..Page::default()
    }
    .html()
}

/// An explanation in the form in which pages show it.
fn attributed(explanation: &Explanation) -> AttributedText {
    let Explanation { text, label, predicted, probability, words, truncated, unknown_words, .. } = explanation;
    let mut detail = format!("{:.1} %", 100.0 * probability);
    if predicted != label {
        detail += &format!(" (the model says {predicted})");
    }
    if *truncated {
        detail += ", cut off: the model has not read the end";
    }
    match unknown_words {
        0 => {}
        1 => detail += ", 1 unknown word",
        words => detail += &format!(", {words} unknown words"),
    }
    let words = words
        .iter()
        .map(|word| AttributedWord { characters: word.start..word.end, attribution: word.attribution })
        .collect();
    AttributedText { text: text.clone(), label: label.clone(), detail, words, caption: checked(explanation) }
}

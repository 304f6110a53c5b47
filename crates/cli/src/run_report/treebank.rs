//! Phrases of the treebank: how the model labels each of them, and what a negation does to it.

use anyhow::Result;
use judge::{Estimate, NegatedPhrases, TreebankScores};
use report::{Section, html};

use super::ReportInput;
use super::wording::{count, percent_with_range};

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(treebank) = input.judgement().and_then(|judgement| judgement.treebank.as_ref()) else {
        return Ok(Section::default());
    };
    let TreebankScores { sentences, nodes, accuracy, by_length, agreement, negated_positive, negated_negative } =
        treebank;
    let row = |name: &str, rows: u64, share: &Estimate| (name.to_owned(), vec![count(rows), percent_with_range(share)]);
    let mut rows = vec![row("all labeled phrases", *nodes, accuracy)];
    rows.extend(by_length.iter().map(|group| row(&group.name, group.nodes, &group.accuracy)));
    let mut content = html::table(&["Phrases", "How many", "Labeled right"], &rows);
    if let Some(agreement) = agreement {
        let same = [
            row("same label as the sentence, by people", agreement.phrases, &agreement.by_labels),
            row("same label as the sentence, by the model", agreement.phrases, &agreement.by_model),
            row("alike in both", agreement.phrases, &agreement.alike),
        ];
        content = content + html::table(&["Phrases and their sentence", "How many", "Share"], &same);
    }
    let negated = [
        ("positive, negative once negated: the model turns", negated_positive),
        ("negative, less so once negated: the model too", negated_negative),
    ];
    let negated = negated
        .iter()
        .filter_map(|(name, NegatedPhrases { pairs, share, .. })| Some(row(name, *pairs, share.as_ref()?)));
    content = content + html::table(&["Negated phrases", "Pairs", "Right"], &negated.collect::<Vec<_>>());
    let caption = format!(
        "Every labeled phrase of {} sentences as a text of its own. Intervals are of sentences drawn with all their phrases.",
        count(*sentences)
    );
    Ok(Section::new("Phrases of the treebank", content + html::caption(&caption)))
}

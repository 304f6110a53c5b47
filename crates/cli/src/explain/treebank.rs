//! How the attributions of the treebank's test sentences agree with what people say of their words and phrases.

use ::explain::{ExplainError, Explainer, PathSteps};
use anyhow::{Context, Result};
use data::Split;
use data::source::{SourceChoice, TreebankNode, TreebankSplit, treebank_polarity};
use indicatif::{ProgressBar, ProgressStyle};
use judge::{AgreementSum, HumanAgreement, JudgedPart, PartAgreement};
use serde::Serialize;

/// The result in JSON.
#[derive(Serialize)]
struct ExplainedTreebank {
    #[serde(flatten)]
    agreement: HumanAgreement,
    /// Sentences that were explained.
    sentences: usize,
    /// Those of them whose attributions don't add up within 1 %.
    incomplete: usize,
}

/// Explains sentences of the test split and prints the agreement.
pub(super) fn run(explainer: &Explainer, source: &SourceChoice, most: Option<u32>, json: bool) -> Result<()> {
    let weights = treebank_polarity(explainer.label_names()).with_context(|| {
        format!(
            "--treebank needs a model with the labels of sst2, sst3 or sst5, found {} (hint: train on one of these, or leave \
             --treebank out)",
            explainer.label_names().join(", ")
        )
    })?;
    let TreebankSplit { trees, .. } = TreebankSplit::load(source, Split::Test).context("--treebank")?;
    let count = most.map_or(trees.len(), |most| trees.len().min(most as usize));
    let bar = ProgressBar::new(count as u64);
    bar.set_style(ProgressStyle::with_template("{pos}/{len} sentences, {eta} left")?);
    let (mut sum, mut incomplete) = (AgreementSum::default(), 0);
    for index in 0..count {
        let nodes = &trees[index * trees.len() / count];
        let Some(TreebankNode { text, .. }) = nodes.last() else { continue };
        match explainer.attribute(text, &weights, PathSteps::default()) {
            Ok((words, completeness)) => {
                incomplete += usize::from(!completeness.is_complete());
                sum.add(&words, &nodes.iter().map(judged).collect::<Vec<_>>());
            }
            // A sentence of which the tokenizer leaves nothing has no words to compare.
            Err(ExplainError::Empty) => {}
            Err(error) => return Err(error).with_context(|| format!("sentence {text:?}")),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let result = ExplainedTreebank { agreement: sum.agreement(), sentences: count, incomplete };
    let shown = if json { serde_json::to_string(&result)? + "\n" } else { lines(&result) };
    Ok(disk::print(shown)?)
}

fn judged(node: &TreebankNode) -> JudgedPart {
    JudgedPart {
        characters: node.characters.clone(),
        judgement: f64::from(node.label),
        is_word: !node.text.contains(' '),
    }
}

fn lines(result: &ExplainedTreebank) -> String {
    let ExplainedTreebank { agreement: HumanAgreement { words, phrases }, sentences, incomplete } = result;
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let line = |name: &str, part: &PartAgreement| {
        let interval = match (part.low, part.high) {
            (Some(low), Some(high)) => format!(" ({low:.3} to {high:.3})"),
            _ => String::new(),
        };
        format!(
            "{name:<8} {}{interval} within a sentence, mean of {}; {} over all {}\n",
            number(part.within_sentences),
            part.sentences,
            number(part.over_all),
            part.parts
        )
    };
    format!(
        "Spearman's rank correlation of attributions and labels by people, {sentences} sentences\n{}{}attributions that don't \
         add up within 1 %: {incomplete} of {sentences}\n",
        line("words", words),
        line("phrases", phrases)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_not_there_is_a_dash() {
        let words = PartAgreement {
            within_sentences: Some(0.5),
            low: Some(0.4),
            high: Some(0.6),
            sentences: 7,
            over_all: Some(0.25),
            parts: 90,
        };
        let nothing =
            PartAgreement { within_sentences: None, low: None, high: None, sentences: 0, over_all: None, parts: 1 };
        let agreement = HumanAgreement { words, phrases: nothing };
        let shown = lines(&ExplainedTreebank { agreement, sentences: 8, incomplete: 1 });
        assert!(
            shown.contains("words    0.500 (0.400 to 0.600) within a sentence, mean of 7; 0.250 over all 90\n"),
            "{shown}"
        );
        assert!(shown.contains("phrases  - within a sentence, mean of 0; - over all 1\n"), "{shown}");
        assert!(shown.ends_with("add up within 1 %: 1 of 8\n"), "{shown}");
    }
}

//! `evaluate --treebank`: a model on every labeled phrase of the Stanford Sentiment Treebank, not only on its sentences.

use std::collections::{HashMap, HashSet};

use ::predict::Predictor;
use anyhow::{Context, Result, bail};
use data::Split;
use data::source::{SourceChoice, TreebankNode, TreebankSplit, treebank_classes, treebank_label_names};
use data::store::Examples;
use judge::{ScoredNode, TreebankScores};
use metrics::Bootstrap;

use super::scored_data::ScoredData;

/// Labels the phrases of the trees of the split that is scored, and scores them; also returns notes for the user.
///
/// # Errors
/// A split or labels that are not the treebank's; trees that can't be read.
pub(super) fn treebank_scores(
    source: &SourceChoice,
    scored: &ScoredData,
    predictor: &Predictor,
    bootstrap: &Bootstrap,
) -> Result<(TreebankScores, Vec<String>)> {
    let name = &scored.split;
    let split = Split::ALL.into_iter().find(|split| split.name() == *name);
    let split = split.with_context(|| {
        format!("--treebank scores the phrases of a split, and {name} is none (hint: --split test in place of --file)")
    })?;
    let names = predictor.label_names();
    let Some(classes) = treebank_classes(names) else {
        let known: Vec<String> = treebank_label_names().map(|names| names.join(", ")).collect();
        bail!(
            "--treebank: expected a model with the labels {}, found {} (hint: leave --treebank out)",
            known.join("; or "),
            names.join(", ")
        );
    };
    let TreebankSplit { trees, source } = TreebankSplit::load(source, split)?;
    let (places, texts) = different_texts(&trees);
    let (count, sentences) = (texts.len(), trees.len());
    disk::print_message(format!("labeling the {count} different phrases of {sentences} trees of {name} ({source})"));
    let predicted = predictor.predict(&texts)?;
    let probabilities: Vec<Vec<f32>> =
        predicted.into_iter().map(|text| text.probabilities.into_iter().map(|(_, p)| p).collect()).collect();
    let mut scored_trees = Vec::with_capacity(trees.len());
    for tree in &trees {
        let mut nodes = Vec::with_capacity(tree.len());
        for TreebankNode { text, label, children, .. } in tree {
            nodes.push(ScoredNode {
                text,
                label: *label,
                class: classes[usize::from(*label)],
                probabilities: &probabilities[places[text.as_str()]],
                children,
            });
        }
        scored_trees.push(nodes);
    }
    let scores = TreebankScores::of(&scored_trees, bootstrap);
    if scores.nodes == 0 {
        bail!("--treebank: no phrase of {source} has one of the labels {}", names.join(", "));
    }
    let mut notes = vec![format!("the trees of {name} are those of {source}")];
    notes.extend(note_on_other_sentences(&scored.examples, &trees, name)?);
    Ok((scores, notes))
}

/// Each text once, and where it is.
fn different_texts(trees: &[Vec<TreebankNode>]) -> (HashMap<&str, usize>, Vec<&str>) {
    let (mut places, mut texts) = (HashMap::new(), Vec::new());
    for node in trees.iter().flatten() {
        places.entry(node.text.as_str()).or_insert_with(|| {
            texts.push(node.text.as_str());
            texts.len() - 1
        });
    }
    (places, texts)
}

/// What to know where the split was not made of these trees.
fn note_on_other_sentences(examples: &Examples, trees: &[Vec<TreebankNode>], split: &str) -> Result<Option<String>> {
    let sentences: HashSet<&str> = trees.iter().filter_map(|tree| Some(tree.last()?.text.as_str())).collect();
    let mut elsewhere = 0;
    for row in 0..examples.len() {
        elsewhere += usize::from(!sentences.contains(examples.text(row)?));
    }
    let all = examples.len();
    Ok((elsewhere > 0).then(|| format!("{elsewhere} of the {all} rows of {split} are no sentences of these trees")))
}

#[cfg(test)]
mod tests {
    use data::store::Writer;

    use super::*;

    #[test]
    fn a_phrase_is_labeled_once_however_often_it_occurs_and_other_sentences_are_said() {
        let node = |text: &str| TreebankNode {
            text: text.to_owned(),
            characters: 0..text.len(),
            label: 2,
            children: Vec::new(),
        };
        let trees = [vec![node("good"), node("film"), node("good film")], vec![node("film")]];
        let (places, texts) = different_texts(&trees);
        assert_eq!(texts, ["good", "film", "good film"]);
        assert_eq!((places["film"], places["good film"]), (1, 2));
        let folder = tempfile::tempdir().unwrap();
        let rows = |name: &str, texts: &[&str]| {
            let path = folder.path().join(name);
            let mut writer = Writer::create(&path).unwrap();
            texts.iter().for_each(|text| writer.push(text, Some(0), &[1]).unwrap());
            writer.finish().unwrap();
            note_on_other_sentences(&Examples::open(&path).unwrap(), &trees, "test").unwrap()
        };
        assert_eq!(rows("same", &["film", "good film"]), None);
        let note = rows("other", &["film", "good"]).unwrap();
        assert_eq!(note, "1 of the 2 rows of test are no sentences of these trees");
    }
}

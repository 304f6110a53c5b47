//! How a model judges the phrases of the Stanford Sentiment Treebank, whose trees label every phrase of a sentence.

use std::fmt;

use metrics::Bootstrap;
use serde::{Deserialize, Serialize};

use crate::cue_words::is_negation;
use crate::estimate::Estimate;

/// The label of the treebank that says neither; those below it are negative, those above it positive.
const NEUTRAL: u8 = 2;
/// The most words of each group by length; the last group has no end.
const LENGTH_ENDS: [usize; 4] = [1, 3, 7, 15];

/// A labeled phrase of a tree, with the model's answer to it as a text of its own.
#[derive(Debug, Clone)]
pub struct ScoredNode<'a> {
    /// The phrase, its words parted by spaces.
    pub text: &'a str,
    /// The treebank's label: 0 (very negative) to 4 (very positive).
    pub label: u8,
    /// The class that the label is in the model's data; `None` where it is left out, as neutral phrases in two classes.
    pub class: Option<u32>,
    /// The probability that the model gives to each class, from negative to positive.
    pub probabilities: &'a [f32],
    /// The phrases that it consists of, by their places in the tree, in the order of the words; none of a single word.
    pub children: &'a [usize],
}

/// What a model makes of the trees of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreebankScores {
    /// How many sentences the trees are of.
    pub sentences: u64,
    /// How many labeled nodes have one of the model's classes: words, phrases and whole sentences, each time that they occur.
    pub nodes: u64,
    /// The share of them that the model labels as the treebank does. The interval is of sentences drawn with all their nodes,
    /// because the nodes of a sentence are alike.
    pub accuracy: Estimate,
    /// The same for nodes of a length in words: `1 word`, `2 to 3 words` and so on. Lengths without nodes are left out.
    pub by_length: Vec<NodeGroup>,
    /// Whether the model's phrases agree with their sentence as the treebank's do; `None` without phrases.
    pub agreement: Option<PhraseAgreement>,
    /// What a negation does to phrases that the treebank calls positive, and negative once they are negated: right is where
    /// the model's label turns from positive to negative as well.
    pub negated_positive: NegatedPhrases,
    /// What a negation does to phrases that the treebank calls negative, and less negative once they are negated: right is
    /// where the model gives less probability to negative classes.
    pub negated_negative: NegatedPhrases,
}

/// Nodes of some lengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// `2 to 3 words`.
    pub name: String,
    /// How many nodes.
    pub nodes: u64,
    /// The share of them that is right.
    pub accuracy: Estimate,
}

/// Phrases of two or more words, without the whole sentence, against their sentence; of those where both have a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhraseAgreement {
    /// How many phrases.
    pub phrases: u64,
    /// The share of them that has the class of its sentence, by the labels of the treebank.
    pub by_labels: Estimate,
    /// The share of them to which the model gives the class that it gives to the sentence.
    pub by_model: Estimate,
    /// The share of them where the model says the same or another class just where the labels do.
    pub alike: Estimate,
}

/// Pairs of a phrase and the same phrase with a negation before it.
///
/// A pair is a node of two parts of which the first is a negation: at most two words, the last of which is one (`not`, `no`,
/// `never`, `does n't`, `is not`); the second part is the phrase that it negates. Socher et al. ("Recursive deep models for
/// semantic compositionality over a sentiment treebank", 2013, section 5.3) ask the same two questions of sentences made for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NegatedPhrases {
    /// How many pairs.
    pub pairs: u64,
    /// How many of them the model gets right.
    pub right: u64,
    /// Their share; `None` without pairs.
    pub share: Option<Estimate>,
}

/// A share over a sentence's nodes: how many count, and how many of them have what is asked.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    of: u32,
    has: u32,
}

/// The shares that are computed for each sentence, in this order: all nodes, nodes by length, agreement.
const SHARES: usize = 1 + LENGTH_ENDS.len() + 1 + 3;
const AGREEMENT: usize = SHARES - 3;

impl TreebankScores {
    /// Of trees, each with its nodes in an order where children come before their parents, the whole sentence last.
    ///
    /// # Panics
    /// If a node has no probabilities.
    pub fn of(trees: &[Vec<ScoredNode<'_>>], bootstrap: &Bootstrap) -> Self {
        let shares: Vec<[Share; SHARES]> = trees.iter().map(|tree| shares(tree)).collect();
        let intervals = bootstrap.intervals(trees.len(), SHARES, &|rows, values| {
            let mut sums = [(0u64, 0u64); SHARES];
            for row in rows {
                for ((of, has), share) in sums.iter_mut().zip(&shares[*row as usize]) {
                    *of += u64::from(share.of);
                    *has += u64::from(share.has);
                }
            }
            for (value, (of, has)) in values.iter_mut().zip(sums) {
                *value = if of == 0 { f64::NAN } else { has as f64 / of as f64 };
            }
        });
        let estimates: Vec<Estimate> = intervals.into_iter().map(Estimate::from).collect();
        let counts: Vec<u64> = (0..SHARES).map(|at| shares.iter().map(|share| u64::from(share[at].of)).sum()).collect();
        let by_length = length_names().into_iter().zip(1..AGREEMENT).map(|(name, at)| NodeGroup {
            name,
            nodes: counts[at],
            accuracy: estimates[at],
        });
        let agreement = PhraseAgreement {
            phrases: counts[AGREEMENT],
            by_labels: estimates[AGREEMENT],
            by_model: estimates[AGREEMENT + 1],
            alike: estimates[AGREEMENT + 2],
        };
        Self {
            sentences: trees.len() as u64,
            nodes: counts[0],
            accuracy: estimates[0],
            by_length: by_length.filter(|group| group.nodes > 0).collect(),
            agreement: (agreement.phrases > 0).then_some(agreement),
            negated_positive: NegatedPhrases::of(trees, |phrase, whole| {
                let asked = phrase.label > NEUTRAL && whole.label < NEUTRAL;
                asked.then(|| phrase.polarity() > 0 && whole.polarity() < 0)
            }),
            negated_negative: NegatedPhrases::of(trees, |phrase, whole| {
                let asked = phrase.label < NEUTRAL && whole.label > phrase.label;
                asked.then(|| whole.negative_probability() < phrase.negative_probability())
            }),
        }
    }
}

impl NegatedPhrases {
    /// Of all pairs about which there is something to ask: whether the model is right.
    fn of(trees: &[Vec<ScoredNode<'_>>], is_right: impl Fn(&ScoredNode<'_>, &ScoredNode<'_>) -> Option<bool>) -> Self {
        let answers: Vec<bool> =
            trees.iter().flat_map(|tree| pairs(tree)).filter_map(|(a, b)| is_right(a, b)).collect();
        let (pairs, right) = (answers.len() as u64, answers.iter().filter(|right| **right).count() as u64);
        Self { pairs, right, share: (pairs > 0).then(|| Estimate::share(right, pairs)) }
    }
}

impl ScoredNode<'_> {
    fn words(&self) -> usize {
        self.text.split(' ').count()
    }

    /// The class with the highest probability, of equal ones the first.
    fn predicted(&self) -> u32 {
        let classes = 1..self.probabilities.len();
        let higher = |best, class| if self.probabilities[class] > self.probabilities[best] { class } else { best };
        classes.fold(0, higher) as u32
    }

    /// Below 0 for a negative class, 0 for a neutral one, above 0 for a positive one.
    fn polarity(&self) -> i64 {
        2 * i64::from(self.predicted()) - (self.probabilities.len() as i64 - 1)
    }

    /// What the model gives to all negative classes together.
    fn negative_probability(&self) -> f64 {
        self.probabilities[..self.probabilities.len() / 2].iter().map(|p| f64::from(*p)).sum()
    }
}

/// Each negated phrase of a tree, with the node that also has its negation.
fn pairs<'a, 'b>(tree: &'a [ScoredNode<'b>]) -> impl Iterator<Item = (&'a ScoredNode<'b>, &'a ScoredNode<'b>)> {
    tree.iter().filter_map(|node| match node.children {
        &[first, second] if negates(tree[first].text) => Some((&tree[second], node)),
        _ => None,
    })
}

/// Whether a phrase is a negation and nothing else.
fn negates(phrase: &str) -> bool {
    let words: Vec<&str> = phrase.split(' ').collect();
    words.len() <= 2 && words.last().is_some_and(|word| is_negation(&word.to_lowercase()))
}

fn shares(tree: &[ScoredNode<'_>]) -> [Share; SHARES] {
    let mut shares = [Share::default(); SHARES];
    let mut count = |at: usize, has: bool| {
        shares[at].of += 1;
        shares[at].has += u32::from(has);
    };
    let Some(sentence) = tree.last() else { return shares };
    for (place, node) in tree.iter().enumerate() {
        let (Some(class), words) = (node.class, node.words()) else { continue };
        let right = node.predicted() == class;
        count(0, right);
        count(1 + LENGTH_ENDS.partition_point(|end| *end < words), right);
        if let Some(of_sentence) = sentence.class
            && words > 1
            && place + 1 < tree.len()
        {
            let by_labels = class == of_sentence;
            let by_model = node.predicted() == sentence.predicted();
            count(AGREEMENT, by_labels);
            count(AGREEMENT + 1, by_model);
            count(AGREEMENT + 2, by_labels == by_model);
        }
    }
    shares
}

fn length_names() -> Vec<String> {
    let mut names = vec!["1 word".to_owned()];
    names.extend(LENGTH_ENDS.windows(2).map(|pair| format!("{} to {} words", pair[0] + 1, pair[1])));
    names.push(format!("over {} words", LENGTH_ENDS[LENGTH_ENDS.len() - 1]));
    names
}

/// The figures as lines of text, for the terminal.
impl fmt::Display for TreebankScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "phrases of the treebank: {} labeled nodes of {} sentences", self.nodes, self.sentences)?;
        writeln!(f, "  {:<18} {}", "accuracy", self.accuracy)?;
        for NodeGroup { name, nodes, accuracy } in &self.by_length {
            writeln!(f, "  {name:<18} {accuracy} of {nodes}")?;
        }
        if let Some(PhraseAgreement { phrases, by_labels, by_model, alike }) = &self.agreement {
            writeln!(f, "{phrases} phrases against their sentence")?;
            writeln!(f, "  {:<18} {by_labels}", "same by labels")?;
            writeln!(f, "  {:<18} {by_model}", "same by the model")?;
            writeln!(f, "  {:<18} {alike}", "alike in both")?;
        }
        let questions = [
            ("positive phrases that a negation makes negative", self.negated_positive),
            ("negative phrases that a negation makes less negative", self.negated_negative),
        ];
        for (question, NegatedPhrases { pairs, right, share }) in questions {
            match share {
                Some(share) => writeln!(f, "{question}: {right} of {pairs} right, {share}")?,
                None => writeln!(f, "{question}: none")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

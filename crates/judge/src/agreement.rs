//! Whether attributions agree with something else: in the order of their words, and with what people say of the parts of a
//! sentence.

use std::ops::Range;

use metrics::{Bootstrap, spearman};
use serde::{Deserialize, Serialize};

use crate::explanation::WordAttribution;

/// With two values a rank correlation is 1 or -1, whatever they are.
const FEWEST: usize = 3;

/// Spearman's rank correlation of pairs; `None` for fewer than three, and where one side has one value only.
pub fn rank_correlation(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    if first.len() < FEWEST { None } else { spearman(&first, &second) }
}

/// A word or a phrase that people have judged.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedPart {
    /// Its characters in the text.
    pub characters: Range<usize>,
    /// How positive people find it.
    pub judgement: f64,
    /// Whether it is a single word.
    pub is_word: bool,
}

/// How the attributions of sentences agree with people's judgements of their parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HumanAgreement {
    /// Of single words.
    pub words: PartAgreement,
    /// Of phrases of several words, the whole sentence left out, each with the sum of its words.
    pub phrases: PartAgreement,
}

/// The agreement of one kind of part, as Spearman's rank correlation, -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartAgreement {
    /// The mean of the correlations within each sentence; `None` without any.
    pub within_sentences: Option<f64>,
    /// The lower end of its 95 % interval, by a bootstrap of the sentences.
    pub low: Option<f64>,
    /// The upper end of that.
    pub high: Option<f64>,
    /// Sentences in which it is defined: with three parts or more, not all judged alike.
    pub sentences: usize,
    /// The correlation over the parts of all sentences together.
    pub over_all: Option<f64>,
    /// How many parts those are.
    pub parts: usize,
}

/// Adds up the agreement of sentences.
#[derive(Debug, Clone, Default)]
pub struct AgreementSum {
    words: Pairs,
    phrases: Pairs,
}

/// Attributions with the judgements of the same parts.
#[derive(Debug, Clone, Default)]
struct Pairs {
    all: Vec<(f64, f64)>,
    within: Vec<f64>,
}

impl AgreementSum {
    /// Adds a sentence: its words' attributions towards the positive, and the parts of it that people have judged. Parts that
    /// the model has not read are left out.
    pub fn add(&mut self, words: &[WordAttribution], parts: &[JudgedPart]) {
        let end = parts.iter().map(|part| part.characters.end).max().unwrap_or(0);
        let of = |is_word: bool| {
            let parts = parts.iter().filter(|part| part.is_word == is_word);
            let pairs = parts.filter(|part| is_word || part.characters != (0..end)).filter_map(|part| {
                let Range { start, end } = part.characters;
                let inside = words.iter().filter(|word| word.start >= start && word.end <= end);
                let values: Vec<f64> = inside.map(|word| word.attribution).collect();
                (!values.is_empty()).then(|| (values.iter().sum(), part.judgement))
            });
            pairs.collect::<Vec<(f64, f64)>>()
        };
        self.words.add(of(true));
        self.phrases.add(of(false));
    }

    /// The agreement over all sentences.
    pub fn agreement(&self) -> HumanAgreement {
        HumanAgreement { words: self.words.agreement(), phrases: self.phrases.agreement() }
    }
}

impl Pairs {
    fn add(&mut self, pairs: Vec<(f64, f64)>) {
        self.within.extend(rank_correlation(pairs.iter().copied()));
        self.all.extend(pairs);
    }

    fn agreement(&self) -> PartAgreement {
        let within = &self.within;
        let mean = |rows: &[u32], mean: &mut [f64]| {
            mean[0] = rows.iter().map(|&row| within[row as usize]).sum::<f64>() / rows.len() as f64;
        };
        let interval = (within.len() > 1).then(|| Bootstrap::default().intervals(within.len(), 1, &mean)[0]);
        let only = within.first().copied();
        PartAgreement {
            within_sentences: interval.map(|interval| interval.value).or(only),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            sentences: within.len(),
            over_all: rank_correlation(self.all.iter().copied()),
            parts: self.all.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: usize, end: usize, attribution: f64) -> WordAttribution {
        WordAttribution { text: "w".repeat(end - start), start, end, attribution, leave_one_out: None }
    }

    fn part(characters: Range<usize>, judgement: f64, is_word: bool) -> JudgedPart {
        JudgedPart { characters, judgement, is_word }
    }

    #[test]
    fn parts_get_the_sums_of_their_words_and_the_whole_sentence_is_left_out() {
        // Four words of one character; the third is split into two by the model.
        let words = [word(0, 1, 0.1), word(2, 3, -2.0), word(4, 5, 0.5), word(5, 6, 0.25), word(7, 8, 1.0)];
        let mut parts =
            vec![part(0..1, 2.0, true), part(2..3, 0.0, true), part(4..6, 3.0, true), part(7..8, 4.0, true)];
        parts.extend([part(0..3, 1.0, false), part(4..8, 4.0, false), part(2..8, 2.0, false), part(0..8, 0.0, false)]);
        let mut sum = AgreementSum::default();
        sum.add(&words, &parts);
        assert_eq!(sum.words.all, [(0.1, 2.0), (-2.0, 0.0), (0.75, 3.0), (1.0, 4.0)]);
        assert_eq!(sum.phrases.all, [(-1.9, 1.0), (1.75, 4.0), (-0.25, 2.0)]);
        let HumanAgreement { words, phrases } = sum.agreement();
        assert_eq!((words.within_sentences, words.over_all, words.parts), (Some(1.0), Some(1.0), 4));
        assert_eq!((phrases.within_sentences, phrases.sentences), (Some(1.0), 1));
        assert_eq!(words.low, None, "one sentence has no interval");
    }

    #[test]
    fn sentences_without_an_order_count_only_over_all() {
        let mut sum = AgreementSum::default();
        sum.add(&[word(0, 1, 0.5), word(2, 3, 0.1)], &[part(0..1, 4.0, true), part(2..3, 1.0, true)]);
        let alike = [part(0..1, 2.0, true), part(2..3, 2.0, true), part(4..5, 2.0, true)];
        sum.add(&[word(0, 1, 0.3), word(2, 3, 0.2), word(4, 5, 0.4)], &alike);
        // Cut off after its first word.
        sum.add(&[word(0, 1, 0.3)], &alike);
        let words = sum.agreement().words;
        assert_eq!((words.sentences, words.within_sentences, words.parts), (0, None, 6));
        assert!(words.over_all.is_some());
    }
}

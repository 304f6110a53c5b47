//! Texts as weighted counts of their words and pairs of neighboring words.
//!
//! The definitions are those of scikit-learn's `TfidfVectorizer(ngram_range=(1, 2))`: lower case; a word is two or more
//! letters, digits or underscores (`(?u)\b\w\w+\b`); a feature is a word or two words in a row; its weight in a text is its
//! count times `ln((1 + n) / (1 + df)) + 1`, where `df` of the `n` training texts have it; a text's weights are divided by
//! their Euclidean norm. Features that no training text has are left out.

use std::collections::HashMap;

use unicode_normalization::char::is_combining_mark;

use super::sparse::SparseMatrix;

/// The features of the training texts.
#[derive(Debug, Default)]
pub(super) struct TfIdf {
    words: HashMap<String, u32>,
    /// The feature of each word, by the word's number.
    word_features: Vec<u32>,
    /// The feature of two words in a row, by their numbers.
    pairs: HashMap<(u32, u32), u32>,
    /// By feature.
    inverse_document_frequencies: Vec<f64>,
}

impl TfIdf {
    /// Learns the features of `texts`, and also returns their matrix: a row for each text, a column for each feature.
    pub(super) fn fit(texts: &[&str]) -> (Self, SparseMatrix) {
        let mut model = Self::default();
        let mut document_frequencies: Vec<u32> = Vec::new();
        let mut counts = Vec::with_capacity(texts.len());
        for text in texts {
            let features = model.new_features(text);
            let counted = counted(features);
            document_frequencies.resize(model.word_features.len() + model.pairs.len(), 0);
            for (feature, _) in &counted {
                document_frequencies[*feature as usize] += 1;
            }
            counts.push(counted);
        }
        let inverse = |df: &u32| ((1.0 + texts.len() as f64) / (1.0 + f64::from(*df))).ln() + 1.0;
        model.inverse_document_frequencies = document_frequencies.iter().map(inverse).collect();
        let rows: Vec<Vec<(u32, f64)>> = counts.into_iter().map(|counts| model.weighted(counts)).collect();
        let matrix = SparseMatrix::of_rows(&rows, model.features());
        (model, matrix)
    }

    /// The matrix of other texts, with the same columns.
    pub(super) fn transform(&self, texts: impl Iterator<Item = impl AsRef<str>>) -> SparseMatrix {
        let row = |text: &str| self.weighted(counted(self.known_features(text)));
        let rows: Vec<Vec<(u32, f64)>> = texts.map(|text| row(text.as_ref())).collect();
        SparseMatrix::of_rows(&rows, self.features())
    }

    pub(super) fn features(&self) -> usize {
        self.inverse_document_frequencies.len()
    }

    /// The features of a text, one for each time that it has them; those that are new get the next numbers.
    fn new_features(&mut self, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let mut before = None;
        for word in words(&text.to_lowercase()) {
            let next_feature = (self.word_features.len() + self.pairs.len()) as u32;
            let number = match self.words.get(word) {
                Some(&number) => number,
                None => {
                    let number = self.word_features.len() as u32;
                    self.words.insert(word.to_owned(), number);
                    self.word_features.push(next_feature);
                    number
                }
            };
            found.push(self.word_features[number as usize]);
            if let Some(before) = before {
                let next_feature = (self.word_features.len() + self.pairs.len()) as u32;
                found.push(*self.pairs.entry((before, number)).or_insert(next_feature));
            }
            before = Some(number);
        }
        found
    }

    /// The features of a text that are known.
    fn known_features(&self, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let mut before = None;
        for word in words(&text.to_lowercase()) {
            let number = self.words.get(word).copied();
            found.extend(number.map(|number| self.word_features[number as usize]));
            if let (Some(before), Some(number)) = (before, number) {
                found.extend(self.pairs.get(&(before, number)));
            }
            before = number;
        }
        found
    }

    fn weighted(&self, counts: Vec<(u32, u32)>) -> Vec<(u32, f64)> {
        let weight =
            |(feature, count)| (feature, f64::from(count) * self.inverse_document_frequencies[feature as usize]);
        let mut weights: Vec<(u32, f64)> = counts.into_iter().map(weight).collect();
        let norm = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        if norm > 0.0 {
            weights.iter_mut().for_each(|(_, weight)| *weight /= norm);
        }
        weights
    }

    /// The words of each feature, with a space between two.
    #[cfg(test)]
    pub(super) fn feature_names(&self) -> Vec<String> {
        let mut words = vec![""; self.words.len()];
        for (word, number) in &self.words {
            words[*number as usize] = word;
        }
        let mut names = vec![String::new(); self.features()];
        for (word, feature) in words.iter().zip(&self.word_features) {
            names[*feature as usize] = (*word).to_owned();
        }
        for ((one, other), feature) in &self.pairs {
            names[*feature as usize] = format!("{} {}", words[*one as usize], words[*other as usize]);
        }
        names
    }

    #[cfg(test)]
    pub(super) fn inverse_document_frequencies(&self) -> &[f64] {
        &self.inverse_document_frequencies
    }
}

/// Each feature once, ascending, with how often it is there.
fn counted(mut features: Vec<u32>) -> Vec<(u32, u32)> {
    features.sort_unstable();
    features.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
}

/// The words of a text: runs of two or more word characters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word_character(c)).filter(|word| word.chars().nth(1).is_some())
}

/// What Python's `\w` matches: letters, numbers and the underscore. Rust calls two kinds of other characters alphabetic as
/// well: marks that stand for vowels, and symbols that show a letter in a circle or a square.
pub(super) fn is_word_character(c: char) -> bool {
    let shows_a_letter = |c| matches!(c, '\u{24B6}'..='\u{24E9}' | '\u{1F130}'..='\u{1F149}' | '\u{1F150}'..='\u{1F169}' | '\u{1F170}'..='\u{1F189}');
    c == '_' || c.is_alphanumeric() && (c.is_ascii() || !is_combining_mark(c) && !shows_a_letter(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_two_characters_or_more() {
        let found: Vec<&str> = words("it 's a state-of-the-art film_noir , isn't it ? 10/10 — é ça").collect();
        assert_eq!(found, ["it", "state", "of", "the", "art", "film_noir", "isn", "it", "10", "10", "ça"]);
    }

    #[test]
    fn features_are_words_and_pairs_of_the_training_texts() {
        let (model, matrix) = TfIdf::fit(&["Good film", "good good", "a"]);
        assert_eq!(model.feature_names(), ["good", "film", "good film", "good good"]);
        assert_eq!((matrix.rows(), matrix.columns()), (3, 4));
        // Of a text without known features nothing is left, and an unknown word parts the words around it.
        let mut weights = vec![0.0; 2];
        model.transform(["bad", "film bad good film"].iter()).times(&[0.0, 0.0, 1.0, 1.0], 1, &mut weights);
        assert!(weights[0] == 0.0 && weights[1] > 0.0, "{weights:?}");
        let pairs = model.known_features("good bad film");
        assert_eq!(pairs, [0, 1], "no pair across a word that is not known");
    }
}

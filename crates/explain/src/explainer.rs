//! Explains texts with a trained run.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use judge::{Completeness, Explanation, WordAttribution, rank_correlation};
use model::SequenceClassifier;
use predict::{Predictor, batch_scores};
use tch::Device;
use tokenize::{Batch, Tokenizer};

use crate::error::ExplainError;
use crate::integrated_gradients::{PathSteps, Pause, token_attributions};
use crate::words::{Word, words};

/// What is computed for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The points of integrated gradients.
    pub steps: PathSteps,
    /// Whether each word is also left out.
    pub leave_one_out: bool,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { steps: PathSteps::default(), leave_one_out: true }
    }
}

/// A trained run, ready to explain what it says of texts. It computes in fp32.
#[derive(Debug)]
pub struct Explainer {
    model: SequenceClassifier,
    tokenizer: Tokenizer,
    label_names: Vec<String>,
    /// What stands in place of each word in the baseline.
    padding: u32,
}

/// A text as the model reads it.
struct ReadText {
    ids: Vec<u32>,
    /// Of the first own token, after `[CLS]`.
    first: usize,
    words: Vec<Word>,
    truncated: bool,
    unknown_words: usize,
}

impl Explainer {
    /// Opens a run, or any Hugging Face folder of a BERT with a classification head.
    ///
    /// # Errors
    /// Those of [`Predictor::open`], and a tokenizer without `[PAD]`.
    pub fn open(run: &Path, device: Device) -> Result<Self, ExplainError> {
        let (model, tokenizer, label_names) = Predictor::open_for_gradients(run, device)?.into_parts();
        let padding = tokenizer.padding().ok_or(ExplainError::NoPadding)?;
        Ok(Self { model, tokenizer, label_names, padding })
    }

    /// The names of the classes.
    pub fn label_names(&self) -> &[String] {
        &self.label_names
    }

    /// The model, in fp32.
    pub fn model(&self) -> &SequenceClassifier {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What each word of a text adds to the logit of a class; without one, to that of the label that the model gives.
    ///
    /// # Errors
    /// A text without a character, and one that the tokenizer rejects.
    ///
    /// # Panics
    /// If the model has no such class.
    pub fn explain(
        &self,
        text: &str,
        class: Option<usize>,
        options: &ExplainOptions,
    ) -> Result<Explanation, ExplainError> {
        self.explain_with_pauses(text, class, options, &mut || ControlFlow::Continue(()))
    }

    /// [`explain`](Self::explain), with a call of `pause` after each pass.
    ///
    /// # Errors
    /// Those, and [`ExplainError::GivenUp`] if `pause` breaks.
    ///
    /// # Panics
    /// If the model has no such class.
    pub fn explain_with_pauses(
        &self,
        text: &str,
        class: Option<usize>,
        options: &ExplainOptions,
        pause: Pause,
    ) -> Result<Explanation, ExplainError> {
        let read = self.read(text)?;
        let scores = batch_scores(&self.model, &Batch::from_ids(&[&read.ids]))?;
        let probabilities = &scores.probabilities[0];
        // The first of equal ones, as predictions are made.
        let best = (0..probabilities.len()).rev().max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
        let predicted = best.unwrap_or(0);
        let class = class.unwrap_or(predicted);
        let mut weights = vec![0.0; self.label_names.len()];
        weights[class] = 1.0;
        let (mut words, completeness) = self.attributions(text, &read, &weights, options.steps, pause)?;
        let mut leave_one_out_correlation = None;
        if options.leave_one_out {
            let without = self.without_each_word(&read, class, options.steps.tokens_per_pass, pause)?;
            words.iter_mut().zip(&without).for_each(|(word, logit)| {
                word.leave_one_out = Some(completeness.logit - logit);
            });
            let pairs = words.iter().map(|word| (word.attribution, word.leave_one_out.unwrap_or_default()));
            leave_one_out_correlation = rank_correlation(pairs);
        }
        Ok(Explanation {
            text: text.to_owned(),
            label: self.label_names[class].clone(),
            predicted: self.label_names[predicted].clone(),
            probability: f64::from(probabilities[class]),
            words,
            completeness,
            leave_one_out_correlation,
            truncated: read.truncated,
            unknown_words: read.unknown_words,
        })
    }

    /// What each word of a text adds to the sum of the logits with these weights, one for each class.
    ///
    /// # Errors
    /// A text without a character, and one that the tokenizer rejects.
    ///
    /// # Panics
    /// If there is not one weight for each class.
    pub fn attribute(
        &self,
        text: &str,
        weights: &[f32],
        steps: PathSteps,
    ) -> Result<(Vec<WordAttribution>, Completeness), ExplainError> {
        self.attributions(text, &self.read(text)?, weights, steps, &mut || ControlFlow::Continue(()))
    }

    fn read(&self, text: &str) -> Result<ReadText, ExplainError> {
        let encoded = self.tokenizer.encode(text)?;
        let pieces = self.tokenizer.pieces(text, true)?;
        let first = pieces.iter().take_while(|piece| piece.place.is_none()).count();
        let kept = encoded.ids.len() - self.tokenizer.special_tokens();
        if kept == 0 {
            return Err(ExplainError::Empty);
        }
        let own = &pieces[first..first + kept];
        debug_assert!(own.iter().map(|piece| piece.id).eq(encoded.ids[first..first + kept].iter().copied()));
        let words = words(text, own);
        let (truncated, unknown_words) = (encoded.truncated, encoded.unknown);
        Ok(ReadText { ids: encoded.ids, first, words, truncated, unknown_words })
    }

    fn attributions(
        &self,
        text: &str,
        read: &ReadText,
        weights: &[f32],
        steps: PathSteps,
        pause: Pause,
    ) -> Result<(Vec<WordAttribution>, Completeness), ExplainError> {
        let mut baseline = read.ids.clone();
        read.words.iter().for_each(|word| baseline[read.places(word)].fill(self.padding));
        let (values, completeness) = token_attributions(&self.model, [&read.ids, &baseline], weights, steps, pause)?;
        let word = |word: &Word| {
            let Range { start, end } = word.characters;
            WordAttribution {
                text: text.chars().skip(start).take(end - start).collect(),
                start,
                end,
                attribution: values[read.places(word)].iter().sum(),
                leave_one_out: None,
            }
        };
        Ok((read.words.iter().map(word).collect(), completeness))
    }

    /// The logit of a class of the text without its first word, without its second, and so on.
    fn without_each_word(
        &self,
        read: &ReadText,
        class: usize,
        tokens_per_pass: usize,
        pause: Pause,
    ) -> Result<Vec<f64>, ExplainError> {
        let mut logits = Vec::with_capacity(read.words.len());
        for words in read.words.chunks((tokens_per_pass / read.ids.len()).max(1)) {
            let without = |word: &Word| {
                let places = read.places(word);
                [&read.ids[..places.start], &read.ids[places.end..]].concat()
            };
            let texts: Vec<Vec<u32>> = words.iter().map(without).collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let scores = batch_scores(&self.model, &Batch::from_ids(&texts))?;
            logits.extend(scores.logits.iter().map(|logits| f64::from(logits[class])));
            if pause().is_break() {
                return Err(ExplainError::GivenUp);
            }
        }
        Ok(logits)
    }
}

impl ReadText {
    /// Where the tokens of a word are among the ids.
    fn places(&self, word: &Word) -> Range<usize> {
        self.first + word.tokens.start..self.first + word.tokens.end
    }
}

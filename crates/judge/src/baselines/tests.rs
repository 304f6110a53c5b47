//! The baselines against scikit-learn's, on the fixture of `tests/fixtures/judge/make_baselines.py`.

use std::collections::HashMap;

use metrics::Bootstrap;
use serde::Deserialize;

use super::logistic_regression::LogisticRegression;
use super::tf_idf::{TfIdf, is_word_character};
use super::{Baselines, MOST_BYTES, MOST_ROWS, drawn_rows, majority};
use crate::scored::{RowFacts, ScoredRows};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    treebank: Vec<Treebank>,
    word_characters: Vec<(u32, u32)>,
}

#[derive(Deserialize)]
struct Case {
    train: Vec<String>,
    train_labels: Vec<u32>,
    test: Vec<String>,
    features: Vec<String>,
    idf: Vec<f64>,
    test_row_sums: Vec<f64>,
    coefficients: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
    decision_values: Vec<Vec<f64>>,
    predictions: Vec<u32>,
    majority: u32,
}

#[derive(Deserialize)]
struct Treebank {
    classes: usize,
    train: usize,
    test: usize,
    features: usize,
    right: u64,
    predicted: Vec<u64>,
    majority_right: u64,
}

fn fixture() -> Fixture {
    test_support::fixture("judge/baselines.json")
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, scikit-learn says {expected}");
}

#[test]
fn features_and_weights_are_scikit_learn_s() {
    for case in fixture().cases {
        let (model, matrix) = TfIdf::fit(&texts(&case.train));
        assert_eq!((matrix.rows(), matrix.columns()), (case.train.len(), case.features.len()));
        let names = model.feature_names();
        let place: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        for (name, idf) in case.features.iter().zip(&case.idf) {
            let at = place.get(name.as_str()).unwrap_or_else(|| panic!("no feature {name:?}"));
            assert_near(model.inverse_document_frequencies()[*at], *idf, 1e-9, name);
        }
        let test = model.transform(case.test.iter());
        let mut sums = vec![0.0; case.test.len()];
        test.times(&vec![1.0; names.len()], 1, &mut sums);
        for ((found, expected), text) in sums.into_iter().zip(case.test_row_sums).zip(&case.test) {
            assert_near(found, expected, 1e-9, text);
        }
    }
}

#[test]
fn logistic_regression_is_scikit_learn_s() {
    for case in fixture().cases {
        let (features, matrix) = TfIdf::fit(&texts(&case.train));
        let model = LogisticRegression::fit(&matrix, &case.train_labels);
        assert!(model.converged);
        let names = features.feature_names();
        let place: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let outputs = case.coefficients.len();
        let (weights, intercepts) = model.coefficients();
        for (output, expected) in case.coefficients.iter().enumerate() {
            for (name, expected) in case.features.iter().zip(expected) {
                assert_near(weights[place[name.as_str()] * outputs + output], *expected, 1e-7, name);
            }
            assert_near(intercepts[output], case.intercepts[output], 1e-7, "intercept");
        }
        let test = features.transform(case.test.iter());
        let expected = case.decision_values.concat();
        for (found, expected) in model.decision_values(&test).into_iter().zip(expected) {
            assert_near(found, expected, 1e-7, "decision value");
        }
        assert_eq!(model.predict(&test), case.predictions);
        assert_eq!(majority::most_frequent(&case.train_labels), Some(case.majority));
    }
}

#[test]
fn training_data_of_one_label_or_without_words_is_no_error() {
    let (features, matrix) = TfIdf::fit(&["a film", "a story"]);
    let model = LogisticRegression::fit(&matrix, &[3, 3]);
    assert_eq!(model.predict(&features.transform(["film", ""].iter())), [3, 3]);
    let (features, matrix) = TfIdf::fit(&["?", "!", "a"]);
    assert_eq!(matrix.columns(), 0);
    let model = LogisticRegression::fit(&matrix, &[0, 1, 1]);
    assert_eq!(model.predict(&features.transform(["film"].iter())), [1]);
    // Without words the intercept is all there is: ln(2/3 / 1/3).
    assert_near(model.coefficients().1[0], 2f64.ln(), 1e-8, "intercept");
}

/// What Unicode has assigned since, the fixture's Python can't know; this file has the end of what it knows to be letters.
#[test]
fn a_word_has_the_characters_that_python_says() {
    let known = fixture().word_characters;
    let mut differing = Vec::new();
    for c in (0..0x11_0000).filter_map(char::from_u32) {
        let code = u32::from(c);
        let at = known.partition_point(|(_, last)| *last < code);
        let is_known = known.get(at).is_some_and(|(first, _)| *first <= code);
        if is_word_character(c) != is_known {
            differing.push((code, is_known));
        }
    }
    let only_python: Vec<_> = differing.iter().filter(|(_, is_known)| *is_known).collect();
    assert!(only_python.is_empty(), "word characters of Python alone: {only_python:x?}");
    let frequent: Vec<_> = differing.iter().filter(|(code, _)| *code < 0x1_0000).collect();
    assert!(frequent.len() < 40, "of the basic plane: {frequent:x?}");
}

#[test]
fn too_many_rows_are_drawn_from_all_of_them_and_always_the_same_ones() {
    let short = vec!["text"; MOST_ROWS + 50_000];
    let drawn = drawn_rows(&short);
    assert_eq!((drawn.len(), &drawn), (MOST_ROWS, &drawn_rows(&short)));
    assert!(drawn.is_sorted() && drawn.windows(2).all(|pair| pair[0] < pair[1]));
    let of_second_half = drawn.iter().filter(|row| **row >= short.len() / 2).count();
    assert!(of_second_half.abs_diff(MOST_ROWS / 2) < 1_000, "{of_second_half}");
    let long = "x".repeat(MOST_BYTES / 10);
    assert_eq!(drawn_rows(&vec![long.as_str(); 25]).len(), 10);
    assert_eq!(drawn_rows(&[&long.repeat(11)]), [0]);
    assert_eq!(drawn_rows(&["a", "b"]), [0, 1]);
}

/// Sentences and classes of a file of the treebank.
fn sentences(folder: &std::path::Path, name: &str, classes: usize) -> (Vec<String>, Vec<u32>) {
    let trees = std::fs::read_to_string(folder.join(name)).expect("trees");
    let sentence = |line: &str| {
        let label = line[1..2].parse::<u32>().expect("a label");
        let words = line.split([' ', '\t']).filter(|piece| !piece.starts_with('(')).map(|piece| {
            let word = piece.trim_end_matches(')').replace("-LRB-", "(").replace("-RRB-", ")");
            word.replace("\\/", "/").replace("\\*", "*")
        });
        let class = if classes == 2 { u32::from(label > 2) } else { label };
        (classes == 5 || label != 2).then(|| (words.collect::<Vec<_>>().join(" "), class))
    };
    trees.lines().filter_map(sentence).unzip()
}

#[test]
fn the_treebank_s_sentences_get_the_labels_that_scikit_learn_gives() {
    let Some(folder) = test_support::treebank() else { return };
    for expected in fixture().treebank {
        let (train, train_labels) = sentences(&folder, "train.txt", expected.classes);
        let (test, truth) = sentences(&folder, "test.txt", expected.classes);
        assert_eq!((train.len(), test.len()), (expected.train, expected.test));
        let (features, matrix) = TfIdf::fit(&texts(&train));
        assert_eq!(matrix.columns(), expected.features);
        let predictions = LogisticRegression::fit(&matrix, &train_labels).predict(&features.transform(test.iter()));
        let mut predicted = vec![0; expected.classes];
        predictions.iter().for_each(|class| predicted[*class as usize] += 1);
        assert_eq!(predicted, expected.predicted);

        let facts: Vec<RowFacts<'_>> = test.iter().map(|text| RowFacts { text, ..RowFacts::default() }).collect();
        let label_names: Vec<String> = (0..expected.classes).map(|class| class.to_string()).collect();
        let rows = ScoredRows {
            label_names: &label_names,
            truth: &truth,
            predictions: &truth,
            probabilities: &[],
            facts: &facts,
        };
        let bootstrap = Bootstrap { resamples: 1_000, ..Bootstrap::default() };
        let Baselines { training_rows, results } = Baselines::of(&texts(&train), &train_labels, &rows, &bootstrap);
        assert_eq!(training_rows, expected.train as u64);
        let right = [expected.majority_right, expected.right];
        for (result, right) in results.iter().zip(right) {
            let share = right as f64 / expected.test as f64;
            assert_near(result.accuracy.value, share, 1e-12, &result.name);
            // The model here is always right.
            assert_near(result.difference.value, 1.0 - share, 1e-12, &result.name);
            assert!(result.difference.low < 1.0 - share && 1.0 - share < result.difference.high);
        }
        assert_eq!([&results[0].name, &results[1].name], ["majority", "tf-idf"]);
    }
}

#[test]
fn a_baseline_that_always_says_the_same_has_the_scores_of_that() {
    let (label_names, truth, predictions) = (["a".to_owned(), "b".to_owned()], [0, 0, 0, 1], [0, 0, 1, 1]);
    let facts = ["x", "y", "z", "w"].map(|text| RowFacts { text, ..RowFacts::default() });
    let rows = ScoredRows {
        label_names: &label_names,
        truth: &truth,
        predictions: &predictions,
        probabilities: &[],
        facts: &facts,
    };
    let baselines = Baselines::of(&["p", "q", "r"], &[0, 0, 1], &rows, &Bootstrap::default());
    let majority = &baselines.results[0];
    assert_eq!(majority.description, "always \"a\", the most frequent label of the training data");
    // Precision 3/4, recall 1: F1 6/7 for three of four rows, 0 for the fourth.
    assert_near(majority.f1.value, 0.75 * 6.0 / 7.0, 1e-12, "F1");
    assert_eq!((majority.accuracy.value, majority.difference.value), (0.75, 0.0));
    assert_eq!(majority.difference.score, "accuracy");
    assert_eq!(baselines.results[1].description, "logistic regression on TF-IDF of words and pairs of words");
}

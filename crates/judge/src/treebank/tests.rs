//! Figures of small trees that can be counted by hand.

use metrics::{Bootstrap, wilson};

use super::{NegatedPhrases, PhraseAgreement, ScoredNode, TreebankScores, negates};

/// A node with the class that the model gives to it, of three classes.
fn node<'a>(text: &'a str, label: u8, children: &'a [usize], predicted: usize) -> ScoredNode<'a> {
    static PROBABILITIES: [[f32; 3]; 3] = [[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]];
    let class = Some(u32::from(label >= 2) + u32::from(label > 2));
    ScoredNode { text, label, class, probabilities: &PROBABILITIES[predicted], children }
}

fn trees() -> Vec<Vec<ScoredNode<'static>>> {
    vec![
        vec![
            node("It", 2, &[], 1),
            node("does", 2, &[], 2),
            node("n't", 2, &[], 0),
            node("does n't", 2, &[1, 2], 0),
            node("work", 3, &[], 2),
            node("does n't work", 1, &[3, 4], 0),
            node("It does n't work", 1, &[0, 5], 0),
        ],
        vec![
            node("Not", 2, &[], 0),
            node("bad", 1, &[], 0),
            node("Not bad", 3, &[0, 1], 1),
            node("at all", 2, &[], 1),
            node("Not bad at all", 3, &[2, 3], 0),
        ],
        vec![node("Fine", 3, &[], 2)],
    ]
}

#[test]
fn figures_are_those_that_can_be_counted() {
    let scores = TreebankScores::of(&trees(), &Bootstrap { resamples: 1_000, seed: 0 });
    assert_eq!((scores.sentences, scores.nodes), (3, 13));
    // Right are: It, work, both phrases with work; bad, at all; Fine.
    assert!((scores.accuracy.value - 7.0 / 13.0).abs() < 1e-15, "{:?}", scores.accuracy);
    let groups: Vec<(&str, u64, f64)> =
        scores.by_length.iter().map(|group| (group.name.as_str(), group.nodes, group.accuracy.value)).collect();
    let expected = [("1 word", 7, 4.0 / 7.0), ("2 to 3 words", 4, 2.0 / 4.0), ("4 to 7 words", 2, 1.0 / 2.0)];
    assert_eq!(groups, expected);

    let agreement = scores.agreement.as_ref().expect("phrases");
    // `does n't` (neutral) and `does n't work` (negative) in a negative sentence; `Not bad` (positive) and `at all` in a
    // positive one. The model says negative, negative in negative; neutral, neutral in negative.
    let PhraseAgreement { phrases, by_labels, by_model, alike } = agreement;
    assert_eq!(*phrases, 4);
    assert_eq!([by_labels.value, by_model.value, alike.value], [0.5, 0.5, 0.5]);

    let counts = |negated: NegatedPhrases| (negated.pairs, negated.right, negated.share.map(|share| share.value));
    assert_eq!(counts(scores.negated_positive), (1, 1, Some(1.0)), "work, does n't work");
    assert_eq!(counts(scores.negated_negative), (1, 1, Some(1.0)), "bad, Not bad: 0.7 to 0.3");
    let text = scores.to_string();
    assert!(text.starts_with("phrases of the treebank: 13 labeled nodes of 3 sentences\n"), "{text}");
    assert!(text.contains("negative phrases that a negation makes less negative: 1 of 1 right, 100.00 % ("), "{text}");
}

#[test]
fn a_pair_is_asked_only_what_people_say_of_it() {
    let scores = |whole: u8, part: u8, predicted: [usize; 2]| {
        let tree = vec![
            node("never", 2, &[], 1),
            node("dull", part, &[], predicted[1]),
            node("never dull", whole, &[0, 1], predicted[0]),
        ];
        let found = TreebankScores::of(&[tree], &Bootstrap { resamples: 10, seed: 0 });
        let counts = |negated: NegatedPhrases| (negated.pairs, negated.right);
        (counts(found.negated_positive), counts(found.negated_negative))
    };
    assert_eq!(scores(3, 1, [2, 0]), ((0, 0), (1, 1)));
    assert_eq!(scores(3, 1, [0, 0]), ((0, 0), (1, 0)), "as negative as before");
    assert_eq!(scores(0, 1, [0, 0]), ((0, 0), (0, 0)), "people call it more negative");
    assert_eq!(scores(1, 4, [0, 2]), ((1, 1), (0, 0)));
    assert_eq!(scores(1, 4, [0, 1]), ((1, 0), (0, 0)), "the phrase was not positive to begin with");
    assert_eq!(scores(1, 4, [1, 2]), ((1, 0), (0, 0)), "neutral is not reversed");
    assert_eq!(scores(2, 4, [0, 2]), ((0, 0), (0, 0)), "people call it neutral");
}

#[test]
fn a_negation_is_at_most_two_words_and_ends_in_one() {
    for phrase in ["not", "No", "does n't", "is not", "never"] {
        assert!(negates(phrase), "{phrase}");
    }
    for phrase in ["not very", "it does n't", "film", "no one", ""] {
        assert!(!negates(phrase), "{phrase}");
    }
}

#[test]
fn intervals_are_as_wide_as_the_sentences_are_few() {
    // Sentences whose ten nodes are all right or all wrong: there is no more to know than of their number.
    let tree = |right: bool| vec![node("good", 4, &[], if right { 2 } else { 0 }); 10];
    let trees: Vec<_> = (0..100).map(|sentence| tree(sentence % 5 > 0)).collect();
    let found = TreebankScores::of(&trees, &Bootstrap::default()).accuracy;
    let (low, high) = wilson(80, 100);
    assert!((found.low - low).abs() < 0.02 && (found.high - high).abs() < 0.02, "{found:?}, {low} to {high}");
}

#[test]
fn without_trees_nothing_is_claimed() {
    let scores = TreebankScores::of(&[], &Bootstrap::default());
    assert_eq!((scores.nodes, scores.by_length.len(), scores.agreement), (0, 0, None));
    assert!(scores.accuracy.value.is_nan());
    assert_eq!(scores.negated_positive, NegatedPhrases { pairs: 0, right: 0, share: None });
}

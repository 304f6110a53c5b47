//! Small data sets with a known number of faults.

use super::*;
use clap::Parser;
use tokenize::{Encoded, Inspection};

fn loaded(train: &[(&str, u32)], validation: &[(&str, u32)], test: &[(&str, Option<u32>)]) -> Loaded {
    let labeled = |rows: &[(&str, u32)]| rows.iter().map(|(text, label)| Record::labeled(*text, *label)).collect();
    Loaded {
        dataset: "small".into(),
        variant: "small, by hand".into(),
        disambiguation: Some("not large".into()),
        source: String::new(),
        license: String::new(),
        source_sha256: Default::default(),
        label_names: vec!["negative".into(), "positive".into()],
        label_values: BTreeMap::new(),
        train: labeled(train),
        validation: labeled(validation),
        test: test.iter().map(|(text, label)| Record { text: text.to_string(), label: *label }).collect(),
        places: Places::default(),
        empty_dropped: 4,
        notes: Vec::new(),
    }
}

/// A tokenizer of words in lower case: its vocabulary is whatever doesn't start with `?`, and it cuts at eight tokens.
fn tokenized(data: &Loaded) -> TokenizedTexts {
    let splits = data.splits().map(|(split, records)| {
        let mut rows = TokenizedRows::default();
        records.iter().for_each(|record| rows.push(&inspection(&record.text)));
        (split, rows)
    });
    TokenizedTexts { max_length: 8, max_word_chars: 100, splits: splits.into() }
}

fn inspection(text: &str) -> Inspection {
    let id = |word: &str| match word.starts_with('?') || word.len() > 100 {
        true => 1,
        false => word.bytes().fold(7_u32, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into())),
    };
    let ids: Vec<u32> = text.split_whitespace().map(|word| id(&word.to_lowercase())).collect();
    let unknown = ids.iter().filter(|id| **id == 1).count();
    let untruncated_len = ids.len() + 2;
    let kept = [&[2], &ids[..ids.len().min(6)], &[3]].concat();
    Inspection {
        encoded: Encoded { ids: kept, truncated: untruncated_len > 8, untruncated_len, unknown },
        tokens: ids.len(),
        ids_hash: IdsHash::new(&ids),
        long_words: text.split_whitespace().filter(|word| word.len() > 100).count(),
    }
}

fn audited(data: &Loaded) -> Audit {
    audit_with(data, AuditLimits::default(), false)
}

fn audit_with(data: &Loaded, limits: AuditLimits, allowed: bool) -> Audit {
    audit(data, &tokenized(data), limits, allowed)
}

fn refusal(data: &Loaded) -> String {
    audited(data).check().expect_err("a refusal").to_string()
}

fn shared_text(text: &str, here: &str, there: &str) -> SharedText {
    SharedText { text: text.into(), here: here.into(), there: there.into() }
}

fn labeled_place(place: &str, label: &str) -> LabeledPlace {
    LabeledPlace { place: place.into(), label: Some(label.into()) }
}

#[test]
fn everything_is_counted_once_and_in_its_split() {
    let data = loaded(
        &[("a fine film", 1), ("A fine  FILM", 1), ("a fine film", 0), ("dull", 0), ("it was a very long evening", 0)],
        &[("a fine film", 1), ("Dull", 1), ("fresh", 1)],
        &[("we said it was a very long evening indeed", None), ("it was a very long evening", None), ("Fresh", None)],
    );
    let found = audited(&data);
    assert_eq!((found.variant.as_str(), found.disambiguation.as_deref()), ("small, by hand", Some("not large")));
    assert_eq!(found.empty_dropped, 4);

    let train = &found.splits[&Split::Train];
    assert_eq!((train.rows, train.unlabeled, train.duplicates, train.conflicting), (5, 0, 2, 3));
    let negative = LabelCount { label: "negative".into(), rows: 3, share: 0.6 };
    let positive = LabelCount { label: "positive".into(), rows: 2, share: 0.4 };
    assert_eq!((train.labels.as_slice(), train.largest_to_smallest), ([negative, positive].as_slice(), Some(1.5)));
    let rows = vec![
        labeled_place("train row 1", "positive"),
        labeled_place("train row 2", "positive"),
        labeled_place("train row 3", "negative"),
    ];
    assert_eq!(train.conflicts, [Conflict { text: "a fine film".into(), rows }]);
    assert_eq!((train.leaked.len(), train.containing), (0, 0));

    let validation = &found.splits[&Split::Validation];
    assert_eq!((validation.rows, validation.duplicates, validation.largest_to_smallest), (3, 0, None));
    let examples = vec![
        shared_text("a fine film", "validation row 1", "train row 1"),
        shared_text("Dull", "validation row 2", "train row 4"),
    ];
    let leak = Leak { exact: 1, same_tokens: 2, other_label: 1, examples };
    assert_eq!(validation.leaked, BTreeMap::from([(Split::Train, leak)]));

    let test = &found.splits[&Split::Test];
    assert_eq!((test.rows, test.unlabeled, test.labels.len(), test.containing), (3, 3, 0, 1));
    let of_train = Leak {
        exact: 1,
        same_tokens: 1,
        other_label: 0,
        examples: vec![shared_text("it was a very long evening", "test row 2", "train row 5")],
    };
    let of_validation = Leak {
        exact: 0,
        same_tokens: 1,
        other_label: 0,
        examples: vec![shared_text("Fresh", "test row 3", "validation row 3")],
    };
    assert_eq!(test.leaked, BTreeMap::from([(Split::Train, of_train), (Split::Validation, of_validation)]));
    let holds = ContainingRow {
        place: "test row 1".into(),
        text: "we said it was a very long evening indeed".into(),
        training_text: "it was a very long evening".into(),
    };
    assert_eq!(test.containing_example, Some(holds));
    assert_eq!((test.words.min, test.words.median, test.words.max), (1, 6, 9));
    assert_eq!((test.characters.min, test.characters.max), (5, 41));
}

#[test]
fn lengths_are_counted_before_the_cut_and_truncated_texts_counted() {
    let long = "good ".repeat(698);
    let data = loaded(&[("one two three four five six", 1), ("1 2 3 4 5 6 7", 0), (&long, 0), ("worst", 0)], &[], &[]);
    let found = audited(&data);
    let train = &found.splits[&Split::Train];
    assert_eq!((found.max_length, train.truncated, train.truncated_share), (8, 2, 0.5));
    let tokens = &train.tokens;
    assert_eq!((tokens.min, tokens.median, tokens.max, tokens.mean), (3, 8, 700, 180.0));
    assert!(found.check().is_ok(), "cut texts are no reason to refuse unless a limit says so");

    let limits = AuditLimits { max_truncated: 0.4, ..AuditLimits::default() };
    assert_eq!(
        audit_with(&data, limits, false).check().expect_err("too many are cut").to_string(),
        "train: 2 of 4 rows (50.0 %) are truncated to 8 tokens; up to 40.0 % is accepted (--max-truncated 0.4) (hint: fix \
         the data, raise the limit, or --allow-leakage to continue anyway)"
    );
}

#[test]
fn texts_are_compared_by_all_their_tokens() {
    // The first six words are the same, and the cut leaves nothing else.
    let data = loaded(&[("a b c d e f one", 1), ("a b c d e f two", 0)], &[("A B C D E F One", 0)], &[]);
    let found = audited(&data);
    let train = &found.splits[&Split::Train];
    assert_eq!((train.duplicates, train.conflicting, train.vocabulary.collapsed), (0, 0, 0));
    let leak = &found.splits[&Split::Validation].leaked[&Split::Train];
    assert_eq!((leak.exact, leak.same_tokens, leak.other_label), (0, 1, 1));
    assert_eq!(leak.examples, [shared_text("A B C D E F One", "validation row 1", "train row 1")]);
}

#[test]
fn unknown_tokens_and_the_texts_they_make_equal_are_counted() {
    let train = [("good ?1 film", 1), ("?2", 0), ("Good ?3 film", 1), ("good ?1 film", 1), ("plain old film", 0)];
    let data = loaded(&train, &[(&"x".repeat(101), 1), ("a film", 0)], &[]);
    let found = audited(&data);
    let placed = |place: &str, text: &str| PlacedText { place: place.into(), text: text.into() };
    let vocabulary = &found.splits[&Split::Train].vocabulary;
    assert_eq!((vocabulary.tokens, vocabulary.unknown, vocabulary.unknown_share), (13, 4, 0.307692));
    assert_eq!(vocabulary.unknown_example, Some(placed("train row 1", "good ?1 film")));
    assert_eq!(
        (vocabulary.only_unknown, vocabulary.only_unknown_examples.as_slice()),
        (1, &[placed("train row 2", "?2")][..])
    );
    // The fourth row repeats the first; the third one only has its tokens.
    assert_eq!((vocabulary.collapsed, found.splits[&Split::Train].duplicates), (1, 2));
    assert_eq!(
        vocabulary.collapsed_example,
        [placed("train row 3", "Good ?3 film"), placed("train row 1", "good ?1 film")]
    );
    let validation = &found.splits[&Split::Validation].vocabulary;
    assert_eq!((validation.long_words, validation.only_unknown, validation.max_word_chars), (1, 1, 100));
    assert_eq!(validation.long_words_example, Some(placed("validation row 1", &"x".repeat(101))));

    let message = found.check().expect_err("too much is unknown").to_string();
    for line in [
        "train: 4 of 13 tokens (30.8 %) are unknown to the model's vocabulary, such as \"good ?1 film\" (train row 1); up to \
         20.0 % is accepted (--max-unknown 0.2)",
        "train: 1 of 5 rows (20.0 %) have no token that the model's vocabulary knows, such as \"?2\" (train row 2); up to \
         5.0 % is accepted (--max-unknown-rows 0.05)",
        "validation: 1 of 3 tokens (33.3 %) are unknown",
        "choose a --model that was made for such texts",
    ] {
        assert!(message.contains(line), "no {line:?} in {message}");
    }
    let limits = AuditLimits { max_unknown: 0.35, max_unknown_rows: 0.5, max_leaked: 0.5, ..AuditLimits::default() };
    assert!(audit_with(&data, limits, false).check().is_ok());
}

#[test]
fn fault_8_leakage_above_its_limit_is_refused_unless_allowed() {
    let leaking = loaded(&[("good", 1), ("bad", 0)], &[("Good", 1), ("worse", 0)], &[]);
    assert_eq!(
        refusal(&leaking),
        "validation: 1 of 2 rows (50.0 %) are training rows too, so the score would be too high, such as \"Good\" \
         (validation row 1, train row 1); up to 5.0 % is accepted (--max-leaked 0.05) (hint: fix the data, raise the \
         limit, or --allow-leakage to continue anyway)"
    );
    let allowed = audit_with(&leaking, AuditLimits::default(), true);
    assert!(allowed.check().is_ok());
    let recorded = &allowed.exceeded[0];
    assert_eq!((recorded.flag.as_str(), recorded.count, recorded.of, recorded.share), ("--max-leaked", 1, 2, 0.5));
    let laxer = audit_with(&leaking, AuditLimits { max_leaked: 0.5, ..AuditLimits::default() }, false);
    assert!(laxer.check().is_ok() && laxer.exceeded.is_empty(), "a share at its limit is accepted");
    assert!(audited(&loaded(&[("good", 1), ("bad", 0)], &[("better", 1)], &[])).check().is_ok());
}

#[test]
fn fault_8_validation_rows_inside_test_are_leakage_too() {
    let data = loaded(&[("good", 1), ("bad", 0)], &[("fine", 1)], &[("Fine", Some(1)), ("poor", Some(0))]);
    assert!(refusal(&data).starts_with(
        "test: 1 of 2 rows (50.0 %) are validation rows too, so the score would be too high, such as \"Fine\" (test row 1, \
         validation row 1); up to 5.0 % is accepted (--max-leaked 0.05)"
    ));
}

#[test]
fn fault_8_training_phrases_inside_test_sentences_are_refused_above_their_limit() {
    let test: Vec<String> = (0..4).map(|row| format!("number {row} says it was a very long evening")).collect();
    let test: Vec<(&str, Option<u32>)> = test.iter().map(|text| (text.as_str(), Some(0))).collect();
    let train = [("it was a very long evening", 0), ("a fine film", 1)];
    assert!(refusal(&loaded(&train, &[], &test)).starts_with(
        "test: 4 of 4 rows (100.0 %) contain a whole training text of 5 words or more, so the score would be too high, such \
         as \"it was a very long evening\" (test row 1); up to 20.0 % is accepted (--max-containing 0.2)"
    ));
}

#[test]
fn fault_8_conflicting_labels_above_their_limit_are_refused() {
    let mut data = loaded(&[("good", 1), ("bad", 0), ("GOOD", 0)], &[], &[]);
    data.places.files = vec!["own.csv".into()];
    data.places.rows = BTreeMap::from([(Split::Train, vec![(0, 11), (0, 12), (0, 40)])]);
    assert!(refusal(&data).starts_with(
        "train: 2 of 3 rows (66.7 %) have the same text as a row with a different label, such as \"good\" (own.csv row 11, \
         own.csv row 40); up to 5.0 % is accepted (--max-conflicting 0.05)"
    ));
}

#[test]
fn all_exceeded_limits_are_in_one_message() {
    let data = loaded(&[("good", 1), ("Good", 1), ("good", 1), ("bad", 0)], &[("good", 1)], &[]);
    let limits = AuditLimits { max_duplicates: 0.1, max_imbalance: 0.7, ..AuditLimits::default() };
    assert_eq!(
        audit_with(&data, limits, false).check().expect_err("three").to_string(),
        "3 limits of the audit are exceeded:\n  \
         train: 2 of 4 rows (50.0 %) repeat an earlier row; up to 10.0 % is accepted (--max-duplicates 0.1)\n  \
         train: 3 of 4 rows (75.0 %) are of one class, \"positive\"; up to 70.0 % is accepted (--max-imbalance 0.7)\n  \
         validation: 1 of 1 rows (100.0 %) are training rows too, so the score would be too high, such as \"good\" \
         (validation row 1, train row 1); up to 5.0 % is accepted (--max-leaked 0.05)\n\
         (hint: fix the data, raise the limit, or --allow-leakage to continue anyway)"
    );
}

#[test]
fn a_limit_is_a_share() {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        limits: AuditLimits,
    }
    let limits = |more: &[&str]| Cli::try_parse_from(["prepare"].iter().chain(more)).map(|cli| cli.limits);
    assert_eq!(limits(&[]).expect("defaults"), AuditLimits::default());
    let flags =
        ["leaked", "containing", "conflicting", "duplicates", "truncated", "unknown", "unknown-rows", "imbalance"];
    for flag in flags.map(|what| format!("--max-{what}")) {
        assert_ne!(limits(&[&flag, "0.25"]).expect("a share"), AuditLimits::default());
        for bad in ["1.01", "-0.1", "5", "nan", "inf", "5%", ""] {
            let Err(error) = limits(&[&format!("{flag}={bad}")]) else { panic!("{flag} {bad} is accepted") };
            let error = error.to_string();
            assert!(error.contains(&flag) && error.contains("expected a fraction between 0 and 1"), "{error}");
        }
    }
    assert_eq!(limits(&["--max-leaked", "1"]).expect("the upper end").max_leaked, 1.0);
    assert_eq!(limits(&["--max-leaked", "0"]).expect("the lower end").max_leaked, 0.0);
}

#[test]
fn examples_are_few_and_short() {
    let long = "x".repeat(1000);
    let rows: Vec<(String, u32)> = (0..40).map(|row| (format!("{} {long}", row / 4), row % 2)).collect();
    let rows: Vec<(&str, u32)> = rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
    let found = audited(&loaded(&rows, &rows, &[]));
    let (train, validation) = (&found.splits[&Split::Train], &found.splits[&Split::Validation]);
    assert_eq!((train.conflicting, train.conflicts.len(), train.conflicts[0].rows.len()), (40, MAX_EXAMPLES, 4));
    assert_eq!(train.conflicts[0].text.chars().count(), EXAMPLE_CHARS + 3);
    assert_eq!(validation.leaked[&Split::Train].examples.len(), MAX_EXAMPLES);
}

#[test]
fn the_containment_search_agrees_with_brute_force() {
    let words = ["a", "b", "c"];
    let text = |seed: usize, length: usize| -> String {
        let mut state = seed as u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            words[(state >> 60) as usize % 3]
        };
        (0..length).map(|_| next()).collect::<Vec<_>>().join(" ")
    };
    let needles: Vec<String> = (1..40).map(|seed| text(seed, 3 + seed % 5)).collect();
    let records: Vec<Record> = needles.iter().map(|needle| Record::labeled(needle, 0)).collect();
    let known = KnownTexts::new(&records);
    let mut found = 0;
    for seed in 100..400 {
        let hay = text(seed, 4 + seed % 40);
        let expected = needles.iter().any(|needle| {
            needle.split(' ').count() >= MIN_WORDS
                && hay != *needle
                && format!(" {hay} ").contains(&format!(" {needle} "))
        });
        let part = known.find_inside(&hay);
        assert_eq!(part.is_some(), expected, "{hay}");
        assert!(part.as_ref().is_none_or(|part| needles.contains(part)), "{part:?} is none of them");
        found += usize::from(expected);
    }
    assert!((30..270).contains(&found), "{found} of 300 is no test");
}

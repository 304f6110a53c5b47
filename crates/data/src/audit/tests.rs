//! Small data sets with a known number of faults.

use super::*;

fn loaded(train: &[(&str, u32)], validation: &[(&str, u32)], test: &[(&str, Option<u32>)]) -> Loaded {
    let labelled = |rows: &[(&str, u32)]| rows.iter().map(|(text, label)| Record::labelled(*text, *label)).collect();
    Loaded {
        dataset: "small".into(),
        variant: String::new(),
        source: String::new(),
        licence: String::new(),
        source_sha256: Default::default(),
        label_names: vec!["negative".into(), "positive".into()],
        train: labelled(train),
        validation: labelled(validation),
        test: test.iter().map(|(text, label)| Record { text: text.to_string(), label: *label }).collect(),
        notes: Vec::new(),
    }
}

#[test]
fn everything_is_counted_once_and_in_its_split() {
    let data = loaded(
        &[("a fine film", 1), ("A fine  FILM", 1), ("a fine film", 0), ("dull", 0), ("it was a very long evening", 0)],
        &[("a fine film", 1), ("Dull", 1), ("fresh", 1)],
        &[("we said it was a very long evening indeed", None), ("it was a very long evening", None)],
    );
    let found = audit(&data);
    let train =
        SplitAudit { rows: 5, label_counts: vec![3, 2], duplicates: 2, conflicting: 3, ..SplitAudit::default() };
    assert_eq!(found.train, train);
    let validation = SplitAudit {
        rows: 3,
        label_counts: vec![0, 3],
        leaked_exact: 1,
        leaked: 2,
        leaked_conflicting: 1,
        example: Some("a fine film".into()),
        ..SplitAudit::default()
    };
    assert_eq!(found.validation, validation);
    let test = SplitAudit {
        rows: 2,
        label_counts: vec![0, 0],
        unlabelled: 2,
        leaked_exact: 1,
        leaked: 1,
        containing: 1,
        example: Some("it was a very long evening".into()),
        ..SplitAudit::default()
    };
    assert_eq!(found.test, test);
    assert_eq!(
        found.findings(),
        [
            "train: 2 of 5 rows (40.0 %) repeat an earlier row",
            "train: 3 of 5 rows (60.0 %) share their text with a row of another label",
            "validation: 2 of 3 rows (66.7 %) are training rows too",
            "validation: 1 of 3 rows (33.3 %) are training rows too, with another label",
            "test: 1 of 2 rows (50.0 %) are training rows too",
            "test: 1 of 2 rows (50.0 %) hold a training text of 5 words or more",
        ]
    );
}

#[test]
fn leakage_above_the_threshold_is_refused_unless_allowed() {
    let found = audit(&loaded(&[("good", 1), ("bad", 0)], &[("Good", 1), ("worse", 0)], &[]));
    assert_eq!(
        found.check(false).expect_err("leaked").to_string(),
        "validation: 1 of 2 rows (50.0 %) are training rows too, so the score would flatter, such as \"Good\"; up to \
         5.0 % is accepted (hint: remove them, or --allow-leakage)"
    );
    assert!(found.check(true).is_ok());
    assert!(audit(&loaded(&[("good", 1), ("bad", 0)], &[("better", 1)], &[])).check(false).is_ok());
}

#[test]
fn conflicting_labels_above_the_threshold_are_refused() {
    let found = audit(&loaded(&[("good", 1), ("GOOD", 0), ("bad", 0)], &[], &[]));
    assert_eq!(
        found.check(false).expect_err("conflicting").to_string(),
        "train: 2 of 3 rows (66.7 %) share their text with a row of another label; up to 5.0 % is accepted (hint: \
         remove them, or --allow-leakage)"
    );
}

#[test]
fn the_run_search_agrees_with_looking_everywhere() {
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
    let runs = runs::Runs::new(needles.iter().map(String::as_str));
    let mut found = 0;
    for seed in 100..400 {
        let hay = text(seed, 4 + seed % 40);
        let expected = needles.iter().any(|needle| {
            needle.split(' ').count() >= MIN_WORDS
                && hay != *needle
                && format!(" {hay} ").contains(&format!(" {needle} "))
        });
        assert_eq!(runs.part_of(&hay), expected, "{hay}");
        found += usize::from(expected);
    }
    assert!((30..270).contains(&found), "{found} of 300 is no test");
}

//! The parser on real trees, invalid trees and random text.

use proptest::prelude::*;

use super::*;

fn real_trees(name: &str) -> Option<Vec<Tree>> {
    let content = std::fs::read_to_string(test_support::treebank()?.join(name)).expect("a readable file");
    Some(content.lines().map(|line| parse(line).expect("a tree")).collect())
}

fn reason(line: &str) -> String {
    parse(line).expect_err("no tree").to_string()
}

#[test]
fn a_tree_gives_its_sentence_its_label_and_its_phrases() {
    let tree = parse("(3 (2 It) (4 (2 's) (4 (3 so) (4 good))))").expect("a tree");
    assert_eq!((tree.text().as_str(), tree.label()), ("It 's so good", 3));
    let phrases: Vec<(String, u8)> = tree.phrases().collect();
    let expected =
        [("It", 2), ("'s", 2), ("so", 3), ("good", 4), ("so good", 4), ("'s so good", 4), ("It 's so good", 3)];
    assert_eq!(phrases, expected.map(|(text, label)| (text.to_string(), label)));
}

#[test]
fn escapes_are_undone_and_a_no_break_space_stays_in_its_token() {
    let tree = parse("(2 (2 -LRB-) (2 (2 8\u{a0}1\\/2) (2 (2 f\\*\\*\\*) (2 -RRB-))))").expect("a tree");
    assert_eq!(tree.text(), "( 8\u{a0}1/2 f*** )");
}

#[test]
fn invalid_trees_are_refused_with_the_column() {
    assert_eq!(reason(""), "column 1: no tree on this line");
    assert_eq!(reason("good"), "column 1: expected \"(\", the start of a tree, found \"good\"");
    assert_eq!(reason("(5 good)"), "column 2: expected a label from 0 to 4, found \"5\"");
    assert_eq!(reason("(-1 good)"), "column 2: expected a label from 0 to 4, found \"-1\"");
    assert_eq!(reason("(good)"), "column 2: expected a label from 0 to 4, found \"good\"");
    assert_eq!(reason("(3"), "column 1: an opening bracket that is never closed");
    assert_eq!(reason("("), "column 1: expected a label from 0 to 4, found the end of the line");
    assert_eq!(reason("(3 (2 so) (3 good)"), "column 1: an opening bracket that is never closed");
    assert_eq!(reason("(3)"), "column 1: a node without words");
    assert_eq!(reason("(3 good))"), "column 9: \")\" after the tree's last bracket; one tree a line");
    assert_eq!(reason("(3 good) (3 good)"), "column 10: \"(\" after the tree's last bracket; one tree a line");
    assert_eq!(reason(")"), "column 1: a closing bracket without its opening one");
    assert_eq!(
        reason("(3 so good)"),
        "column 7: expected a node with one word or with nodes, found \"good\" beside other content"
    );
    assert_eq!(reason("(3 so (3 good))"), "column 7: a node inside a node that already holds a word");
    assert_eq!(
        reason("(3 (3 good) so)"),
        "column 13: expected a node with one word or with nodes, found \"so\" beside other content"
    );
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}(2 a{}", "(2 ".repeat(depth - 1), ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(reason(&nested(MAX_DEPTH + 1)), format!("column {}: nested deeper than 128", 3 * MAX_DEPTH + 1));
    let long = "(2 ".repeat(1_000_000);
    assert_eq!(reason(&long), "column 1: a line of 3000000 bytes; a tree has at most 65536");
}

#[test]
fn classes_fold_five_labels() {
    let folded = |classes: Classes| [0, 1, 2, 3, 4].map(|label| classes.of(label));
    assert_eq!(folded(Classes::Two), [Some(0), Some(0), None, Some(1), Some(1)]);
    assert_eq!(folded(Classes::Three), [Some(0), Some(0), Some(1), Some(2), Some(2)]);
    assert_eq!(folded(Classes::Five), [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    for (classes, count) in [(Classes::Two, 2), (Classes::Three, 3), (Classes::Five, 5)] {
        assert_eq!(classes.of(4), Some(count - 1));
    }
}

#[test]
fn phrases_are_distinct_and_never_a_held_out_sentence() {
    let train =
        ["(4 (3 good) (2 (2 film) (2 .)))", "(3 (1 good) (3 (3 good) (2 !)))", "(3 (3 good) (2 (2 film) (2 .)))"]
            .map(|line| parse(line).expect("a tree"));
    let held_out = [parse("(2 Film)").expect("a tree")];
    let found = phrases(&train, Classes::Five, &held_out);
    let texts: Vec<(&str, Option<u32>)> = found.records.iter().map(|r| (r.text.as_str(), r.label)).collect();
    // `good` is labeled 3 three times and 1 once; `film` is a sentence of another split.
    assert_eq!(texts, [("good", Some(3)), (".", Some(2)), ("film .", Some(2)), ("!", Some(2)), ("good !", Some(3))]);
    assert_eq!((found.held_out, found.ambiguous), (1, 1));
}

#[test]
fn the_real_treebank_has_its_published_counts() {
    let (Some(train), Some(dev), Some(test)) = (real_trees("train.txt"), real_trees("dev.txt"), real_trees("test.txt"))
    else {
        return;
    };
    let sizes = |classes| [&train, &dev, &test].map(|trees| sentences(trees, classes).len());
    assert_eq!(sizes(Classes::Five), [8544, 1101, 2210]);
    assert_eq!(sizes(Classes::Three), [8544, 1101, 2210]);
    assert_eq!(sizes(Classes::Two), [6920, 872, 1821]);
    assert_eq!(train[0].label(), 3);
    assert!(train[0].text().starts_with("The Rock is destined to be the 21st Century 's new `` Conan '' and that he"));
    assert!(!train.iter().any(|tree| tree.text().contains("RB-") || tree.text().contains('\\')));

    let held_out: Vec<Tree> = dev.into_iter().chain(test).collect();
    let found = phrases(&train, Classes::Five, &held_out);
    // 159,274 distinct phrases, of which 8,534 are the distinct sentences and a few are foreign sentences.
    assert_eq!(found.records.len() + found.held_out, 159_274 - 8_534);
    assert_eq!(found.ambiguous, 0);
    let distinct: HashSet<&str> = found.records.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(distinct.len(), found.records.len());
    assert!(train.iter().all(|tree| !distinct.contains(tree.text().as_str())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_tree_survives_writing_and_reading(tree in tree()) {
        let (line, text) = tree;
        let read = parse(&line).expect("a tree");
        prop_assert_eq!(read.text(), text);
    }

    #[test]
    fn random_text_never_panics(line in "[()0-5 a-z\\\\é\u{0}\t-]{0,80}") {
        if let Ok(tree) = parse(&line) {
            prop_assert!(!tree.text().is_empty() && tree.label() <= 4);
            prop_assert!(tree.phrases().all(|(text, label)| !text.is_empty() && label <= 4));
        }
    }
}

/// A random tree as a line, and its sentence.
fn tree() -> impl Strategy<Value = (String, String)> {
    let leaf = (0..5_u8, "[a-zé.,']{1,8}").prop_map(|(label, word)| (format!("({label} {word})"), word));
    leaf.prop_recursive(6, 48, 2, |inner| {
        (0..5_u8, inner.clone(), inner).prop_map(|(label, left, right)| {
            (format!("({label} {} {})", left.0, right.0), format!("{} {}", left.1, right.1))
        })
    })
}

#[test]
fn an_invisible_word_is_refused() {
    for word in ["\u{A0}", "\u{7F}", "\u{FEFF}\u{200B}"] {
        let error = parse(&format!("(2 (2 good) (2 {word}))")).unwrap_err();
        assert_eq!(error.column, 16, "{error}");
        assert!(error.reason.starts_with("a word without a visible character"), "{error}");
    }
    assert_eq!(parse("(2 8\u{A0}1/2)").unwrap().text(), "8\u{A0}1/2");
}

//! Unusual studies: the page is well-formed and all marks lie inside their pictures.

use report::{ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial};
use resvg::usvg::roxmltree::{Document, Node};

use crate::{TestResult, html, marks, number, parameters, picture, points, trial, twelve, xml};

/// The page parses, its marks lie inside their pictures, and no picture is out of proportion.
fn check(what: &str, html: &str) -> TestResult {
    let document = Document::parse(xml(html)).map_err(|error| format!("{what}: {error}"))?;
    for svg in document.descendants().filter(|node| node.tag_name().name() == "svg") {
        let (width, height) = (number(&svg, "width")?, number(&svg, "height")?);
        assert!(height <= 640.0, "{what}: {height} pixels high");
        for node in svg.descendants().filter(Node::is_element) {
            for (name, end) in [("x", width), ("cx", width), ("y", height), ("cy", height)] {
                if node.attribute(name).is_some() {
                    let at = number(&node, name)?;
                    assert!((-0.5..=end + 0.5).contains(&at), "{what}: {node:?} at {at} of {end}");
                }
            }
            if let (Some(_), Some(_)) = (node.attribute("x"), node.attribute("width")) {
                assert!(number(&node, "x")? + number(&node, "width")? <= width + 1.0, "{what}: {node:?}");
            }
            if node.attribute("class").is_some() && node.attribute("points").is_some() {
                let inside = |&(x, y): &(f64, f64)| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
                assert!(points(&node)?.iter().all(inside), "{what}: {node:?}");
            }
        }
    }
    assert!(!html.contains("NaN") && !html.contains(">inf"), "{what}");
    Ok(())
}

#[test]
fn any_number_of_trials_gives_a_page() -> TestResult {
    let outcomes = [StudyOutcome::Complete, StudyOutcome::Pruned, StudyOutcome::Running, StudyOutcome::Failed];
    for trials in [0, 1, 2, 1000] {
        let trials: Vec<StudyTrial> = (0..trials).map(|number| trial(number, outcomes[number as usize % 4])).collect();
        let html = html(&parameters(), &trials, true)?;
        check(&format!("{} trials", trials.len()), &html)?;
        assert!(html.len() < 3_000_000, "{} bytes", html.len());
    }
    assert!(html(&[], &[], true)?.contains("No trial has started yet."));
    check("nothing at all", &StudyPage::default().html()?)?;
    for outcome in outcomes {
        let trials: Vec<StudyTrial> = (0..5).map(|number| trial(number, outcome)).collect();
        let html = html(&parameters(), &trials, true)?;
        check(&format!("only {outcome:?}"), &html)?;
        assert_eq!(html.contains("No trial has a value."), outcome == StudyOutcome::Failed);
        assert_eq!(html.contains("Learning curves"), outcome != StudyOutcome::Failed);
    }
    Ok(())
}

#[test]
fn nan_and_infinite_values_are_left_out() -> TestResult {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, -0.0, 5e-324];
    let mut trials = twelve();
    for (&odd, number) in odd.iter().zip(20..) {
        trials.push(StudyTrial {
            value: Some(odd),
            params: vec![
                ("rate".to_owned(), ParamSetting::Number(odd)),
                ("decay".to_owned(), ParamSetting::Number(odd)),
            ],
            curve: vec![(odd, 0.5), (1.0, odd), (2.0, 0.5)],
            begun: if odd.is_finite() { 0.0 } else { odd },
            seconds: odd,
            ..trial(number, StudyOutcome::Complete)
        });
    }
    for maximize in [true, false] {
        check("odd numbers", &html(&parameters(), &trials, maximize)?)?;
    }
    let finite: Vec<StudyTrial> = trials.iter().take(15).cloned().collect();
    let html = html(&parameters(), &finite, true)?;
    let document = Document::parse(xml(&html))?;
    let complete = marks(picture(&document, "Accuracy by trial")?, "complete");
    let crosses = complete.iter().filter(|mark| mark.attribute("d").is_some()).count();
    assert_eq!((complete.len(), crosses), (10, 3), "trials without a value are crosses on the axis");

    let shares = [("a".to_owned(), f64::NAN), ("b".to_owned(), 0.5), ("c".to_owned(), -1.0), ("d".to_owned(), 0.0)];
    for shares in [&shares[..], &shares[2..], &shares[..1]] {
        check("odd shares", &StudyPage { importance: shares, ..StudyPage::default() }.html()?)?;
    }
    Ok(())
}

#[test]
fn equal_values_and_single_choices_have_a_place() -> TestResult {
    for value in [0.0, 0.5, 1.0, -3.0, 1e300] {
        let same = |number| StudyTrial {
            value: Some(value),
            params: vec![
                ("one".to_owned(), ParamSetting::Number(2e-5)),
                ("word".to_owned(), ParamSetting::Word("w".to_owned())),
            ],
            curve: vec![(1.0, value)],
            begun: 0.0,
            seconds: 0.0,
            ..trial(number, StudyOutcome::Complete)
        };
        let parameters = [
            StudyParameter { name: "one".to_owned(), scale: StudyScale::Number { low: 2e-5, high: 2e-5, log: true } },
            StudyParameter { name: "word".to_owned(), scale: StudyScale::Words(vec!["w".to_owned()]) },
            StudyParameter { name: "none".to_owned(), scale: StudyScale::Words(Vec::new()) },
        ];
        let trials: Vec<StudyTrial> = (0..3).map(same).collect();
        let html = html(&parameters, &trials, true)?;
        check(&format!("all {value}"), &html)?;
        let document = Document::parse(xml(&html))?;
        let dots = marks(picture(&document, "one")?, "complete");
        assert_eq!(dots.len(), 2);
        assert!(number(&dots[0], "cx")? == number(&dots[1], "cx")? && number(&dots[0], "cx")? > 100.0);
        assert_eq!(marks(picture(&document, "Accuracy by epoch")?, "end").len(), 3, "a curve of one point is a dot");
    }
    Ok(())
}

#[test]
fn twelve_parameters_with_long_names_make_a_wide_picture() -> TestResult {
    let name = |index: usize| format!("очень длинное имя, a rather_long_name_of/parameter number {index} 良い 👎");
    let word = |index: u64| format!("a word that no axis has room for, number {index}");
    let parameters: Vec<StudyParameter> = (0..12)
        .map(|index| StudyParameter { name: name(index), scale: StudyScale::Words((0..60).map(word).collect()) })
        .collect();
    let params =
        |number: u64| (0..12).map(|index| (name(index), ParamSetting::Word(word(number + index as u64)))).collect();
    let trials: Vec<StudyTrial> =
        (0..40).map(|number| StudyTrial { params: params(number), ..trial(number, StudyOutcome::Complete) }).collect();
    let html = html(&parameters, &trials, true)?;
    check("long names", &html)?;
    let document = Document::parse(xml(&html))?;
    let parallel = picture(&document, "All trials over their parameters")?;
    assert!(number(&parallel, "width")? > 1000.0);
    assert!(
        parallel.parent().and_then(|parent| parent.attribute("class")).is_some_and(|class| class.contains("whole"))
    );
    let multiples = document.descendants().find(|node| node.attribute("class") == Some("picture multiples"));
    assert_eq!(multiples.map(|node| node.children().filter(Node::is_element).count()), Some(12));
    Ok(())
}

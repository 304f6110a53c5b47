//! The page is complete and in order, texts stay texts, and the same study gives the same page.

use std::error::Error;

use report::{
    ConfusionPlot, HeadlineNumber, ParamSetting, ScoreRow, StudyOutcome, StudyPage, StudyParameter, StudyScale,
    StudyTrial,
};
use resvg::usvg::roxmltree::{Document, Node};

use crate::{TestResult, html, parameters, trial, twelve, xml};

#[test]
fn sections_are_in_order() -> TestResult {
    let (parameters, trials) = (parameters(), twelve());
    let pair = [("data".to_owned(), "reviews".to_owned())];
    let (labels, counts) = (["bad".to_owned(), "good".to_owned()], [vec![5, 6], vec![0, 7]]);
    let row = ScoreRow { name: "macro".to_owned(), precision: 0.9, recall: 0.8, f1: 0.85, examples: 18 };
    let html = StudyPage {
        title: "A study",
        subtitle: "of reviews",
        notes: &["A stand-in".to_owned()],
        headline: &[HeadlineNumber { name: "Accuracy".to_owned(), value: "90 %".to_owned(), detail: String::new() }],
        metric: "accuracy",
        maximize: true,
        parameters: &parameters,
        trials: &trials,
        importance: &[("rate".to_owned(), 1.0)],
        winner: Some(11),
        winning: &pair,
        optimism: "validation 0.9120, test 0.8870: 2.5 points of <optimism>",
        test_scores: &[row],
        confusion: Some(ConfusionPlot { labels: &labels, counts: &counts, title: "" }),
        origins: &pair,
    }
    .html()?;
    let document = Document::parse(xml(&html))?;
    let headings = document.descendants().filter(|node| node.has_tag_name("h2")).filter_map(|node| node.text());
    let expected = [
        "How the search went",
        "Winning configuration",
        "The test split",
        "What mattered",
        "All trials at once",
        "One option at a time",
        "Learning curves",
        "Time of the trials",
        "All trials",
        "Sources of the data and weights",
    ];
    assert_eq!(headings.collect::<Vec<_>>(), expected);
    assert!(html.contains("2.5 points of &lt;optimism&gt;"), "stands with the scores on test");
    assert!(html.contains("Trial 11: accuracy 50.44 %"), "the winner's value stands above its configuration");

    let svgs: Vec<Node> = document.descendants().filter(|node| node.tag_name().name() == "svg").collect();
    assert_eq!(svgs.len(), 6 + parameters.len());
    for svg in svgs {
        assert_eq!(svg.attribute("role"), Some("img"));
        let words = |name| svg.children().find(|child| child.tag_name().name() == name).and_then(|child| child.text());
        assert!(
            words("title").is_some_and(|text| !text.is_empty()) && words("desc").is_some_and(|text| !text.is_empty())
        );
    }
    let outside = html.replace("http://www.w3.org/2000/svg", "").replace("href=\"#", "");
    for reference in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe"] {
        assert!(!outside.contains(reference), "{reference}");
    }
    assert!(html.contains("default-src 'none'"));
    Ok(())
}

#[test]
fn the_table_has_the_best_first_and_at_most_200_rows() -> TestResult {
    let mut trials = twelve();
    trials.extend((12..1000).map(|number| trial(number, StudyOutcome::Complete)));
    let many = html(&parameters(), &trials, true)?;
    let document = Document::parse(xml(&many))?;
    let table = document.descendants().find(|node| node.attribute("class") == Some("trials")).ok_or("no table")?;
    let rows: Vec<Vec<&str>> = table
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .map(|row| row.children().map(|cell| cell.text().unwrap_or_default()).collect())
        .collect();
    assert_eq!(rows[0], ["Trial", "Outcome", "accuracy", "Seconds", "rate", "decay", "schedule", "Error"]);
    assert_eq!(rows[1][..4], ["999", "winner", "89.96 %", "1004.0"]);
    assert_eq!(rows.len(), 201);
    assert!(many.contains("The first 200 of 1000 trials"));

    let few = html(&parameters(), &twelve(), true)?;
    let last = few.rfind("<tr>").ok_or("no rows")?;
    assert!(few[last..].contains(">4</th>") && few[last..].contains("out of memory"), "failed ones come last");
    Ok(())
}

/// A page whose every text is `text`.
fn page_of(text: &str) -> report::Result<String> {
    let text = text.to_owned();
    let pair = (text.clone(), text.clone());
    let parameters = [
        StudyParameter { name: text.clone(), scale: StudyScale::Words(vec![text.clone(), "other".to_owned()]) },
        StudyParameter { name: format!("{text} 2"), scale: StudyScale::Number { low: 0.0, high: 1.0, log: false } },
    ];
    let params =
        vec![(text.clone(), ParamSetting::Word(text.clone())), (format!("{text} 2"), ParamSetting::Number(0.5))];
    let trials = [StudyOutcome::Complete, StudyOutcome::Failed].map(|outcome| StudyTrial {
        params: params.clone(),
        error: Some(text.clone()),
        ..trial(outcome as u64, outcome)
    });
    StudyPage {
        title: &text,
        subtitle: &text,
        notes: std::slice::from_ref(&text),
        headline: &[HeadlineNumber { name: text.clone(), value: text.clone(), detail: text.clone() }],
        metric: &text,
        maximize: true,
        parameters: &parameters,
        trials: &trials,
        importance: &[(text.clone(), 1.0)],
        winner: Some(0),
        winning: std::slice::from_ref(&pair),
        optimism: &text,
        test_scores: &[ScoreRow { name: text.clone(), precision: 0.1, recall: 0.2, f1: f64::NAN, examples: 1 }],
        confusion: None,
        origins: std::slice::from_ref(&pair),
    }
    .html()
}

#[test]
fn all_text_is_escaped() -> TestResult {
    let elements = |html: &str| -> Result<usize, Box<dyn Error>> {
        let document = Document::parse(xml(html))?;
        let outside = |node: &Node| node.ancestors().all(|ancestor| ancestor.tag_name().name() != "svg");
        Ok(document.descendants().filter(|node| node.is_element() && outside(node)).count())
    };
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</style></title>&amp;'",
        "\u{0}\u{1b}[\u{FFFF}",
    ] {
        let html = page_of(hostile)?;
        let document = Document::parse(xml(&html))?;
        assert!(document.descendants().all(|node| !["script", "img"].contains(&node.tag_name().name())), "{hostile}");
        assert!(!html.contains(hostile), "{hostile}");
        assert_eq!(elements(&html)?, elements(&page_of("Marmelade")?)?, "{hostile}");
    }
    Ok(())
}

#[test]
fn the_same_study_gives_the_same_page_in_whatever_order_its_trials_come() -> TestResult {
    let trials = twelve();
    let reversed: Vec<StudyTrial> = trials.iter().rev().cloned().collect();
    let once = html(&parameters(), &trials, true)?;
    assert!(once == html(&parameters(), &trials, true)?, "twice the same");
    assert!(once == html(&parameters(), &reversed, true)?, "in reverse the same");
    Ok(())
}

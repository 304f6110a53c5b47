//! The study's page: a study to draw, and how to find a picture's marks again.

use std::error::Error;

use report::{ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial};
use resvg::usvg::roxmltree::{Document, Node};

mod odd_studies;
mod positions;
mod texts;

type TestResult = Result<(), Box<dyn Error>>;

fn xml(html: &str) -> &str {
    html.strip_prefix("<!DOCTYPE html>\n").unwrap_or_default()
}

/// The picture with this title.
fn picture<'a, 'd>(document: &'a Document<'d>, title: &str) -> Result<Node<'a, 'd>, Box<dyn Error>> {
    let titled =
        |node: &Node| node.children().any(|child| child.tag_name().name() == "title" && child.text() == Some(title));
    let mut svgs = document.descendants().filter(|node| node.tag_name().name() == "svg");
    Ok(svgs.find(titled).ok_or_else(|| format!("no picture {title:?}"))?)
}

/// A picture's marks of a class.
fn marks<'a, 'd>(picture: Node<'a, 'd>, class: &str) -> Vec<Node<'a, 'd>> {
    picture.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

fn number(node: &Node, name: &str) -> Result<f64, Box<dyn Error>> {
    Ok(node.attribute(name).ok_or_else(|| format!("{node:?} has no {name}"))?.parse()?)
}

/// A line's points.
fn points(line: &Node) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let point = |text: &str| -> Result<(f64, f64), Box<dyn Error>> {
        let (x, y) = text.split_once(',').ok_or("a point without a comma")?;
        Ok((x.parse()?, y.parse()?))
    };
    line.attribute("points").unwrap_or_default().split_whitespace().map(point).collect()
}

fn parameters() -> Vec<StudyParameter> {
    let parameter = |name: &str, scale| StudyParameter { name: name.to_owned(), scale };
    vec![
        parameter("rate", StudyScale::Number { low: 1e-6, high: 1e-2, log: true }),
        parameter("decay", StudyScale::Number { low: 0.0, high: 1.0, log: false }),
        parameter("schedule", StudyScale::Words(["linear", "cosine"].map(str::to_owned).into())),
    ]
}

/// A trial whose value, settings and times follow from its number; every fifth lacks `decay`.
fn trial(number: u64, outcome: StudyOutcome) -> StudyTrial {
    let part = number as f64 / 1000.0;
    let mut params = vec![
        ("rate".to_owned(), ParamSetting::Number(1e-6 * 1e4f64.powf(part))),
        (
            "schedule".to_owned(),
            ParamSetting::Word(if number.is_multiple_of(2) { "linear" } else { "cosine" }.to_owned()),
        ),
    ];
    if !number.is_multiple_of(5) {
        params.push(("decay".to_owned(), ParamSetting::Number(1.0 - part)));
    }
    let failed = outcome == StudyOutcome::Failed;
    let value = 0.5 + 0.4 * part;
    StudyTrial {
        number,
        outcome,
        value: (!failed).then_some(value),
        params,
        curve: if failed { Vec::new() } else { vec![(1.0, value - 0.1), (2.0, value - 0.05), (3.0, value)] },
        begun: 10.0 * number as f64,
        seconds: 5.0 + number as f64,
        error: failed.then(|| "out of memory".to_owned()),
    }
}

/// Numbers 0 to 11: two pruned, one failed, one running, eight complete of which 11 is the best.
fn twelve() -> Vec<StudyTrial> {
    let outcome = |number| match number {
        3 | 7 => StudyOutcome::Pruned,
        4 => StudyOutcome::Failed,
        10 => StudyOutcome::Running,
        _ => StudyOutcome::Complete,
    };
    (0..12).map(|number| trial(number, outcome(number))).collect()
}

fn html(parameters: &[StudyParameter], trials: &[StudyTrial], maximize: bool) -> report::Result<String> {
    let complete = trials.iter().filter(|trial| trial.outcome == StudyOutcome::Complete);
    let best = complete.filter(|trial| trial.value.is_some_and(f64::is_finite)).max_by(|a, b| {
        let order = a.value.partial_cmp(&b.value).unwrap_or(std::cmp::Ordering::Equal);
        if maximize { order } else { order.reverse() }
    });
    let importance = [("rate".to_owned(), 0.8), ("decay".to_owned(), 0.2)];
    StudyPage {
        title: "A study",
        metric: "accuracy",
        maximize,
        parameters,
        trials,
        importance: &importance,
        winner: best.map(|trial| trial.number),
        ..StudyPage::default()
    }
    .html()
}

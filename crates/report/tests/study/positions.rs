//! Marks are as many as there are trials, and where the numbers say.

use std::error::Error;

use report::{StudyOutcome, StudyTrial};
use resvg::usvg::roxmltree::{Document, Node};

use crate::{TestResult, html, marks, number, parameters, picture, points, trial, twelve, xml};

#[test]
fn the_history_has_a_mark_for_each_trial_higher_for_higher_values() -> TestResult {
    let html = html(&parameters(), &twelve(), true)?;
    let document = Document::parse(xml(&html))?;
    let history = picture(&document, "Accuracy by trial")?;
    let counts =
        ["complete", "pruned", "failed", "running", "winner", "winner-ring", "best"].map(|c| marks(history, c).len());
    assert_eq!(counts, [7, 2, 1, 1, 1, 1, 1]);
    let complete = marks(history, "complete");
    for pair in complete.windows(2) {
        assert!(number(&pair[0], "cx")? < number(&pair[1], "cx")? && number(&pair[0], "cy")? > number(&pair[1], "cy")?);
    }
    assert!(complete.iter().all(|dot| dot.attribute("fill") != Some("none")));
    assert!(marks(history, "pruned").iter().all(|ring| ring.attribute("fill") == Some("none")));
    assert!(marks(history, "failed")[0].has_tag_name(("http://www.w3.org/2000/svg", "path")), "a cross");
    assert_eq!(number(&marks(history, "winner-ring")[0], "cy")?, number(&marks(history, "winner")[0], "cy")?);
    assert!(html.contains("<title>Trial 3: accuracy 50.12 %, pruned</title>"));

    let steps = points(&marks(history, "best")[0])?;
    assert_eq!(steps.len(), 2 * 8, "eight improvements, and on to the edge");
    assert!(steps.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 >= pair[1].1), "{steps:?}");
    assert!(steps.windows(2).all(|pair| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1), "steps");
    Ok(())
}

#[test]
fn where_less_is_better_the_best_so_far_goes_down() -> TestResult {
    let trials: Vec<StudyTrial> = [0.9, 0.5, 0.7, 0.3]
        .into_iter()
        .zip(0..)
        .map(|(loss, number)| StudyTrial { value: Some(loss), ..trial(number, StudyOutcome::Complete) })
        .collect();
    let html = html(&parameters(), &trials, false)?;
    let document = Document::parse(xml(&html))?;
    let steps = points(&marks(picture(&document, "Accuracy by trial")?, "best")[0])?;
    assert_eq!(steps.len(), 6);
    assert!(steps.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{steps:?}");
    assert!(html.contains("accuracy 0.3000") && !html.contains("30.00 %"), "a loss isn't a percentage");
    Ok(())
}

#[test]
fn parallel_lines_pass_each_axis_where_the_setting_lies() -> TestResult {
    let html = html(&parameters(), &twelve(), true)?;
    let document = Document::parse(xml(&html))?;
    let picture = picture(&document, "All trials over their parameters")?;
    let lines: Vec<Node> =
        ["complete", "pruned", "winner"].into_iter().flat_map(|class| marks(picture, class)).collect();
    let (dashed, solid): (Vec<Node>, Vec<Node>) =
        lines.into_iter().partition(|line| line.attribute("stroke-dasharray").is_some());
    // 0 and 5 lack the axis in the middle: a dashed stretch past it, and a solid one to the value. 10 still runs.
    assert_eq!((dashed.len(), solid.len()), (2, 10));
    let mut firsts = Vec::new();
    for line in solid.iter().filter(|line| line.attribute("class") != Some("winner")) {
        let points = points(line)?;
        match points.len() {
            4 => firsts.push((points[0].1, points[1].1, points[3].1)),
            2 => {}
            other => return Err(format!("a line of {other} points").into()),
        }
    }
    firsts.sort_by(|a, b| b.2.total_cmp(&a.2));
    assert!(firsts.windows(2).all(|pair| pair[0].0 >= pair[1].0), "the rate rises with the value: {firsts:?}");
    assert!(firsts.windows(2).all(|pair| pair[0].1 <= pair[1].1), "the decay falls with it: {firsts:?}");
    let width = |line: &Node| number(line, "stroke-width");
    let winner = marks(picture, "winner");
    assert!(
        solid.iter().all(|line| line.attribute("class") == Some("winner") || width(line).ok() < width(&winner[0]).ok())
    );
    Ok(())
}

#[test]
fn slices_are_logarithmic_where_the_parameter_is() -> TestResult {
    let trials: Vec<StudyTrial> = [0, 250, 500, 750, 1000].map(|n| trial(n, StudyOutcome::Complete)).into();
    let html = html(&parameters(), &trials, true)?;
    let document = Document::parse(xml(&html))?;
    let rate = picture(&document, "rate")?;
    let dots = marks(rate, "complete").into_iter().chain(marks(rate, "winner"));
    let mut xs = dots.map(|dot| number(&dot, "cx")).collect::<Result<Vec<f64>, _>>()?;
    xs.sort_by(f64::total_cmp);
    let step = (xs[4] - xs[0]) / 4.0;
    assert!(step > 40.0 && xs.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() < 0.2), "{xs:?}");
    // Each of these numbers is one of five, so none has a decay.
    assert!(marks(picture(&document, "decay")?, "complete").is_empty());

    let schedule = picture(&document, "schedule")?;
    let mut xs = Vec::new();
    for dot in marks(schedule, "complete") {
        xs.push(number(&dot, "cx")?);
    }
    assert_eq!(xs.len(), 4);
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    assert_eq!(xs.len(), 4, "dots of one word lie beside each other");
    Ok(())
}

#[test]
fn bars_are_as_long_as_shares_and_times() -> TestResult {
    let html = html(&parameters(), &twelve(), true)?;
    let document = Document::parse(xml(&html))?;
    let shares = marks(picture(&document, "Importance of the parameters")?, "share");
    assert_eq!(shares.len(), 2);
    assert!((number(&shares[0], "width")? - 4.0 * number(&shares[1], "width")?).abs() < 0.5, "0.8 to 0.2");

    let cost = picture(&document, "Trials over time")?;
    let bars = ["complete", "pruned", "failed", "running", "winner"].into_iter().flat_map(|class| marks(cost, class));
    let mut bars = bars.map(|bar| Ok((number(&bar, "y")?, number(&bar, "x")?, number(&bar, "width")?)));
    let mut bars = bars.by_ref().collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    bars.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(bars.len(), 12);
    let second = (bars[11].1 - bars[0].1) / 110.0;
    for (number, bar) in bars.iter().enumerate() {
        assert!((bar.2 - second * (5.0 + number as f64)).abs() < 0.2, "trial {number}: {bar:?}");
    }
    // 12 x 5 s and 0 + 1 + … + 11 s; the pruned 3 and 7 took 20 s of it.
    assert!(html.contains("12 trials took 2 min 6 s (126 s) in all, within 2 min 6 s of time."), "the sum");
    assert!(html.contains("15.9 % went into 2 that were pruned and 7.1 % went into 1 that failed."), "{html}");
    Ok(())
}

#[test]
fn curves_end_in_a_mark_where_trials_were_given_up() -> TestResult {
    let html = html(&parameters(), &twelve(), true)?;
    let document = Document::parse(xml(&html))?;
    let learning = picture(&document, "Accuracy by epoch")?;
    let counts = ["complete", "pruned", "failed", "running", "winner", "end"].map(|class| marks(learning, class).len());
    assert_eq!(counts, [7, 2, 0, 1, 1, 2 + 1], "two pruned ones and the winner");
    for line in marks(learning, "complete") {
        let points = points(&line)?;
        assert!(points.len() == 3 && points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
    }
    let faint = number(&marks(learning, "pruned")[0], "opacity")?;
    assert!(faint < number(&marks(learning, "complete")[0], "opacity")?);
    Ok(())
}

#[test]
fn many_trials_share_rows_without_covering_each_other() -> TestResult {
    let trials: Vec<StudyTrial> = (0..1000u64)
        .map(|number| StudyTrial {
            begun: (number / 8) as f64 * 100.0,
            seconds: 60.0 + (number % 8) as f64,
            ..trial(number, StudyOutcome::Pruned)
        })
        .collect();
    let html = html(&parameters(), &trials, true)?;
    let document = Document::parse(xml(&html))?;
    let mut bars = Vec::new();
    for bar in marks(picture(&document, "Trials over time")?, "pruned") {
        bars.push((number(&bar, "y")?, number(&bar, "x")?, number(&bar, "width")?));
    }
    assert_eq!(bars.len(), 1000);
    bars.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let mut rows: Vec<f64> = bars.iter().map(|bar| bar.0).collect();
    rows.dedup();
    assert_eq!(rows.len(), 8, "as many as run at once");
    // A bar is at least a pixel wide.
    assert!(bars.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].1 + pair[0].2.max(1.0) <= pair[1].1 + 1.0));
    Ok(())
}

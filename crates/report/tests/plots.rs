//! The pictures of a judgement: reliability, lines, shares with their intervals. They show what they are given, in the right
//! places, and whatever the texts are.

use std::error::Error;

use report::{
    ConfidenceBin, IntervalPlot, IntervalRow, LinePlot, Picture, PlotAxis, PlotInterval, PlotLine, ReliabilityLine,
    ReliabilityPlot, ReportError,
};
use resvg::tiny_skia::Pixmap;
use resvg::usvg::roxmltree::{Document, Node};

type TestResult = Result<(), Box<dyn Error>>;

const SHARE: PlotAxis<'static> = PlotAxis { name: "a share", range: Some((0.0, 1.0)), percent: true };

fn interval(value: f64) -> PlotInterval {
    PlotInterval { value, low: value - 0.05, high: value + 0.05 }
}

fn bin(low: f64, rows: u64, accuracy: f64) -> ConfidenceBin {
    ConfidenceBin { low, high: low + 0.1, rows, confidence: low + 0.05, accuracy: interval(accuracy) }
}

/// Marks of one kind.
fn marks<'a>(document: &'a Document, class: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn points(node: &Node) -> Vec<(f64, f64)> {
    let pairs = node.attribute("points").unwrap_or_default().split(' ').filter_map(|pair| pair.split_once(','));
    pairs.filter_map(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?))).collect()
}

/// Everything lies inside, all is well-formed, it has a title and a description, and the PNG is not blank.
fn check(picture: &Picture) -> TestResult {
    let document = Document::parse(picture.svg())?;
    let root = document.root_element();
    let (width, height) = (number(&root, "width"), number(&root, "height"));
    assert_eq!(root.attribute("role"), Some("img"));
    for name in ["title", "desc"] {
        let said = root.children().find(|node| node.has_tag_name(name)).and_then(|node| node.text());
        assert!(said.is_some_and(|text| !text.trim().is_empty()), "{name}");
    }
    assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    for node in document.descendants() {
        let at = points(&node).into_iter().chain([(number(&node, "cx"), number(&node, "cy"))]);
        for (x, y) in at.chain([(number(&node, "x"), number(&node, "y"))]).filter(|(x, _)| x.is_finite()) {
            let inside = (-0.5..=width + 0.5).contains(&x) && (-0.5..=height + 0.5).contains(&y);
            assert!(inside, "({x}, {y}) of {width} x {height}: {node:?}");
        }
    }
    let pixels = Pixmap::decode_png(&picture.png()?)?;
    assert_eq!((f64::from(pixels.width()), f64::from(pixels.height())), (2.0 * width, 2.0 * height));
    let first = pixels.pixels().first().copied();
    assert!(pixels.pixels().iter().filter(|pixel| Some(**pixel) != first).count() > 1_000, "blank");
    Ok(())
}

#[test]
fn a_bin_stands_at_its_confidence_with_its_interval_and_a_bar_of_its_rows() -> TestResult {
    let bins = [bin(0.5, 10, 0.4), bin(0.9, 40, 0.9)];
    let picture = ReliabilityPlot { title: "t", models: &[ReliabilityLine { name: "", bins: &bins }] }.draw()?;
    check(&picture)?;
    let document = Document::parse(picture.svg())?;
    let dots = marks(&document, "bin");
    assert_eq!((dots.len(), marks(&document, "interval").len()), (2, 2));
    let diagonal = points(&marks(&document, "diagonal")[0]);
    let (left, bottom, right, top) = (diagonal[0].0, diagonal[0].1, diagonal[1].0, diagonal[1].1);
    for (dot, (x, y)) in dots.iter().zip([(0.55, 0.4), (0.95, 0.9)]) {
        let at = (left + x * (right - left), bottom + y * (top - bottom));
        let found = (number(dot, "cx"), number(dot, "cy"));
        assert!((found.0 - at.0).abs() < 0.2 && (found.1 - at.1).abs() < 0.2, "{found:?}, not {at:?}");
    }
    let ends = points(&marks(&document, "interval")[1]);
    assert!(((ends[0].1 - ends[1].1) - 0.1 * (bottom - top)).abs() < 0.3, "0.85 to 0.95: {ends:?}");
    let bars = marks(&document, "count");
    assert!((number(&bars[1], "height") / number(&bars[0], "height") - 4.0).abs() < 0.01, "40 rows and 10");
    assert!(picture.svg().contains("confidence 90 to 100 %: 40 rows, 95.0 % on average, 90.00 % (85.0 to 95.0) right"));
    Ok(())
}

#[test]
fn several_models_are_lines_with_names_and_without_bars() -> TestResult {
    let (one, two) = ([bin(0.5, 10, 0.5), bin(0.9, 5, 0.8)], [bin(0.6, 3, 0.7), bin(0.8, 5, 0.9)]);
    let models = [ReliabilityLine { name: "runs/a", bins: &one }, ReliabilityLine { name: "runs/<b>", bins: &two }];
    let picture = ReliabilityPlot { title: "t", models: &models }.draw()?;
    check(&picture)?;
    let document = Document::parse(picture.svg())?;
    assert_eq!((marks(&document, "line").len(), marks(&document, "bin").len()), (2, 4));
    assert_eq!((marks(&document, "count").len(), marks(&document, "interval").len()), (0, 0));
    assert!(picture.svg().contains("runs/&lt;b&gt;"));
    Ok(())
}

#[test]
fn a_line_goes_through_its_points_and_marks_those_it_should() -> TestResult {
    let points_of = [(0.0, 0.0), (0.25, 0.75), (1.0, 1.0)];
    let marked = [(0.25, 0.75, "the best".to_owned())];
    let lines = [
        PlotLine { name: "negative", note: "AUC 0.9", points: &points_of, marked: &marked },
        PlotLine { name: "positive", note: "", points: &[(0.0, 0.5), (f64::NAN, 0.1), (1.0, 0.5)], marked: &[] },
    ];
    let picture = LinePlot { title: "ROC", x: SHARE, y: SHARE, lines: &lines, diagonal: true }.draw()?;
    check(&picture)?;
    let document = Document::parse(picture.svg())?;
    let drawn = marks(&document, "line");
    let (diagonal, line) = (points(&marks(&document, "diagonal")[0]), points(&drawn[0]));
    assert_eq!((line[0], line[2]), (diagonal[0], diagonal[1]), "from corner to corner");
    let expected = (
        diagonal[0].0 + 0.25 * (diagonal[1].0 - diagonal[0].0),
        diagonal[0].1 + 0.75 * (diagonal[1].1 - diagonal[0].1),
    );
    assert!((line[1].0 - expected.0).abs() < 0.2 && (line[1].1 - expected.1).abs() < 0.2);
    assert_eq!(points(&drawn[1]).len(), 2, "what is not a number is left out");
    let ring = &marks(&document, "marked")[0];
    assert!((number(ring, "cx") - line[1].0).abs() < 0.2 && (number(ring, "cy") - line[1].1).abs() < 0.2);
    assert!(ring.children().any(|node| node.text() == Some("the best")));
    for text in ["negative", "AUC 0.9", "positive", "ROC", "a share"] {
        assert!(document.descendants().any(|node| node.text().is_some_and(|t| t.trim() == text)), "{text}");
    }
    // Two lines differ in more than their color.
    assert!(drawn[0].attribute("stroke-dasharray").is_none() && drawn[1].attribute("stroke-dasharray").is_some());
    Ok(())
}

#[test]
fn an_axis_without_ends_holds_all_points() -> TestResult {
    let points_of = [(0.0, 0.02), (3.0, 0.31)];
    let free = |name, percent| PlotAxis { name, range: None, percent };
    let lines = [PlotLine { name: "a", note: "", points: &points_of, marked: &[] }];
    let picture =
        LinePlot { title: "t", x: free("epochs", false), y: free("risk", true), lines: &lines, diagonal: false };
    check(&picture.draw()?)?;
    let alone = [PlotLine { points: &points_of[..1], ..lines[0] }];
    check(&LinePlot { lines: &alone, ..picture }.draw()?)?;
    Ok(())
}

#[test]
fn shares_stand_below_their_group_beside_the_reference_and_the_marked_one_stands_out() -> TestResult {
    let row = |group, name, value, marked| IntervalRow { group, name, share: interval(value), note: "of 80", marked };
    let rows = [
        row("length", "short", 0.9, false),
        row("length", "long", 0.7, true),
        row("<negation>", "with", 0.8, false),
        row("negation", "gone", f64::NAN, false),
    ];
    let plot =
        IntervalPlot { title: "Slices", axis: "accuracy", reference: Some(("all", interval(0.85))), rows: &rows };
    let picture = plot.draw()?;
    check(&picture)?;
    let document = Document::parse(picture.svg())?;
    let dots = marks(&document, "share");
    assert_eq!(dots.len(), 3);
    assert!(number(&dots[0], "cx") > number(&dots[2], "cx") && number(&dots[2], "cx") > number(&dots[1], "cx"));
    assert!(number(&dots[0], "cy") < number(&dots[1], "cy") && number(&dots[1], "cy") < number(&dots[2], "cy"));
    let ring = marks(&document, "marked");
    assert_eq!((ring.len(), number(&ring[0], "cx")), (1, number(&dots[1], "cx")));
    let line = marks(&document, "reference").into_iter().find(|node| node.has_tag_name("polyline")).ok_or("no line")?;
    let x = points(&line)[0].0;
    assert!(number(&dots[2], "cx") < x && x < number(&dots[0], "cx"), "0.85 lies between 0.8 and 0.9");
    for text in ["length", "short", "long", "&lt;negation&gt;", "90.0 %  of 80", "Slices", "accuracy"] {
        assert!(picture.svg().contains(text), "{text}");
    }
    assert!(!picture.svg().contains("gone"));
    Ok(())
}

#[test]
fn any_text_and_number_can_be_drawn() -> TestResult {
    let hostile = "</text><script>alert(1)</script>\u{0} 負 👎 ".repeat(9);
    for value in [0.0, 1.0, 0.5, -3.0, 1e300] {
        let share = PlotInterval { value, low: value, high: value };
        let rows = [IntervalRow { group: &hostile, name: &hostile, share, note: &hostile[..8], marked: true }];
        let plot = IntervalPlot {
            title: &hostile[..20],
            axis: &hostile[..9],
            reference: Some((&hostile, share)),
            rows: &rows,
        };
        let svg = plot.draw()?;
        assert!(Document::parse(svg.svg())?.descendants().all(|node| !node.has_tag_name("script")));
        let points = [(value, value), (value + 1.0, value)];
        let lines =
            [PlotLine { name: &hostile, note: "", points: &points, marked: &[(value, value, hostile.clone())] }];
        let free = PlotAxis { name: &hostile[..9], range: None, percent: false };
        let svg = LinePlot { title: &hostile, x: free, y: free, lines: &lines, diagonal: true }.draw();
        if let Ok(svg) = svg {
            Document::parse(svg.svg())?;
        }
        let bins = [ConfidenceBin { low: value, high: value, rows: u64::MAX, confidence: value, accuracy: share }];
        let models = [ReliabilityLine { name: &hostile, bins: &bins }];
        Document::parse(ReliabilityPlot { title: &hostile, models: &models }.draw()?.svg())?;
    }
    Ok(())
}

#[test]
fn without_a_finite_number_there_is_nothing_to_draw() {
    let none = PlotInterval { value: f64::NAN, low: 0.0, high: 1.0 };
    let rows = [IntervalRow { group: "", name: "a", share: none, note: "", marked: false }];
    let intervals = IntervalPlot { title: "", axis: "", reference: None, rows: &rows }.draw();
    let lines = [PlotLine { name: "a", note: "", points: &[(f64::NAN, 1.0)], marked: &[] }];
    let lines = LinePlot { title: "", x: SHARE, y: SHARE, lines: &lines, diagonal: false }.draw();
    let reliability = ReliabilityPlot { title: "", models: &[ReliabilityLine { name: "", bins: &[] }] }.draw();
    for drawn in [intervals, lines, reliability] {
        assert!(matches!(drawn, Err(ReportError::NothingToDraw { .. })), "{drawn:?}");
    }
}

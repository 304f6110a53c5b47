//! The pictures have the right content, are well-formed, and their PNGs are not blank.

use std::error::Error;

use report::{ConfusionPlot, Curves, EvaluationPoint, ReportError, StepPoint};
use resvg::tiny_skia::Pixmap;
use resvg::usvg::roxmltree::Document;

type TestResult = Result<(), Box<dyn Error>>;

/// The texts of a picture, each on one line.
fn texts(document: &Document) -> Vec<String> {
    let elements = document.descendants().filter(|node| node.has_tag_name("text"));
    elements.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

/// A picture's width and height.
fn size(document: &Document) -> Result<(u32, u32), Box<dyn Error>> {
    let side = |name| document.root_element().attribute(name).ok_or("a side without a size");
    Ok((side("width")?.parse()?, side("height")?.parse()?))
}

/// How many different colors a PNG has, after checking that it's twice the SVG's size.
fn colors(png: &[u8], svg: &str) -> Result<usize, Box<dyn Error>> {
    let pixels = Pixmap::decode_png(png)?;
    let (width, height) = size(&Document::parse(svg)?)?;
    assert_eq!((pixels.width(), pixels.height()), (2 * width, 2 * height));
    let mut colors: Vec<[u8; 4]> = pixels.pixels().iter().map(|p| [p.red(), p.green(), p.blue(), p.alpha()]).collect();
    assert!(colors.iter().all(|color| color[3] == 255), "the paper covers everything");
    colors.sort_unstable();
    colors.dedup();
    Ok(colors.len())
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_matrix_shows_every_label_and_count() -> TestResult {
    let labels = labels(&["negative", "neutral", "positive"]);
    let counts = [vec![411, 30, 7], vec![102, 95, 88], vec![0, 64, 1200]];
    let plot = ConfusionPlot { labels: &labels, counts: &counts, title: "SST-3, test" };
    let picture = plot.draw()?;
    let svg = picture.svg();
    let document = Document::parse(svg)?;
    let texts = texts(&document);
    for label in &labels {
        assert_eq!(texts.iter().filter(|text| *text == label).count(), 2, "{label}: once a row, once a column");
    }
    for count in counts.iter().flatten() {
        assert!(texts.contains(&count.to_string()), "{count} in {texts:?}");
    }
    for text in ["SST-3, test", "true", "predicted", "91.7 %", "n = 448", "n = 1264"] {
        assert!(texts.iter().any(|t| t == text), "{text:?} in {texts:?}");
    }
    assert!(colors(&picture.png()?, svg)? > 50);
    Ok(())
}

/// Two names of the same width change places: the picture differs only where they are painted.
#[test]
fn names_are_painted_with_the_fonts_inside_the_program() -> TestResult {
    let png = |names: &[&str]| {
        let counts = vec![vec![1, 1]; 2];
        ConfusionPlot { labels: &labels(names), counts: &counts, title: "" }.draw()?.png()
    };
    let (one, other) = (Pixmap::decode_png(&png(&["ab", "ba"])?)?, Pixmap::decode_png(&png(&["ba", "ab"])?)?);
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let differing = one.pixels().iter().zip(other.pixels()).filter(|(a, b)| a != b).count();
    assert!((100..5000).contains(&differing), "{differing} pixels");
    Ok(())
}

/// Every text stays inside the picture and no row name reaches into the squares, by the program's own measure of text.
#[test]
fn up_to_twenty_classes_with_any_names_fit() -> TestResult {
    for classes in [1, 2, 3, 5, 7, 12, 20] {
        let names: Vec<String> =
            (0..classes).map(|class| format!("{} very long class name {class}", "so ".repeat(class % 9))).collect();
        let counts: Vec<Vec<u64>> = (0..classes as u64).map(|t| vec![t * 10_007; classes]).collect();
        let picture = ConfusionPlot { labels: &names, counts: &counts, title: "" }.draw()?;
        let svg = picture.svg();
        let document = Document::parse(svg)?;
        let (width, height) = size(&document)?;
        for node in document.descendants().filter(|node| node.has_tag_name("text") || node.has_tag_name("rect")) {
            let at = |name| node.attribute(name).map_or(Ok(0.0), str::parse::<f64>);
            let right = at("x")? + at("width")?;
            let bottom = at("y")? + at("height")?;
            assert!(at("x")? >= 0.0 && right <= f64::from(width), "{classes} classes: {node:?}");
            assert!(at("y")? >= 0.0 && bottom <= f64::from(height), "{classes} classes: {node:?}");
        }
        let drawn = texts(&document).iter().filter(|text| text.ends_with('…')).count();
        assert!(classes < 8 || drawn > 0, "names this long are cut");
        for name in &names {
            assert!(svg.contains(name.as_str()), "the description has the whole name");
        }
    }
    Ok(())
}

#[test]
fn html_in_names_is_escaped() -> TestResult {
    let labels = labels(&["</text><script>alert(1)</script>", "a&b\u{0}\n\"'", "負 👎", ""]);
    let mut counts = vec![vec![1, 2, 3, 4]; 4];
    counts[3] = vec![u64::MAX; 4];
    let plot = ConfusionPlot { labels: &labels, counts: &counts, title: "<&>\u{1b}" };
    let picture = plot.draw()?;
    let svg = picture.svg();
    let document = Document::parse(svg)?;
    assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    assert!(texts(&document).contains(&"<&>\u{FFFD}".to_owned()));
    assert!(colors(&picture.png()?, svg)? > 10);
    Ok(())
}

#[test]
fn a_matrix_of_the_wrong_shape_is_refused() {
    let refused = |names: &[&str], counts: &[Vec<u64>]| {
        ConfusionPlot { labels: &labels(names), counts, title: "" }.draw().map_err(|error| error.to_string()).err()
    };
    assert!(refused(&[], &[]).is_some_and(|message| message.contains("expected at least one class")));
    for (counts, message) in [
        (vec![vec![1, 2], vec![3]], "expected 2 counts in row 1 of the confusion matrix, one for each label, found 1"),
        (vec![vec![1, 2]], "expected 2 counts in row 1 of the confusion matrix, one for each label, found 0"),
        (
            vec![vec![1, 2], vec![3, 4], vec![5, 6]],
            "expected 2 counts in row 2 of the confusion matrix, one for each label, found 2",
        ),
    ] {
        let found = refused(&["a", "b"], &counts);
        assert!(found.as_ref().is_some_and(|found| found.contains(message)), "{found:?}");
    }
}

fn run(steps: u64) -> (Vec<StepPoint>, Vec<EvaluationPoint>) {
    let share = |step: u64| step as f64 / steps as f64;
    let loss = |step: u64| 1.1 * (-2.0 * share(step)).exp() + 0.2 * (step as f64 * 12.9898).sin().abs();
    let step = |step| StepPoint { step, loss: loss(step), learning_rate: 2e-5 * (1.0 - share(step)) };
    let evaluation = |epoch: u64| EvaluationPoint {
        step: steps * epoch / 3,
        loss: 0.5 - 0.1 * epoch as f64,
        scores: vec![("accuracy".to_owned(), 0.7 + 0.05 * epoch as f64), ("macro F1".to_owned(), 0.69)],
    };
    ((1..=steps).map(step).collect(), (1..=3).map(evaluation).collect())
}

#[test]
fn curves_have_a_panel_for_each_thing_measured() -> TestResult {
    let (steps, evaluations) = run(1300);
    let curves = Curves { title: "A run", steps: &steps, evaluations: &evaluations, best_step: Some(866) };
    let picture = curves.draw()?;
    let svg = picture.svg();
    let document = Document::parse(svg)?;
    let texts = texts(&document);
    for text in ["A run", "Loss", "training, smoothed", "validation", "Validation scores", "accuracy", "macro F1"] {
        assert!(texts.iter().any(|t| t == text), "{text:?} in {texts:?}");
    }
    assert!(texts.iter().any(|t| t == "Learning rate") && texts.iter().any(|t| t == "2e-5"), "{texts:?}");
    let points = document.descendants().filter(|node| node.has_tag_name("circle")).count();
    assert_eq!(points, 9, "three evaluations of loss and two scores");
    assert!(svg.len() < 100_000, "a long run is thinned: {} bytes", svg.len());
    assert!(colors(&picture.png()?, svg)? > 50);
    Ok(())
}

#[test]
fn curves_of_one_point_are_drawn_and_of_none_refused() -> TestResult {
    let one = [StepPoint { step: 1, loss: 0.7, learning_rate: 2e-5 }];
    let picture = Curves { steps: &one, ..Curves::default() }.draw()?;
    assert_eq!(size(&Document::parse(picture.svg())?)?, (880, 500), "loss and learning rate");
    let lost = [StepPoint { step: 1, loss: f64::NAN, learning_rate: f64::INFINITY }];
    for steps in [&[][..], &lost] {
        let refused = Curves { steps, ..Curves::default() }.draw();
        assert!(matches!(refused, Err(ReportError::NoPoints)), "{refused:?}");
    }
    Ok(())
}

//! Reports of a few rows and of ten thousand: the order of the sections, what they say, the files that are written, the size; and
//! the same report again from what is kept.

use std::error::Error;
use std::path::Path;

use data::store::{Examples, Writer};
use judge::{Judgement, samples};
use metrics::{ClassificationReport, ConfusionMatrix, ReportOptions};
use run::{Environment, EvaluationResult, LOG, RUN_TOML};
use train::evaluate::Evaluation;

use super::kept;
use super::remarks::remarks;
use super::{PredictedRows, Provenance, ReportInput, write};

type TestResult = Result<(), Box<dyn Error>>;

fn evaluation(labels: &[String]) -> Result<Evaluation, Box<dyn Error>> {
    let predictions = vec![0, 1, 1, 1];
    let confusion = ConfusionMatrix::from_pairs(&[0, 1, 0, 1], &predictions, 2)?;
    Ok(Evaluation {
        probabilities: vec![vec![0.9, 0.1], vec![0.2, 0.8], vec![0.375, 0.625], vec![0.25, 0.75]],
        predictions,
        report: ClassificationReport::new(&confusion, labels, ReportOptions::default())?,
        confusion,
        loss: 0.4,
        seconds: 0.1,
        first_batch_seconds: 0.1,
        batch_size: 4,
    })
}

fn result(report: ClassificationReport, confusion: &ConfusionMatrix, labels: &[String]) -> EvaluationResult {
    EvaluationResult {
        run: "runs/tiny".to_owned(),
        data: "data/prepared/reviews".to_owned(),
        dataset: "reviews".to_owned(),
        source: "a file".to_owned(),
        model: "tiny".to_owned(),
        split: "test".to_owned(),
        precision: "fp32".to_owned(),
        device: "cpu".to_owned(),
        loss: 0.4,
        seconds: 0.1,
        first_batch_seconds: 0.1,
        report,
        label_names: labels.to_vec(),
        confusion_matrix: confusion.counts(),
        notes: vec!["a fallback was used".to_owned()],
        environment: None,
        group: None,
        judgement: None,
    }
}

fn two_labels() -> [String; 2] {
    ["negative", "positive"].map(str::to_owned)
}

fn about() -> Provenance {
    Provenance {
        dataset: "reviews".to_owned(),
        variant: "reviews of four films".to_owned(),
        source: "a file".to_owned(),
        license: Some("MIT".to_owned()),
        model: "tiny".to_owned(),
        model_origin: Some("Hugging Face Hub, revision 0123abc".to_owned()),
        max_length: Some(32),
    }
}

fn examples(path: &Path) -> Result<Examples, Box<dyn Error>> {
    let mut writer = Writer::create(path)?;
    for (text, label) in [("a dull film", 0), ("a warm film", 1), ("a <long> film", 0), ("a film", 1)] {
        writer.push(text, Some(label), &[2, 7, 3])?;
    }
    writer.finish()?;
    Ok(Examples::open(path)?)
}

fn run_folder(log: &str) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for (name, text) in [(RUN_TOML, "epochs = 3\nschedule = \"linear\"\n"), (LOG, log)] {
        std::fs::write(folder.path().join(name), text)?;
    }
    Ok(folder)
}

/// Writes the report of a run with this log and judgement; returns the page and the names of the files.
fn report(log: &str, judgement: Option<&Judgement>) -> Result<(String, Vec<String>), Box<dyn Error>> {
    let folder = run_folder(log)?;
    let labels = two_labels();
    let evaluation = evaluation(&labels)?;
    let environment =
        Environment { version: "0.1.0".to_owned(), processor: Some("A CPU".to_owned()), ..Environment::default() };
    let report = ReportInput {
        run: folder.path(),
        result: &EvaluationResult {
            environment: Some(environment),
            judgement: judgement.cloned(),
            ..result(evaluation.report.clone(), &evaluation.confusion, &labels)
        },
        rows: Some(PredictedRows { evaluation: &evaluation, examples: &examples(&folder.path().join("test.arrow"))? }),
        about: &about(),
    };
    let paths = write(&report, folder.path())?;
    let page = std::fs::read_to_string(paths.last().ok_or("nothing was written")?)?;
    let names = paths.iter().filter(|path| path.is_file()).filter_map(|path| path.file_name());
    Ok((page, names.map(|name| name.to_string_lossy().into_owned()).collect()))
}

fn headings(page: &str) -> Vec<&str> {
    page.split("<h2>").skip(1).filter_map(|rest| rest.split_once("</h2>")).map(|(heading, _)| heading).collect()
}

fn step() -> String {
    let step = r#"{"event":"step","step":1,"total_steps":1,"epoch":1.0,"loss":0.7,"learning_rate":2e-5,"gradient_norm":1.0,
        "examples":4,"tokens":12,"examples_per_second":1.0,"tokens_per_second":3.0,"seconds":4.0}"#;
    format!("{}\n", step.replace('\n', " "))
}

#[test]
fn every_section_of_plain_scores_is_on_the_page_in_its_order() -> TestResult {
    let (page, files) = report(&step(), None)?;
    let expected = [
        "Scores",
        "Scores by class",
        "Confusion matrix",
        "Training",
        "Example predictions",
        "Sources of the data and weights",
        "Configuration",
        "Environment",
        "To make it again",
    ];
    assert_eq!(headings(&page), expected);
    let pictures = ["confusion-test.svg", "confusion-test.png", "curves.svg", "curves.png"];
    assert_eq!(files, [&pictures[..], &["report-test.html"]].concat());

    assert!(page.contains("<h1>tiny: reviews on test</h1>") && page.contains("a fallback was used"), "{page}");
    assert!(page.contains("<dd>75.00 %</dd><dd class=\"detail\">4 examples</dd>"), "the accuracy in large print");
    assert!(page.contains("<td>Hugging Face Hub, revision 0123abc</td>"), "no origin");
    assert!(page.contains("<th scope=\"row\">schedule</th><td>linear</td>"), "no configuration");
    assert!(page.contains("<th scope=\"row\">processor</th><td>A CPU</td>"), "no environment");
    let shown: Vec<&str> = page.split("<blockquote dir=\"auto\">").skip(1).collect();
    let shown: Vec<&str> = shown.iter().filter_map(|rest| rest.split_once('<')).map(|(text, _)| text).collect();
    assert_eq!(shown, ["a dull film", "a warm film", "a film", "a &lt;long&gt; film"], "the wrong answer comes last");
    Ok(())
}

#[test]
fn every_section_of_a_judgement_is_on_the_page_in_its_order() -> TestResult {
    let judgement = samples::judgement(800, &two_labels(), "a <long> film");
    let (page, files) = report(&step(), Some(&judgement))?;
    let expected = [
        "Verdict",
        "Against another run",
        "Baselines",
        "Scores",
        "Scores by class",
        "Confusion matrix",
        "Slices",
        "Phrases of the treebank",
        "Mistakes worth a look",
        "Calibration",
        "Abstaining",
        "ROC, precision and recall",
        "Training",
        "Sources of the data and weights",
        "Configuration",
        "Environment",
        "To make it again",
    ];
    assert_eq!(headings(&page), expected);
    let pictures =
        ["baselines-test", "confusion-test", "slices-test", "reliability-test", "risk-coverage-test", "roc-test"];
    for name in pictures.iter().chain(&["precision-recall-test", "curves"]) {
        for ending in ["svg", "png"] {
            assert!(files.contains(&format!("{name}.{ending}")), "{name}.{ending} in {files:?}");
        }
    }
    for text in [
        "<dt>Accuracy</dt><dd>88.00 %</dd><dd class=\"detail\">85.7 to 90.3 %, 4 rows</dd>",
        "Better than TF-IDF with logistic regression by 6.1 points (4.2 to 8.0).",
        "Not distinguishable from runs/another (-1.2 to 2.0 points).",
        "positive, negative once negated: the model turns</th><td>4</td>",
        "Weakest on negation: with a negation: 79.00 % (72.5 to 85.5) of 152 rows; p &lt; 0.001, corrected for the 9 slices",
        "The model is too sure of itself: probabilities differ from what comes true by 4.6 points (3.5 to 5.7) on average.",
        "The first 20 of 100 rows that the two label differently; the JSON has all.",
        "test row 1</span>",
        "<mark class=\"for\" style=\"--strength:1.00\" title=\"+0.50\">",
        "<td>no threshold reaches it</td>",
        "verdict evaluate --run ",
        "--against runs/another",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<long>"), "a text is no markup");
    Ok(())
}

#[test]
fn a_run_without_a_log_has_no_curves() -> TestResult {
    let (page, files) = report("", None)?;
    assert!(!headings(&page).contains(&"Training") && headings(&page).contains(&"Configuration"), "{page}");
    assert_eq!(files, ["confusion-test.svg", "confusion-test.png", "report-test.html"]);
    Ok(())
}

#[test]
fn a_report_of_ten_thousand_rows_is_small() -> TestResult {
    let labels: Vec<String> = (0..20).map(|label| format!("a class with the number {label}")).collect();
    let truth: Vec<u32> = (0..10_000).map(|row| row % 20).collect();
    let predictions: Vec<u32> = (0..10_000).map(|row| (row + u32::from(row % 8 == 0)) % 20).collect();
    let confusion = ConfusionMatrix::from_pairs(&truth, &predictions, 20)?;
    let scores = ClassificationReport::new(&confusion, &labels, ReportOptions::default())?;
    // Texts of a thousand words.
    let judgement = samples::judgement(10_000, &labels, &"the <film> ".repeat(1_000));
    let folder = run_folder(&step())?;
    let input = ReportInput {
        run: folder.path(),
        result: &EvaluationResult { judgement: Some(judgement), ..result(scores, &confusion, &labels) },
        rows: None,
        about: &about(),
    };
    let paths = write(&input, folder.path())?;
    let size = std::fs::metadata(paths.last().ok_or("nothing was written")?)?.len();
    assert!((50_000..2_000_000).contains(&size), "{size} bytes");
    Ok(())
}

#[test]
fn what_is_kept_gives_the_same_report_again() -> TestResult {
    let folder = run_folder(&step())?;
    let labels = two_labels();
    let evaluation = evaluation(&labels)?;
    let environment =
        Environment { version: "0.1.0".to_owned(), command: vec!["verdict".to_owned()], ..Environment::default() };
    let result = EvaluationResult {
        environment: Some(environment),
        judgement: Some(samples::judgement(800, &labels, "a film")),
        ..result(evaluation.report.clone(), &evaluation.confusion, &labels)
    };
    let mut json = serde_json::to_value(&result)?;
    std::fs::write(EvaluationResult::path(folder.path(), "test"), json.to_string())?;

    let again = kept::read(folder.path(), "test")?;
    assert_eq!(again, result);
    let page = |result, about: &Provenance| -> Result<String, Box<dyn Error>> {
        let input = ReportInput { run: folder.path(), result, rows: None, about };
        let paths = write(&input, folder.path())?;
        Ok(std::fs::read_to_string(paths.last().ok_or("nothing was written")?)?)
    };
    let about = kept::about(&again, folder.path());
    assert_eq!(about.variant, "reviews: 4 rows", "of data that isn't there any more");
    assert_eq!(page(&result, &about)?, page(&again, &about)?);

    json["judgement"]["schema_version"] = 99.into();
    std::fs::write(EvaluationResult::path(folder.path(), "test"), json.to_string())?;
    let error = kept::read(folder.path(), "test").err().ok_or("read")?.to_string();
    assert!(error.contains("expected version 1 of the judgement, found 99"), "{error}");
    Ok(())
}

#[test]
fn remarks_say_what_the_figures_say() -> TestResult {
    let labels = two_labels();
    let confusion = ConfusionMatrix::from_pairs(&[0, 0, 1], &[0, 0, 0], 2)?;
    let report = ClassificationReport::new(&confusion, &labels, ReportOptions::default())?;
    let result = result(report, &confusion, &labels);
    let mut judgement = samples::judgement(60, &labels, "a film");
    let texts = |judgement: &Judgement| -> Vec<String> {
        remarks(&result, judgement).into_iter().map(|remark| remark.text).collect()
    };
    let has = |texts: &[String], part: &str| texts.iter().any(|text| text.contains(part));
    let few = texts(&judgement);
    assert!(has(&few, "Few rows: 3 tell the accuracy to about 8 points up or down"), "{few:?}");
    assert!(has(&few, "Never predicted: positive (1 row)."), "{few:?}");
    assert!(!has(&few, "always the most frequent label"), "what is beaten, and is not the strongest, is not told");

    judgement.slices.weakest = None;
    judgement.calibration.ece.low = 0.0;
    if let Some(baselines) = &mut judgement.baselines {
        baselines.results[0].difference.low = -0.01;
    }
    let other = texts(&judgement);
    assert!(has(&other, "No slice is worse than the other rows beyond chance, of 9 that were tried."), "{other:?}");
    assert!(has(&other, "Probabilities differ from what comes true by 4.6 points (0.0 to 5.7)"), "{other:?}");
    assert!(has(&other, "Not distinguishable from always the most frequent label"), "{other:?}");
    Ok(())
}

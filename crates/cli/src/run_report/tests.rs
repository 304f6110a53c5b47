//! A report of four rows: the order of the sections, and the files that are written.

use std::error::Error;
use std::path::Path;

use data::store::{Examples, Writer};
use metrics::{ClassificationReport, ConfusionMatrix, ReportOptions};
use run::{LOG, RUN_TOML};
use train::evaluate::Evaluation;

use super::{Provenance, ReportInput, write};

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

fn about() -> Provenance {
    Provenance {
        dataset: "reviews".to_owned(),
        variant: "reviews of four films".to_owned(),
        source: "a file".to_owned(),
        license: Some("MIT".to_owned()),
        model: "tiny".to_owned(),
        model_origin: Some("Hugging Face Hub, revision 0123abc".to_owned()),
        max_length: 32,
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

/// Writes the report of a run with this log; returns the page and the names of the files.
fn report(log: &str) -> Result<(String, Vec<String>), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for (name, text) in [(RUN_TOML, "epochs = 3\nschedule = \"linear\"\n"), (LOG, log)] {
        std::fs::write(folder.path().join(name), text)?;
    }
    let labels = ["negative", "positive"].map(str::to_owned);
    let about = about();
    let report = ReportInput {
        run: folder.path(),
        split: "test",
        evaluation: &evaluation(&labels)?,
        labels: &labels,
        examples: &examples(&folder.path().join("test.arrow"))?,
        about: &about,
        notes: &["a fallback was used".to_owned()],
    };
    let paths = write(&report, folder.path())?;
    let page = std::fs::read_to_string(paths.last().ok_or("nothing was written")?)?;
    let names = paths.iter().filter(|path| path.is_file()).filter_map(|path| path.file_name());
    Ok((page, names.map(|name| name.to_string_lossy().into_owned()).collect()))
}

fn headings(page: &str) -> Vec<&str> {
    page.split("<h2>").skip(1).filter_map(|rest| rest.split_once("</h2>")).map(|(heading, _)| heading).collect()
}

#[test]
fn every_section_is_on_the_page_in_its_order() -> TestResult {
    let step = r#"{"event":"step","step":1,"total_steps":1,"epoch":1.0,"loss":0.7,"learning_rate":2e-5,"gradient_norm":1.0,
        "examples":4,"tokens":12,"examples_per_second":1.0,"tokens_per_second":3.0,"seconds":4.0}"#;
    let (page, files) = report(&format!("{}\n", step.replace('\n', " ")))?;
    let expected = [
        "Scores",
        "Scores by class",
        "Confusion matrix",
        "Training",
        "Example predictions",
        "Sources of the data and weights",
        "Configuration",
    ];
    assert_eq!(headings(&page), expected);
    let pictures = ["confusion-test.svg", "confusion-test.png", "curves.svg", "curves.png"];
    assert_eq!(files, [&pictures[..], &["report-test.html"]].concat());

    assert!(page.contains("<h1>tiny: reviews on test</h1>") && page.contains("a fallback was used"), "{page}");
    assert!(page.contains("<dd>75.00 %</dd><dd class=\"detail\">4 examples</dd>"), "the accuracy in large print");
    assert!(page.contains("<td>Hugging Face Hub, revision 0123abc</td>"), "no origin");
    assert!(page.contains("<th scope=\"row\">schedule</th><td>linear</td>"), "no configuration");
    let shown: Vec<&str> = page.split("<blockquote dir=\"auto\">").skip(1).collect();
    let shown: Vec<&str> = shown.iter().filter_map(|rest| rest.split_once('<')).map(|(text, _)| text).collect();
    assert_eq!(shown, ["a dull film", "a warm film", "a film", "a &lt;long&gt; film"], "the wrong answer comes last");
    Ok(())
}

#[test]
fn a_run_without_a_log_has_no_curves() -> TestResult {
    let (page, files) = report("")?;
    assert!(!headings(&page).contains(&"Training") && headings(&page).contains(&"Configuration"), "{page}");
    assert_eq!(files, ["confusion-test.svg", "confusion-test.png", "report-test.html"]);
    Ok(())
}

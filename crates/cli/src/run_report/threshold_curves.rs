//! ROC and precision-recall curves of each class, also written as `roc-SPLIT` and `precision-recall-SPLIT`, `.svg` and `.png`.

use anyhow::Result;
use judge::{ClassCurves, CurvePoint};
use report::{LinePlot, PlotAxis, PlotLine, Section, html};

use super::ReportInput;
use super::wording::count;

/// More lines can't be told apart: those of the classes that are told worst are drawn.
const MOST_LINES: usize = 8;
/// More classes are left to the JSON.
const MOST_ROWS: usize = 100;
const fn share(name: &str) -> PlotAxis<'_> {
    PlotAxis { name, range: Some((0.0, 1.0)), percent: true }
}

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some(curves) = input.judgement().map(|judgement| judgement.curves.as_slice()) else {
        return Ok(Section::default());
    };
    let mut drawn: Vec<&ClassCurves> = curves.iter().filter(|curves| !curves.roc.is_empty()).collect();
    if drawn.is_empty() {
        return Ok(Section::default());
    }
    let all = drawn.len();
    // Both curves of the second of two classes tell nothing new, but its name would be missed.
    drawn.sort_by(|a, b| a.average_precision.unwrap_or(2.0).total_cmp(&b.average_precision.unwrap_or(2.0)));
    drawn.truncate(MOST_LINES);
    drawn.sort_by_key(|one| curves.iter().position(|other| std::ptr::eq(*one, other)));

    let title = |what: &str| format!("{} on {}: {what}", input.about.dataset, input.result.split);
    let roc = ClassLines::of(&drawn, "AUC", |curves| (&curves.roc, curves.roc_auc));
    let recall = ClassLines::of(&drawn, "AP", |curves| (&curves.precision_recall, curves.average_precision));
    let roc = LinePlot {
        title: &title("ROC"),
        x: share("false positive rate"),
        y: share("true positive rate"),
        lines: &roc.lines(),
        diagonal: true,
    }
    .draw()?;
    let recall = recall.has_points().then(|| {
        LinePlot {
            title: &title("precision and recall"),
            x: share("recall"),
            y: share("precision"),
            lines: &recall.lines(),
            diagonal: false,
        }
        .draw()
    });
    let recall = recall.transpose()?;
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let row =
        |curves: &ClassCurves| (curves.label.clone(), vec![number(curves.roc_auc), number(curves.average_precision)]);
    let table: Vec<_> = curves.iter().take(MOST_ROWS).map(row).collect();
    let mut caption =
        "Each class against all others, as the threshold for its probability moves. The dashed line is guessing."
            .to_owned();
    if all > drawn.len() {
        caption +=
            &format!(" Drawn: the {} classes of {} with the lowest average precision.", drawn.len(), count(all as u64));
    }
    let pictures: Vec<_> = std::iter::once(&roc).chain(recall.as_ref()).collect();
    let content = html::figures(&pictures)
        + html::table(&["Class", "Area under ROC", "Average precision"], &table)
        + html::caption(&caption);
    let mut section = Section::new("ROC, precision and recall", content);
    section = section.with_picture(format!("roc-{}", input.result.split), roc);
    if let Some(recall) = recall {
        section = section.with_picture(format!("precision-recall-{}", input.result.split), recall);
    }
    Ok(section)
}

/// What the lines of a plot borrow.
struct ClassLines<'a> {
    classes: Vec<ClassLine<'a>>,
}

struct ClassLine<'a> {
    name: &'a str,
    note: String,
    points: Vec<(f64, f64)>,
}

impl<'a> ClassLines<'a> {
    fn of(
        drawn: &[&'a ClassCurves],
        measure: &str,
        curve: impl Fn(&'a ClassCurves) -> (&'a Vec<CurvePoint>, Option<f64>),
    ) -> Self {
        let class = |curves: &&'a ClassCurves| {
            let (points, area) = curve(curves);
            let note = area.map_or_else(String::new, |area| format!("{measure} {area:.3}"));
            let points = points.iter().map(|point| (point.x, point.y)).collect();
            ClassLine { name: &curves.label, note, points }
        };
        Self { classes: drawn.iter().map(class).collect() }
    }

    fn has_points(&self) -> bool {
        self.classes.iter().any(|class| !class.points.is_empty())
    }

    fn lines(&self) -> Vec<PlotLine<'_>> {
        self.classes
            .iter()
            .map(|ClassLine { name, note, points }| PlotLine { name, note, points, marked: &[] })
            .collect()
    }
}

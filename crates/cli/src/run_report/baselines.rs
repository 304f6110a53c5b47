//! The model beside simple models of the same training data, also written as `baselines-SPLIT.svg` and `.png`.

use anyhow::Result;
use judge::BaselineResult;
use report::{IntervalPlot, IntervalRow, Section, html};

use super::ReportInput;
use super::wording::{baseline_name, count, percent_with_range, plotted, points};

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let Some((judgement, baselines)) =
        input.judgement().and_then(|judgement| Some((judgement, judgement.baselines.as_ref()?)))
    else {
        return Ok(Section::default());
    };
    let Some(accuracy) = judgement.scores.get("accuracy") else { return Ok(Section::default()) };
    let of_baseline = |baseline: &'_ BaselineResult| -> (String, Vec<String>) {
        let figures = [&baseline.accuracy, &baseline.f1].map(percent_with_range);
        let difference = points(&baseline.difference);
        (
            format!("{} ({})", baseline_name(&baseline.name), baseline.description),
            [figures.to_vec(), vec![difference]].concat(),
        )
    };
    let own = judgement.scores.get("f1").map_or_else(String::new, percent_with_range);
    let mut rows = vec![("this model".to_owned(), vec![percent_with_range(accuracy), own, String::new()])];
    rows.extend(baselines.results.iter().map(of_baseline));

    let row = |name, share, marked| IntervalRow { group: "", name, share, note: "", marked };
    let mut plotted_rows = vec![row("this model", plotted(accuracy), true)];
    plotted_rows
        .extend(baselines.results.iter().map(|one| row(baseline_name(&one.name), plotted(&one.accuracy), false)));
    let title = format!("{} on {}: model and baselines", input.about.dataset, input.result.split);
    let picture = IntervalPlot {
        title: &title,
        axis: "accuracy with its 95 % interval",
        reference: Some(("this model", plotted(accuracy))),
        rows: &plotted_rows,
    }
    .draw()?;
    let caption = format!(
        "The baselines were fitted on the same {} training rows and scored on the same rows as the model. Intervals of \
         differences are Tango's, of two shares of the same rows; below 0 the baseline is better.",
        count(baselines.training_rows)
    );
    let content = html::figure(&picture)
        + html::table(&["Model", "Accuracy", "F1, weighted", "This model is better by"], &rows)
        + html::caption(&caption);
    Ok(Section::new("Baselines", content).with_picture(format!("baselines-{}", input.result.split), picture))
}

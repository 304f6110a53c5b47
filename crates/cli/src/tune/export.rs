//! Exports a study: an HTML page, a CSV table and JSON.

use anyhow::Result;
use disk::write_atomic;
use report::{
    ConfusionPlot, HeadlineNumber, ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial,
};
use run::EvaluationResult;
use serde_json::Value;
use tune::importance::importance;
use tune::space::{Hyperparameter, Space};
use tune::{Distribution, ParamValue, Study, Trial, TrialState};

use super::attributes::{EPOCHS, EPOCHS_PER_EVALUATION, ERROR};
use super::folder::StudyFolder;
use super::plan::StudyPlan;
use super::table::{format_duration, format_value};
use super::winner::Winner;
use crate::run_report::averages;

/// The seed for computing importance.
const IMPORTANCE_SEED: u64 = 0;

/// Ranges of fewer whole numbers than this are drawn as categories.
const MIN_NUMBERS: u64 = 8;

/// Writes `trials.csv`, `trials.json` and `study.html`; the winner is known only at the end.
pub(super) fn write(
    study: &Study,
    folder: &StudyFolder,
    plan: &StudyPlan,
    space: &Space,
    winner: Option<&Winner>,
) -> Result<()> {
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    tune::export::csv(study.trials(), &mut csv)?;
    tune::export::json(study, &mut json)?;
    write_atomic(&folder.file("trials.csv"), csv)?;
    write_atomic(&folder.file("trials.json"), json)?;
    write_atomic(&folder.file("study.html"), page(study, folder, plan, space, winner)?)?;
    Ok(())
}

fn page(
    study: &Study,
    folder: &StudyFolder,
    plan: &StudyPlan,
    space: &Space,
    winner: Option<&Winner>,
) -> Result<String> {
    let best = study.best();
    let trials = trials(study);
    let tested =
        winner.and_then(Winner::test_score).map(|_| EvaluationResult::read(&folder.best(), "test")).transpose()?;
    let title = format!("Study {}", study.name());
    let subtitle = format!("{}: {} on {}", folder.path().display(), model(plan), plan.manifest.variant);
    let confusion_title = format!("{} on test", plan.manifest.dataset);
    let parameters: Vec<StudyParameter> = space.parameters().iter().map(parameter).collect();
    let importance: Vec<(String, f64)> =
        importance(study.trials(), IMPORTANCE_SEED).into_iter().map(|found| (found.name, found.share)).collect();
    let winning: Vec<(String, String)> = match (winner, best) {
        (Some(_), Some(best)) => settings(space, best),
        _ => Vec::new(),
    };
    let optimism = winner.and_then(|winner| winner.optimism(plan)).map(|optimism| {
        format!(
            "{}: {optimism}. Validation selected the winner among all trials, and test selected nothing.",
            plan.metric
        )
    });
    let page = StudyPage {
        title: &title,
        subtitle: &subtitle,
        notes: &plan.manifest.notes,
        headline: &headline(study, plan, winner),
        metric: &plan.metric.to_string(),
        maximize: study.direction() == tune::StudyDirection::Maximize,
        parameters: &parameters,
        trials: &trials,
        importance: &importance,
        winner: best.map(|best| best.number),
        winning: &winning,
        optimism: optimism.as_deref().unwrap_or_default(),
        test_scores: &tested.as_ref().map(|result| averages(&result.report)).unwrap_or_default(),
        confusion: tested.as_ref().map(|result| ConfusionPlot {
            labels: &result.label_names,
            counts: &result.confusion_matrix,
            title: &confusion_title,
        }),
        origins: &[
            ("data set".to_owned(), plan.manifest.variant.clone()),
            ("source".to_owned(), plan.manifest.source.clone()),
            ("model".to_owned(), model(plan).to_owned()),
            ("study".to_owned(), folder.journal().display().to_string()),
        ],
    };
    Ok(page.html()?)
}

fn model(plan: &StudyPlan) -> &str {
    plan.model.as_deref().unwrap_or(&plan.manifest.model.name)
}

fn headline(study: &Study, plan: &StudyPlan, winner: Option<&Winner>) -> Vec<HeadlineNumber> {
    let figure = |name: String, value: String, detail: String| HeadlineNumber { name, value, detail };
    let shown = |value: f64| match plan.metric {
        metrics::Metric::Loss | metrics::Metric::Matthews => format!("{value:.4}"),
        _ => format!("{:.2} %", 100.0 * value),
    };
    let mut figures = Vec::new();
    if let Some((best, value)) = study.best().and_then(|best| Some((best, best.value?))) {
        figures.push(figure(format!("Validation {}", plan.metric), shown(value), format!("trial {}", best.number)));
    }
    if let Some(test) = winner.and_then(Winner::test_score) {
        let times = match winner.map_or(1, |winner| winner.test_scores.len()) {
            1 => "scored once, at the end".to_owned(),
            times => format!("scored {times} times"),
        };
        figures.push(figure(
            format!("Test {}", plan.metric),
            shown(test.value),
            format!("{} texts, {times}", test.examples),
        ));
    }
    let finished: Vec<&Trial> = study.trials().iter().filter(|trial| trial.state.is_finished()).collect();
    let pruned = finished.iter().filter(|trial| trial.state == TrialState::Pruned).count();
    figures.push(figure("Trials".to_owned(), finished.len().to_string(), format!("{pruned} pruned")));
    let seconds: f64 = finished.iter().filter_map(|trial| trial.duration()).sum();
    let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    figures.push(figure("Time".to_owned(), format_duration(time), "of all trials together".to_owned()));
    figures
}

fn parameter(parameter: &Hyperparameter) -> StudyParameter {
    let scale = match &parameter.distribution {
        Distribution::Float { low, high, log, .. } => StudyScale::Number { low: *low, high: *high, log: *log },
        // A few whole numbers are easier to read as categories: without ticks between them, and with dots side by side.
        Distribution::Int { low, high, step, .. } if high.abs_diff(*low) / step.unsigned_abs() < MIN_NUMBERS => {
            StudyScale::Words((*low..=*high).step_by(*step as usize).map(|number| number.to_string()).collect())
        }
        Distribution::Int { low, high, log, .. } => {
            StudyScale::Number { low: *low as f64, high: *high as f64, log: *log }
        }
        Distribution::Categorical { choices } => StudyScale::Words(choices.iter().map(ToString::to_string).collect()),
    };
    StudyParameter { name: parameter.name.clone(), scale }
}

fn trials(study: &Study) -> Vec<StudyTrial> {
    let first = study.trials().iter().find(|trial| trial.started.is_some());
    let started = study.trials().iter().filter(|trial| trial.started.is_some() && !trial.params.is_empty());
    started
        .map(|trial| {
            let attr = |name: &str| trial.user_attrs.get(name);
            let spacing = attr(EPOCHS_PER_EVALUATION).and_then(Value::as_f64).unwrap_or(1.0);
            let epochs = attr(EPOCHS).and_then(Value::as_f64).unwrap_or(f64::INFINITY);
            let point = |(step, value): (&u64, &f64)| ((*step as f64 * spacing).min(epochs), *value);
            let setting = |param: &tune::Param| match (&param.distribution, param.value()) {
                (Distribution::Categorical { .. }, value) => ParamSetting::Word(value.to_string()),
                (_, ParamValue::Int(number)) => ParamSetting::Number(number as f64),
                (_, ParamValue::Float(number)) => ParamSetting::Number(number),
                (_, value) => ParamSetting::Word(value.to_string()),
            };
            StudyTrial {
                number: trial.number,
                outcome: match trial.state {
                    TrialState::Complete => StudyOutcome::Complete,
                    TrialState::Pruned => StudyOutcome::Pruned,
                    TrialState::Fail => StudyOutcome::Failed,
                    TrialState::Running | TrialState::Waiting => StudyOutcome::Running,
                },
                value: trial.value.or_else(|| trial.last_intermediate()),
                params: trial.params.iter().map(|(name, param)| (name.clone(), setting(param))).collect(),
                curve: trial.intermediate.iter().map(point).collect(),
                begun: first.and_then(|first| trial.started_after(first)).unwrap_or(f64::NAN),
                seconds: trial.duration().unwrap_or(f64::NAN),
                error: attr(ERROR).and_then(Value::as_str).map(str::to_owned),
            }
        })
        .collect()
}

/// A trial's options, including the fixed ones.
fn settings(space: &Space, trial: &Trial) -> Vec<(String, String)> {
    let chosen = trial.params.iter().map(|(name, param)| (name.clone(), format_value(&param.value())));
    chosen.chain(space.fixed().iter().map(|(name, value)| (name.clone(), value.to_string()))).collect()
}

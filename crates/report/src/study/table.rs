//! All trials as a table, the best first.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::StudyOutcome::{Complete, Failed, Pruned, Running};
use super::values::short;
use super::view::{PageView, value, word};
use super::{ParamSetting, StudyTrial, scale};
use crate::canvas::escape;
use crate::error::Result;
use crate::html::{self, Html};
use crate::page::Section;

const MAX_ROWS: usize = 200;
/// Longer errors are cut.
const MAX_CHARACTERS: usize = 300;

pub(super) fn section(view: &PageView) -> Result<Section> {
    Ok(Section::new("All trials", content(view)))
}

fn content(view: &PageView) -> Html {
    if view.trials.is_empty() {
        return Html::default();
    }
    let mut trials = view.trials.clone();
    trials.sort_by(|a, b| order(view, a, b));
    let (names, errors) = (names(view), trials.iter().any(|trial| trial.error.is_some()));

    let mut html = html::scroller("wide", "All trials") + "<table class=\"trials\">\n<thead><tr>";
    let fixed = [("Trial", false), ("Outcome", true), (view.metric(), false), ("Seconds", false)];
    let settings = names.iter().map(|name| (*name, holds_words(view, name)));
    for (head, words) in fixed.into_iter().chain(settings).chain(errors.then_some(("Error", true))) {
        let class = if words { " class=\"word\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(head));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for trial in trials.iter().take(MAX_ROWS) {
        row(&mut html, view, trial, &names, errors);
    }
    html.push_str("</tbody>\n</table></div>\n");
    let cut = match trials.len() > MAX_ROWS {
        true => format!("The first {MAX_ROWS} of {} trials, the best first.", trials.len()),
        false => String::new(),
    };
    Html::from_escaped(html) + html::caption(&cut)
}

/// Complete trials, then pruned, running and failed ones; the best first in each.
fn order(view: &PageView, a: &StudyTrial, b: &StudyTrial) -> Ordering {
    let rank = |trial: &StudyTrial| match trial.outcome {
        Complete => 0,
        Pruned => 1,
        Running => 2,
        Failed => 3,
    };
    let merit = |trial| value(trial).map_or(f64::NEG_INFINITY, |value| view.measure.merit(value));
    rank(a).cmp(&rank(b)).then(merit(b).total_cmp(&merit(a))).then(a.number.cmp(&b.number))
}

/// The parameters searched over, and after them what else trials have.
fn names<'a>(view: &PageView<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    let known = view.page.parameters.iter().map(|parameter| &parameter.name);
    for name in known.chain(view.trials.iter().flat_map(|trial| trial.params.iter().map(|(name, _)| name))) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Whether a parameter's settings are words.
fn holds_words(view: &PageView, name: &str) -> bool {
    view.trials
        .iter()
        .filter_map(|trial| scale::setting(trial, name))
        .any(|setting| matches!(setting, ParamSetting::Word(_)))
}

fn row(html: &mut String, view: &PageView, trial: &StudyTrial, names: &[&str], errors: bool) {
    let winner = if view.is_winner(trial) { " class=\"winner\"" } else { "" };
    let outcome = if winner.is_empty() { word(trial.outcome) } else { "winner" };
    let value = value(trial).map_or_else(|| "–".to_owned(), |value| view.measure.text(value));
    let seconds = if trial.seconds.is_finite() { format!("{:.1}", trial.seconds) } else { "–".to_owned() };
    let _ = write!(
        html,
        "<tr{winner}><th scope=\"row\">{}</th><td class=\"word\">{outcome}</td><td>{value}</td><td>{seconds}</td>",
        trial.number
    );
    for name in names {
        let _ = match scale::setting(trial, name) {
            Some(ParamSetting::Number(number)) => write!(html, "<td>{}</td>", short(*number)),
            Some(ParamSetting::Word(word)) => write!(html, "<td class=\"word\" dir=\"auto\">{}</td>", escape(word)),
            None => write!(html, "<td></td>"),
        };
    }
    if errors {
        let error = trial.error.as_deref().unwrap_or_default();
        let shown: String = error.chars().take(MAX_CHARACTERS).collect();
        let cut = if shown.len() < error.len() { "…" } else { "" };
        let _ = write!(html, "<td class=\"error\">{}{cut}</td>", escape(&shown));
    }
    html.push_str("</tr>\n");
}

//! One HTML page of a hyper-parameter study: the trials, the winner, the importance of the parameters, the time.
//!
//! A section of the page is a file below `study/`, and [`SECTIONS`] orders them.

use crate::confusion::ConfusionPlot;
use crate::error::Result;
use crate::html::{HeadlineNumber, ScoreRow};
use crate::page::{Page, Section};

mod cost;
mod headline;
mod history;
mod importance;
mod learning;
mod origins;
mod parallel;
mod scale;
mod slices;
mod table;
mod test_split;
mod values;
mod view;
mod winning;

use view::PageView;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StudyOutcome {
    /// It ran to the end and has a final value.
    Complete,
    /// It was stopped early, because others did better.
    Pruned,
    Failed,
    #[default]
    Running,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParamSetting {
    Number(f64),
    Word(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum StudyScale {
    /// A number from `low` to `high`. The axis is longer if a trial's value lies outside. With `log` the scale is
    /// logarithmic; it is ignored if the parameter is never above 0.
    Number { low: f64, high: f64, log: bool },
    /// One of these words, in this order. Words that occur only in trials come after them.
    Words(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct StudyParameter {
    pub name: String,
    pub scale: StudyScale,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyTrial {
    pub number: u64,
    pub outcome: StudyOutcome,
    /// The final value of the metric, or the last one before it was pruned.
    pub value: Option<f64>,
    /// Its parameters. Those that depend on another one may be missing.
    pub params: Vec<(String, ParamSetting)>,
    /// The metric over the epochs: (epochs, value).
    pub curve: Vec<(f64, f64)>,
    /// Seconds from the start of the study's first trial to the start of this one.
    pub begun: f64,
    pub seconds: f64,
    pub error: Option<String>,
}

/// What the page shows. Whatever is empty or `None` is left out, so `..StudyPage::default()` fills in the rest.
///
/// Values, curves, settings and times that aren't finite numbers are left out of the pictures.
#[derive(Debug, Clone, Default)]
pub struct StudyPage<'a> {
    pub title: &'a str,
    /// A line below it: study, date, device.
    pub subtitle: &'a str,
    pub notes: &'a [String],
    pub headline: &'a [HeadlineNumber],
    /// What the values are, such as "accuracy". Scores from 0 to 1 that are maximized are shown in percent.
    pub metric: &'a str,
    pub maximize: bool,
    pub parameters: &'a [StudyParameter],
    pub trials: &'a [StudyTrial],
    /// Parameters with their shares of the variance of the values, which sum to 1, the largest first.
    pub importance: &'a [(String, f64)],
    pub winner: Option<u64>,
    pub winning: &'a [(String, String)],
    /// How much better the winner is on validation than on test, as a sentence.
    pub optimism: &'a str,
    pub test_scores: &'a [ScoreRow],
    pub confusion: Option<ConfusionPlot<'a>>,
    pub origins: &'a [(String, String)],
}

/// The page's sections, from top to bottom. One without content is left out.
const SECTIONS: &[fn(&PageView) -> Result<Section>] = &[
    headline::section,
    history::section,
    winning::section,
    test_split::section,
    importance::section,
    parallel::section,
    slices::section,
    learning::section,
    cost::section,
    table::section,
    origins::section,
];

impl StudyPage<'_> {
    /// The whole page. Every text is escaped.
    ///
    /// # Errors
    /// What [`ConfusionPlot::draw`] refuses, or a failure of the plotting library.
    pub fn html(&self) -> Result<String> {
        let view = PageView::new(self);
        let sections = SECTIONS.iter().map(|section| section(&view)).collect::<Result<_>>()?;
        Ok(Page { title: self.title, subtitle: self.subtitle, notes: self.notes, sections }.html())
    }
}

//! One HTML page of a hyper-parameter study: how the search went, what won, what mattered, what it cost.

use crate::confusion::ConfusionPlot;
use crate::error::Result;
use crate::page::{Figure, ScoreRow, document, parts, section};

mod cost;
mod frame;
mod history;
mod importance;
mod learning;
mod parallel;
mod scale;
mod slices;
mod table;
mod values;
mod view;

use view::PageView;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StudyOutcome {
    /// It ran to its end and has a final value.
    Complete,
    /// It was given up before its end, because others did better.
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
    /// A number from `low` to `high`. The axis reaches further where a trial went further. With `log` ratios matter and
    /// not differences; it is ignored where the parameter is nowhere above 0.
    Number { low: f64, high: f64, log: bool },
    /// One of these words, in this order. Words that only trials have come after them.
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
    /// The final value of the metric, or the last one before it was given up.
    pub value: Option<f64>,
    /// What it chose. Parameters that depend on another one may be missing.
    pub params: Vec<(String, ParamSetting)>,
    /// The metric over the epochs: (epochs, value).
    pub curve: Vec<(f64, f64)>,
    /// Seconds from the beginning of the study's first trial to its own.
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
    pub headline: &'a [Figure],
    /// What the values are, such as "accuracy". Scores from 0 to 1 that are maximized are shown in percent.
    pub metric: &'a str,
    pub maximize: bool,
    pub parameters: &'a [StudyParameter],
    pub trials: &'a [StudyTrial],
    /// Parameters with their shares of the values' variation, which sum to 1, the largest first.
    pub importance: &'a [(String, f64)],
    pub winner: Option<u64>,
    pub winning: &'a [(String, String)],
    pub test_scores: &'a [ScoreRow],
    pub confusion: Option<ConfusionPlot<'a>>,
    pub origins: &'a [(String, String)],
}

impl StudyPage<'_> {
    /// The whole page. Every text is escaped.
    ///
    /// # Errors
    /// What [`ConfusionPlot::svg`] refuses, or a failure of the plotting library.
    pub fn html(&self) -> Result<String> {
        let view = PageView::new(self);
        let mut main = String::new();
        parts::notes(&mut main, self.notes);
        parts::headline(&mut main, self.headline);
        section(&mut main, "How the search went", &history::html(&view)?);
        section(&mut main, "Winning configuration", &winning(&view));
        section(&mut main, "The test split", &self.test_split()?);
        section(&mut main, "What mattered", &importance::html(&view)?);
        section(&mut main, "All trials at once", &parallel::html(&view)?);
        section(&mut main, "One option at a time", &slices::html(&view)?);
        section(&mut main, "Learning curves", &learning::html(&view)?);
        section(&mut main, "What it cost", &cost::html(&view)?);
        section(&mut main, "All trials", &table::html(&view));
        section(&mut main, "Where data and weights came from", &parts::pairs(self.origins));
        Ok(document(self.title, self.subtitle, &main))
    }

    fn test_split(&self) -> Result<String> {
        let mut html = parts::scores("Average", self.test_scores);
        if let Some(plot) = &self.confusion {
            html.push_str(&parts::figure(&plot.svg()?));
        }
        Ok(html)
    }
}

/// The winner's configuration, below its number and value.
fn winning(view: &PageView) -> String {
    let pairs = parts::pairs(view.page.winning);
    match view.winner() {
        Some(winner) if !pairs.is_empty() => parts::caption(&view.words(winner)) + &pairs,
        _ => pairs,
    }
}

//! One HTML page that holds everything: style and pictures are inside, nothing is fetched, no script runs.

use std::fmt::Write as _;

use crate::canvas::escape;
use crate::confusion::ConfusionPlot;
use crate::curves::Curves;
use crate::error::Result;

pub(crate) mod parts;

const STYLE: &str = include_str!("page/style.css");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    pub name: String,
    /// The number, as it should be read.
    pub value: String,
    /// A word on it, like what it was measured on; may be empty.
    pub detail: String,
}

/// A row of scores: of an average, or of one class. Scores go from 0 to 1; NaN is shown as a dash.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    pub name: String,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub examples: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub text: String,
    pub truth: Option<String>,
    pub predicted: String,
    /// All labels with their probabilities, 0 to 1.
    pub probabilities: Vec<(String, f64)>,
}

/// What the page shows. Whatever is empty or `None` is left out, so `..Page::default()` fills in the rest.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    pub title: &'a str,
    /// A line below it: run, date, device.
    pub subtitle: &'a str,
    /// What the reader must know first, like that a fallback stood in for the data or the weights.
    pub notes: &'a [String],
    pub headline: &'a [Figure],
    pub averages: &'a [ScoreRow],
    pub classes: &'a [ScoreRow],
    pub confusion: Option<ConfusionPlot<'a>>,
    pub curves: Option<Curves<'a>>,
    pub origins: &'a [(String, String)],
    pub configuration: &'a [(String, String)],
    pub examples: &'a [Example],
}

impl Page<'_> {
    /// The whole page. Every text is escaped.
    ///
    /// # Errors
    /// What [`ConfusionPlot::svg`] and [`Curves::svg`] refuse.
    pub fn html(&self) -> Result<String> {
        let mut main = String::new();
        parts::notes(&mut main, self.notes);
        parts::headline(&mut main, self.headline);
        section(&mut main, "Scores", &parts::scores("Average", self.averages));
        section(&mut main, "Scores by class", &parts::scores("Class", self.classes));
        if let Some(plot) = &self.confusion {
            section(&mut main, "Confusion matrix", &parts::figure(&plot.svg()?));
        }
        if let Some(curves) = &self.curves {
            section(&mut main, "Training", &parts::figure(&curves.svg()?));
        }
        section(&mut main, "Example predictions", &parts::examples(self.examples));
        section(&mut main, "Where data and weights came from", &parts::pairs(self.origins));
        section(&mut main, "Configuration", &parts::pairs(self.configuration));

        Ok(document(self.title, self.subtitle, &main))
    }
}

pub(crate) fn document(title: &str, subtitle: &str, main: &str) -> String {
    let title = escape(title);
    let subtitle = match subtitle {
        "" => String::new(),
        subtitle => format!("<p class=\"subtitle\">{}</p>\n", escape(subtitle)),
    };
    // The policy holds the page to what this file promises, also if a text ever slipped through.
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n{subtitle}</header>\n\
         {main}</main>\n</body>\n</html>\n"
    )
}

/// A section with its heading, unless it would be empty.
pub(crate) fn section(html: &mut String, heading: &str, content: &str) {
    if !content.is_empty() {
        let _ = write!(html, "<section>\n<h2>{}</h2>\n{content}</section>\n", escape(heading));
    }
}

//! The building blocks of a section. Each escapes its texts, and is empty for empty input.

use std::fmt::Write as _;
use std::ops::Add;

use crate::canvas::escape;
use crate::picture::Picture;

/// A piece of HTML in which every text is escaped: other crates get one from the functions below only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    pub(crate) fn from_escaped(html: String) -> Self {
        Self(html)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Add for Html {
    type Output = Self;

    fn add(mut self, next: Self) -> Self {
        self.0.push_str(&next.0);
        self
    }
}

/// One of the few numbers that stand in large print at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadlineNumber {
    pub name: String,
    /// The number with its unit.
    pub value: String,
    /// What it was measured on, or how; may be empty.
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

/// A text with the model's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub text: String,
    pub truth: Option<String>,
    pub predicted: String,
    /// All labels with their probabilities, 0 to 1.
    pub probabilities: Vec<(String, f64)>,
}

pub fn headline(numbers: &[HeadlineNumber]) -> Html {
    if numbers.is_empty() {
        return Html::default();
    }
    let mut html = String::from("<dl class=\"headline\">\n");
    for HeadlineNumber { name, value, detail } in numbers {
        let (name, value, detail) = (escape(name), escape(value), escape(detail));
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"detail\">{detail}</dd></div>");
    }
    html.push_str("</dl>\n");
    Html(html)
}

/// A table. Each row has a name, which stands below the first of `columns`, and a cell for each of the others.
pub fn table(columns: &[&str], rows: &[(String, Vec<String>)]) -> Html {
    if rows.is_empty() {
        return Html::default();
    }
    let mut html = String::from("<div class=\"wide\"><table>\n<thead><tr>");
    for column in columns {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (name, cells) in rows {
        let _ = write!(html, "<tr><th scope=\"row\" dir=\"auto\">{}</th>", escape(name));
        for cell in cells {
            let _ = write!(html, "<td>{}</td>", escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
    Html(html)
}

/// A table of scores, its first column headed `first`.
pub fn scores(first: &str, rows: &[ScoreRow]) -> Html {
    let cells = |row: &ScoreRow| {
        let scores = [row.precision, row.recall, row.f1].map(score);
        (row.name.clone(), scores.into_iter().chain([row.examples.to_string()]).collect())
    };
    table(&[first, "Precision", "Recall", "F1", "Examples"], &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Names with their values.
pub fn pairs(pairs: &[(String, String)]) -> Html {
    if pairs.is_empty() {
        return Html::default();
    }
    let mut html = String::from("<div class=\"wide\"><table class=\"pairs\">\n<tbody>\n");
    for (name, value) in pairs {
        let _ = writeln!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    html.push_str("</tbody>\n</table></div>\n");
    Html(html)
}

/// A picture, which is made narrower where the page is.
pub fn figure(picture: &Picture) -> Html {
    Html(format!("<div class=\"picture\">\n{}</div>\n", picture.svg()))
}

/// A picture that keeps its size and scrolls where the page is too narrow for it.
pub(crate) fn wide_figure(picture: &Picture) -> Html {
    Html(format!("<div class=\"picture whole\">\n{}</div>\n", picture.svg()))
}

/// Small pictures, as many in a row as fit.
pub(crate) fn multiples(pictures: &[Picture]) -> Html {
    if pictures.is_empty() {
        return Html::default();
    }
    let mut html = String::from("<div class=\"picture multiples\">\n");
    html.extend(pictures.iter().map(Picture::svg));
    html.push_str("</div>\n");
    Html(html)
}

/// A paragraph that explains what stands above or below it.
pub fn caption(text: &str) -> Html {
    if text.is_empty() { Html::default() } else { Html(format!("<p class=\"caption\">{}</p>\n", escape(text))) }
}

/// Texts with the model's label, whether it is right, and a bar for each probability.
pub fn examples(examples: &[Example]) -> Html {
    let mut html = String::new();
    for example in examples {
        let predicted = escape(&example.predicted);
        let answer = match &example.truth {
            None => format!("<b>{predicted}</b>"),
            Some(truth) if *truth == example.predicted => {
                format!("<b class=\"right\">{predicted} ✓</b>")
            }
            Some(truth) => format!("<b class=\"wrong\">{predicted} ✗</b>, actually {}", escape(truth)),
        };
        let text = escape(&example.text);
        let _ = write!(html, "<article>\n<blockquote dir=\"auto\">{text}</blockquote>\n<p>{answer}</p>\n");
        html.push_str("<div class=\"bars\">\n");
        for (label, probability) in &example.probabilities {
            let percent = if probability.is_finite() { 100.0 * probability.clamp(0.0, 1.0) } else { 0.0 };
            let label = escape(label);
            let _ = writeln!(
                html,
                "<span dir=\"auto\">{label}</span><i><u style=\"width:{percent:.1}%\"></u></i><span>{percent:.1} %</span>"
            );
        }
        html.push_str("</div>\n</article>\n");
    }
    Html(html)
}

fn score(score: f64) -> String {
    if score.is_nan() { "–".to_owned() } else { format!("{score:.4}") }
}

//! The building blocks of a section. Each escapes its texts, and is empty for empty input.

use std::fmt::Write as _;
use std::ops::Add;

use crate::canvas::escape;
use crate::picture::Picture;

/// A picture this wide is readable on a phone, where it is made narrower.
const WIDEST_UNSCROLLED: f64 = 560.0;

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

/// What a remark means for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Plain,
}

/// A sentence about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub tone: Tone,
    pub text: String,
}

/// A text that the model labels otherwise than the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Misread {
    /// Where the text stands: its row.
    pub place: String,
    pub text: String,
    /// Its label in the data.
    pub label: String,
    /// The model's label.
    pub predicted: String,
    /// The probability of the model's label, 0 to 1.
    pub probability: f64,
    /// The probability of the label in the data, 0 to 1.
    pub label_probability: f64,
    /// The text's words with their attributions, in place of the plain text.
    pub words: Option<Html>,
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

/// A table of numbers. Each row has a name, which stands below the first of `columns`, and a cell for each of the others.
pub fn table(columns: &[&str], rows: &[(String, Vec<String>)]) -> Html {
    table_of("", columns, rows)
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

/// A picture, which is made narrower where the page is; a wide one scrolls on a phone.
pub fn figure(picture: &Picture) -> Html {
    let svg = picture.svg();
    if picture.width() <= WIDEST_UNSCROLLED {
        return Html(format!("<figure class=\"picture\">\n{svg}</figure>\n"));
    }
    let name = picture.title();
    Html(format!("<figure class=\"picture scrolls\" tabindex=\"0\" aria-label=\"{name}\">\n{svg}</figure>\n"))
}

/// Pictures beside each other where the page is wide enough.
pub fn figures(pictures: &[&Picture]) -> Html {
    if pictures.is_empty() {
        return Html::default();
    }
    let figures: String = pictures.iter().map(|picture| figure(picture).0).collect();
    Html(format!("<div class=\"beside\">\n{figures}</div>\n"))
}

/// A picture that keeps its size and scrolls where the page is too narrow for it.
pub(crate) fn wide_figure(picture: &Picture) -> Html {
    Html(format!("{}\n{}</div>\n", scroller("picture whole", picture.title()), picture.svg()))
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

/// A paragraph that explains what stands above or below it. What stands between two backticks is code.
pub fn caption(text: &str) -> Html {
    if text.is_empty() { Html::default() } else { Html(format!("<p class=\"caption\">{}</p>\n", with_code(text))) }
}

/// A text whose parts between two backticks are code, escaped.
pub(crate) fn with_code(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(escape).collect();
    // A lone backtick is only a character.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let part =
        |(place, part): (usize, &String)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.clone() };
    parts.iter().enumerate().map(part).collect()
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

/// A heading within a section.
pub fn subheading(text: &str) -> Html {
    if text.is_empty() { Html::default() } else { Html(format!("<h3>{}</h3>\n", escape(text))) }
}

/// Sentences, each with a sign for whether it is good news.
pub fn remarks(remarks: &[Remark]) -> Html {
    if remarks.is_empty() {
        return Html::default();
    }
    let mut html = String::from("<ul class=\"remarks\">\n");
    for Remark { tone, text } in remarks {
        let class = match tone {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Plain => "plain",
        };
        let _ = writeln!(html, "<li class=\"{class}\">{}</li>", escape(text));
    }
    html.push_str("</ul>\n");
    Html(html)
}

/// A table of texts. Its first column names the rows.
pub fn records(columns: &[&str], rows: &[(String, Vec<String>)]) -> Html {
    table_of("records", columns, rows)
}

/// Commands to type, one a line.
pub fn commands(lines: &[String]) -> Html {
    if lines.is_empty() {
        return Html::default();
    }
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    Html(format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", lines.join("\n")))
}

/// Texts that the model labels otherwise than the data.
pub fn misread(texts: &[Misread]) -> Html {
    let mut html = String::new();
    for Misread { place, text, label, predicted, probability, label_probability, words } in texts {
        let text = words.as_ref().map_or_else(
            || format!("<blockquote dir=\"auto\">{}</blockquote>", escape(text)),
            |words| words.as_str().trim_end().to_owned(),
        );
        let _ = write!(
            html,
            "<article>\n{text}\n<p>predicted <b class=\"wrong\">{}</b> ({:.1} %), labeled <b>{}</b> ({:.1} %) \
             <span class=\"place\">{}</span></p>\n</article>\n",
            escape(predicted),
            100.0 * probability,
            escape(label),
            100.0 * label_probability,
            escape(place),
        );
    }
    Html(html)
}

fn table_of(class: &str, columns: &[&str], rows: &[(String, Vec<String>)]) -> Html {
    if rows.is_empty() {
        return Html::default();
    }
    // Numbers run from left to right; a text by its first letter.
    let direction = if class.is_empty() { "" } else { " dir=\"auto\"" };
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let name = escape(&columns.join(", "));
    let mut html = format!("{}<table{class}>\n<thead><tr>", scroller("wide", &name));
    for column in columns {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (name, cells) in rows {
        let _ = write!(html, "<tr><th scope=\"row\" dir=\"auto\">{}</th>", escape(name));
        for cell in cells {
            let _ = write!(html, "<td{direction}>{}</td>", escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
    Html(html)
}

/// The begin of an element that scrolls sideways where the page is too narrow: by keyboard too. `name` is escaped.
pub(crate) fn scroller(class: &str, name: &str) -> String {
    format!("<div class=\"{class}\" tabindex=\"0\" role=\"group\" aria-label=\"{name}\">")
}

fn score(score: f64) -> String {
    if score.is_nan() { "–".to_owned() } else { format!("{score:.4}") }
}

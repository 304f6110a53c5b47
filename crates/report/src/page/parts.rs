//! The page's pieces. Each is empty for empty input.

use std::fmt::Write as _;

use super::{Example, Figure, ScoreRow};
use crate::canvas::escape;

pub(crate) fn notes(html: &mut String, notes: &[String]) {
    for note in notes {
        let _ = writeln!(html, "<p class=\"note\" role=\"note\"><strong>Note</strong> {}</p>", escape(note));
    }
}

pub(crate) fn headline(html: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    html.push_str("<dl class=\"headline\">\n");
    for Figure { name, value, detail } in figures {
        let (name, value, detail) = (escape(name), escape(value), escape(detail));
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"detail\">{detail}</dd></div>");
    }
    html.push_str("</dl>\n");
}

/// A table of scores, the first column headed `what`.
pub(crate) fn scores(what: &str, rows: &[ScoreRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">{}</th><th scope=\"col\">Precision</th>\
         <th scope=\"col\">Recall</th><th scope=\"col\">F1</th><th scope=\"col\">Examples</th></tr></thead>\n<tbody>\n",
        escape(what)
    );
    for row in rows {
        let _ = write!(html, "<tr><th scope=\"row\" dir=\"auto\">{}</th>", escape(&row.name));
        for score in [row.precision, row.recall, row.f1] {
            let _ = write!(html, "<td>{}</td>", number(score));
        }
        let _ = writeln!(html, "<td>{}</td></tr>", row.examples);
    }
    html.push_str("</tbody>\n</table></div>\n");
    html
}

/// A picture of ours, which is escaped already.
pub(crate) fn figure(svg: &str) -> String {
    format!("<div class=\"picture\">\n{svg}</div>\n")
}

/// A picture of ours that keeps its size and scrolls where the page is too narrow for it.
pub(crate) fn wide_figure(svg: &str) -> String {
    format!("<div class=\"picture whole\">\n{svg}</div>\n")
}

/// A picture of ours beside others of its kind, as many in a row as there is room for.
pub(crate) fn multiples<'a>(svgs: impl IntoIterator<Item = &'a String>) -> String {
    let mut html = String::from("<div class=\"picture multiples\">\n");
    html.extend(svgs.into_iter().map(String::as_str));
    html.push_str("</div>\n");
    html
}

pub(crate) fn caption(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<p class=\"caption\">{}</p>\n", escape(text)) }
}

pub(crate) fn pairs(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let mut html = String::from("<div class=\"wide\"><table class=\"pairs\">\n<tbody>\n");
    for (name, value) in pairs {
        let _ = writeln!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    html.push_str("</tbody>\n</table></div>\n");
    html
}

/// Texts with the model's label, whether it's right, and a bar for each probability.
pub(super) fn examples(examples: &[Example]) -> String {
    let mut html = String::new();
    for example in examples {
        let predicted = escape(&example.predicted);
        let verdict = match &example.truth {
            None => format!("<b>{predicted}</b>"),
            Some(truth) if *truth == example.predicted => {
                format!("<b class=\"right\">{predicted} ✓</b>")
            }
            Some(truth) => format!("<b class=\"wrong\">{predicted} ✗</b>, truly {}", escape(truth)),
        };
        let text = escape(&example.text);
        let _ = write!(html, "<article>\n<blockquote dir=\"auto\">{text}</blockquote>\n<p>{verdict}</p>\n");
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
    html
}

fn number(score: f64) -> String {
    if score.is_nan() { "–".to_owned() } else { format!("{score:.4}") }
}

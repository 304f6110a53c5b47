//! Texts whose words are colored by what they do for a label, as HTML: blue and a straight line below what speaks for it, orange
//! and a wavy line below what speaks against it, so that no color is needed to tell them apart.

use std::fmt::Write as _;
use std::ops::Range;

use crate::canvas::escape;
use crate::html::Html;

/// A word weaker than this share of the text's strongest one is not marked.
const WEAKEST: f64 = 0.05;
/// Words that are listed with their numbers, on either side.
const LISTED: usize = 5;

/// A text with what its words do for a label.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributedText {
    /// The text.
    pub text: String,
    /// The label that is explained.
    pub label: String,
    /// What is to be known of the label: its probability, another one that was predicted; may be empty.
    pub detail: String,
    /// The words in their order.
    pub words: Vec<AttributedWord>,
    /// How the numbers were checked; may be empty.
    pub caption: String,
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributedWord {
    /// Its characters in the text.
    pub characters: Range<usize>,
    /// Positive for what speaks for the label. NaN is shown as nothing.
    pub attribution: f64,
}

/// What the colors mean.
pub fn attribution_legend() -> Html {
    Html::from_escaped(
        "<p class=\"caption\"><mark class=\"for\" style=\"--strength:0.7\">Blue with a straight line</mark> speaks for the label, \
         <mark class=\"against\" style=\"--strength:0.7\">orange with a wavy line</mark> against it. The stronger the color, the \
         more; numbers add up to the label's logit, less that of a text without words.</p>\n"
            .to_owned(),
    )
}

/// The text alone, its words marked.
pub fn attributed_text(text: &str, words: &[AttributedWord]) -> Html {
    let characters: Vec<char> = text.chars().collect();
    let part = |range: Range<usize>| escape(&characters[range].iter().collect::<String>());
    let strongest = words.iter().map(|word| word.attribution.abs()).fold(0.0, f64::max);
    let mut html = String::from("<blockquote dir=\"auto\">");
    let mut at = 0;
    for AttributedWord { characters: Range { start, end }, attribution } in words {
        let (start, end) = ((*start).clamp(at, characters.len()), (*end).clamp(at, characters.len()));
        if start >= end {
            continue;
        }
        html.push_str(&part(at..start));
        let (word, strength) = (part(start..end), attribution.abs() / strongest);
        let _ = if strength >= WEAKEST {
            let side = if *attribution > 0.0 { "for" } else { "against" };
            write!(
                html,
                "<mark class=\"{side}\" style=\"--strength:{strength:.2}\" title=\"{attribution:+.2}\">{word}</mark>"
            )
        } else {
            write!(html, "{word}")
        };
        at = end;
    }
    html.push_str(&part(at..characters.len()));
    html.push_str("</blockquote>\n");
    Html::from_escaped(html)
}

/// Texts with their labels, their words marked, and the strongest words with their numbers.
pub fn attributed_texts(texts: &[AttributedText]) -> Html {
    let mut html = Html::default();
    for AttributedText { text, label, detail, words, caption } in texts {
        let characters: Vec<char> = text.chars().collect();
        let mut sorted: Vec<&AttributedWord> = words.iter().filter(|word| word.attribution.is_finite()).collect();
        sorted.sort_by(|a, b| b.attribution.abs().total_cmp(&a.attribution.abs()));
        let listed = |is_for: bool| {
            let side = sorted.iter().filter(|word| (word.attribution > 0.0) == is_for && word.attribution != 0.0);
            let shown = side.take(LISTED).map(|word| {
                let word_text: String =
                    characters.iter().skip(word.characters.start).take(word.characters.len()).collect();
                format!("{} {:+.2}", escape(&word_text), word.attribution)
            });
            shown.collect::<Vec<_>>().join(" · ")
        };
        let mut rest = format!("<p><b>{}</b> {}</p>\n", escape(label), escape(detail));
        for (name, side) in [("For it", listed(true)), ("Against it", listed(false))] {
            if !side.is_empty() {
                let _ = writeln!(rest, "<p class=\"listed\" dir=\"auto\">{name}: {side}</p>");
            }
        }
        if !caption.is_empty() {
            let _ = writeln!(rest, "<p class=\"caption\">{}</p>", escape(caption));
        }
        html = html
            + Html::from_escaped("<article>\n".to_owned())
            + attributed_text(text, words)
            + Html::from_escaped(rest + "</article>\n");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(characters: Range<usize>, attribution: f64) -> AttributedWord {
        AttributedWord { characters, attribution }
    }

    #[test]
    fn words_are_marked_by_sign_and_strength_and_the_rest_stays_as_it_is() {
        let words = [word(0..1, 0.01), word(2..7, 2.0), word(9..13, -0.5), word(13..14, 0.0)];
        assert_eq!(
            attributed_text("A <b>é>  dull.\nEnd", &words).as_str(),
            "<blockquote dir=\"auto\">A <mark class=\"for\" style=\"--strength:1.00\" title=\"+2.00\">&lt;b&gt;é&gt;</mark>  \
             <mark class=\"against\" style=\"--strength:0.25\" title=\"-0.50\">dull</mark>.\nEnd</blockquote>\n"
        );
    }

    #[test]
    fn damaged_numbers_and_places_mark_nothing() {
        assert_eq!(attributed_text("a b", &[]).as_str(), "<blockquote dir=\"auto\">a b</blockquote>\n");
        let words = [word(0..1, f64::NAN), word(0..1, 0.0), word(2..9, 0.0), word(1..1, 3.0)];
        assert_eq!(attributed_text("a b", &words).as_str(), "<blockquote dir=\"auto\">a b</blockquote>\n");
    }

    #[test]
    fn the_strongest_words_are_listed_with_their_numbers() {
        let text = AttributedText {
            text: "good & bad".to_owned(),
            label: "<positive>".to_owned(),
            detail: "98.7 %".to_owned(),
            words: vec![word(0..4, 1.25), word(5..6, -0.125), word(7..10, -2.0)],
            caption: String::new(),
        };
        let html = attributed_texts(&[text.clone(), AttributedText { words: Vec::new(), ..text }]);
        let html = html.as_str();
        assert!(html.contains(
            "<p><b>&lt;positive&gt;</b> 98.7 %</p>\n<p class=\"listed\" dir=\"auto\">For it: good +1.25</p>\n"
        ));
        assert!(html.contains(">Against it: bad -2.00 · &amp; -0.12</p>"), "{html}");
        assert_eq!(html.matches("<article>").count(), 2);
        assert_eq!(html.matches("class=\"listed\"").count(), 2);
    }
}

//! One HTML page that holds everything: style and pictures are inside, nothing is fetched, no script runs.

use std::fmt::Write as _;

use crate::canvas::escape;
use crate::html::{Html, with_code};
use crate::picture::Picture;

const STYLE: &str = include_str!("style.css");
/// A page with as many headings has a table of contents.
const HEADINGS_WITH_CONTENTS: usize = 6;

/// A page: its head, and its sections in their order.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    pub title: &'a str,
    /// A line below it: run, date, device.
    pub subtitle: &'a str,
    /// What the reader must know first, like that a fallback replaced the data or the weights.
    pub notes: &'a [String],
    /// Sections without content are left out.
    pub sections: Vec<Section>,
}

/// A part of a page under a heading. The building blocks for its content are in [`crate::html`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// Without a heading the content stands on the page as it is.
    pub heading: &'static str,
    pub content: Html,
    /// Pictures of the section that are worth a file of their own: a name without an ending, and the picture.
    pub pictures: Vec<(String, Picture)>,
}

impl Section {
    pub fn new(heading: &'static str, content: Html) -> Self {
        Self { heading, content, pictures: Vec::new() }
    }

    /// Marks a picture of the section as worth a file of this name, to which the ending is added.
    pub fn with_picture(mut self, name: impl Into<String>, picture: Picture) -> Self {
        self.pictures.push((name.into(), picture));
        self
    }
}

impl Page<'_> {
    /// The whole page. Every text is escaped.
    pub fn html(&self) -> String {
        let title = escape(self.title);
        let subtitle = match self.subtitle {
            "" => String::new(),
            subtitle => format!("<p class=\"subtitle\">{}</p>\n", escape(subtitle)),
        };
        let mut main = String::new();
        for note in self.notes {
            let _ = writeln!(main, "<p class=\"note\" role=\"note\"><strong>Note</strong> {}</p>", with_code(note));
        }
        let shown: Vec<&Section> = self.sections.iter().filter(|section| !section.content.is_empty()).collect();
        let headings: Vec<&str> =
            shown.iter().map(|section| section.heading).filter(|heading| !heading.is_empty()).collect();
        let mut contents = contents(&headings);
        for Section { heading, content, .. } in shown {
            let content = content.as_str();
            if heading.is_empty() {
                main.push_str(content);
                continue;
            }
            // The contents stand below what has no heading.
            main += &std::mem::take(&mut contents);
            let _ = write!(
                main,
                "<section id=\"{}\">\n<h2>{}</h2>\n{content}</section>\n",
                anchor(heading),
                escape(heading)
            );
        }
        // The policy keeps the page's promise even if unescaped text got into it.
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n{subtitle}</header>\n\
             {main}</main>\n</body>\n</html>\n"
        )
    }
}

/// Links to the sections; nothing for a page that is seen at a glance.
fn contents(headings: &[&str]) -> String {
    if headings.len() < HEADINGS_WITH_CONTENTS {
        return String::new();
    }
    let link = |heading: &&str| format!("<li><a href=\"#{}\">{}</a></li>\n", anchor(heading), escape(heading));
    let links: String = headings.iter().map(link).collect();
    format!("<nav aria-label=\"Contents\">\n<ol>\n{links}</ol>\n</nav>\n")
}

/// The name of a section in links: its heading in lower case, with a dash for whatever is no letter or digit.
fn anchor(heading: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    escape(&heading.chars().map(kept).collect::<String>())
}

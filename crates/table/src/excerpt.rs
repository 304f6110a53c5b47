//! Outside text in messages: short, on one line, without control characters.

/// Characters of a text that a message shows.
const SHOWN: usize = 40;

/// Outside text in quotes, escaped, and cut to a length that fits a message.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// Outside text without line ends and other control characters, cut to a length that fits a message.
pub fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars().take(SHOWN) {
        // An apostrophe between double quotes needs no escape.
        if c == '\'' { short.push(c) } else { short.extend(c.escape_debug()) }
    }
    if text.chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    short
}

pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const LISTED: usize = 30;
    let count = names.len();
    let mut listed: Vec<String> = names.take(LISTED).map(excerpt).collect();
    match count {
        0 => return "none".into(),
        more if more > LISTED => listed.push(format!("and {} more", more - LISTED)),
        _ => {}
    }
    listed.join(", ")
}

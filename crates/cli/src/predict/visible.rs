//! Texts on one line of a terminal: what would move the cursor, color the line or reorder it is shown, not obeyed.

use std::borrow::Cow;

/// A text in which control characters are escaped as in Rust: `\n`, `\t`, `\u{1b}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.extend(c.escape_debug()),
            c if acts(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, separators of lines and paragraphs, and marks that change the direction of what follows.
fn acts(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || separates || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line_and_changes_no_terminal() {
        assert_eq!(visible("one\ntwo\tthree\r\n"), "one\\ntwo\\tthree\\r\\n");
        assert_eq!(visible("\u{1B}[31mred\u{1B}]0;title\u{7}"), "\\u{1b}[31mred\\u{1b}]0;title\\u{7}");
        assert_eq!(visible("\u{9B}2J\u{202E}abc\u{2028}d"), "\\u{9b}2J\\u{202e}abc\\u{2028}d");
        for plain in ["it's \"fine\" \\n", "café 中国 👩‍👩‍👧 مرحبا e\u{301}"] {
            assert!(matches!(visible(plain), Cow::Borrowed(same) if same == plain));
        }
    }
}

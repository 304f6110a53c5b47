//! A labeled text, which every reader yields, and when two texts count as the same.

use disk::sha256_bytes;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The text as it will be tokenized.
    pub text: String,
    /// Index into the data set's label names; `None` where the source gives no label.
    pub label: Option<u32>,
}

impl Record {
    pub fn labeled(text: impl Into<String>, label: u32) -> Self {
        Self { text: text.into(), label: Some(label) }
    }
}

/// The form in which two texts are the same text, whichever the model: compatibility forms and accents as in
/// Unicode's NFKC without diacritics, lower case, control and zero-width characters removed, runs of white space
/// (no-break spaces too) as one space, trimmed. A text is empty when this is.
pub(crate) fn normalized(text: &str) -> String {
    if text.is_ascii() {
        return lower_case(text);
    }
    // Lower case may bring an accent of its own (`\u{130}`).
    let plain = text.nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase).filter(|c| !is_accent(*c));
    let seen = plain.filter(|c| c.is_whitespace() || !invisible(*c));
    spaced(&seen.map(|c| if c == 'ς' { 'σ' } else { c }).nfc().collect::<String>())
}

/// As [`normalized`], with all accents and compatibility forms kept.
pub(crate) fn lower_case(text: &str) -> String {
    spaced(&text.chars().flat_map(char::to_lowercase).collect::<String>())
}

/// Without invisible characters, and with one space between words.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let start = out.len();
        if start > 0 {
            out.push(' ');
        }
        let before = out.len();
        out.extend(word.chars().filter(|c| !invisible(*c)));
        if out.len() == before {
            out.truncate(start);
        }
    }
    out
}

/// Whether [`normalized`] leaves nothing of `text`.
pub fn is_blank(text: &str) -> bool {
    text.nfkd().all(|c| c.is_whitespace() || invisible(c) || is_accent(c))
}

/// Control characters, the byte-order mark and zero-width spaces. Joiners stay: emoji and some scripts need them.
fn invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{FFFD}')
}

/// The combining marks of Latin, Greek and Cyrillic letters. The vowel signs of other scripts are letters of their own.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// The split that a row falls into when a source has no splits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The split of a text, by hash: equal texts never straddle splits, and adding rows moves none of the others.
    ///
    /// Test where the [`SplitHash`] of the text is below `test`, validation below `test + validation`, else train.
    pub(crate) fn of(hash: SplitHash, validation: f64, test: f64) -> Self {
        let share = hash.0 as f64 / 2_f64.powi(64);
        if share < test {
            Self::Test
        } else if share < test + validation {
            Self::Validation
        } else {
            Self::Train
        }
    }
}

/// What decides about a text's split: the first eight bytes of sha256(`"{seed}\n"` + text), big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SplitHash(u64);

impl SplitHash {
    /// Of the [`normalized`] text.
    pub(crate) fn new(text: &str, seed: u64) -> Self {
        Self::of_form(&normalized(text), seed)
    }

    /// Of a text in another form than [`normalized`].
    pub(crate) fn of_form(text: &str, seed: u64) -> Self {
        let digest = sha256_bytes(format!("{seed}\n{text}"));
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_equal_but_for_case_accents_unicode_forms_and_space() {
        let equal = [
            ("Café  Déjà", "cafe\u{301} de\u{301}ja\u{300}"),
            ("ＡＢＣ ﬁne", "abc fine"),
            ("İstanbul", "istanbul"),
            ("ΟΔΟΣ", "οδός"),
            ("a\u{A0}\u{200B} b", " A B\n"),
            ("Straße", "straße"),
            ("한글", "한글"),
        ];
        for (one, other) in equal {
            assert_eq!(normalized(one), normalized(other), "{one} {other}");
            assert_eq!(SplitHash::new(one, 3), SplitHash::new(other, 3));
        }
        // The marks of other scripts are letters: their words stay different ones.
        for (one, other) in [("कि", "की"), ("が", "か"), ("resume", "resumed")] {
            assert_ne!(normalized(one), normalized(other));
        }
        assert_eq!(lower_case(" Café  Noir\u{200B}"), "café noir");
        assert!(is_blank("\u{200B} \u{301}\t") && !is_blank("é"));
    }

    proptest! {
        #[test]
        fn the_normalized_form_is_one_form(text in any::<String>()) {
            let once = normalized(&text);
            prop_assert_eq!(normalized(&once), once.clone());
            prop_assert_eq!(once.is_empty(), is_blank(&text));
        }

        #[test]
        fn ascii_needs_no_unicode(text in "[ -~\\t\\n]{0,40}") {
            prop_assert_eq!(normalized(&text), lower_case(&text));
        }
    }
}

//! A labeled text, which every reader yields, and when two texts count as the same.

use disk::sha256_bytes;
use serde::{Deserialize, Serialize};

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

/// The form in which two texts are the same text: lower case, control and zero-width characters removed, runs of white
/// space (no-break spaces too) as one space, trimmed. A text is empty when this is.
pub(crate) fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let start = out.len();
        if start > 0 {
            out.push(' ');
        }
        let before = out.len();
        out.extend(word.chars().filter(|c| !invisible(*c)).flat_map(char::to_lowercase));
        if out.len() == before {
            out.truncate(start);
        }
    }
    out
}

/// Whether [`normalized`] leaves nothing of `text`.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || invisible(c))
}

/// Control characters, the byte-order mark and zero-width spaces. Joiners stay: emoji and some scripts need them.
fn invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{FFFD}')
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
    /// With `h` the first eight bytes of sha256(`"{seed}\n"` + [`normalized`] text), big-endian, over 2^64: test below
    /// `test`, validation below `test + validation`, else train.
    pub(crate) fn of(text: &str, seed: u64, validation: f64, test: f64) -> Self {
        let digest = sha256_bytes(format!("{seed}\n{}", normalized(text)));
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest[..8]);
        let share = u64::from_be_bytes(first) as f64 / 2_f64.powi(64);
        if share < test {
            Self::Test
        } else if share < test + validation {
            Self::Validation
        } else {
            Self::Train
        }
    }
}

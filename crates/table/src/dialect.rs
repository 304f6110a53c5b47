//! How a CSV or TSV file is written: its separator, its quotes and whether it has a header.

use crate::quotes::{TextSample, judge, survey};
use crate::quoting::Quoting;
use crate::records::Syntax;
use crate::swallowed::SeenValues;

/// How a CSV or TSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub separator: u8,
    pub quoting: Quoting,
    /// Whether the first row names the columns.
    pub header: bool,
}

/// What is tried where no flag and no `sep=` line names a separator.
const SEPARATORS: [u8; 4] = *b",;\t|";
/// The share of records that must agree on a separator that isn't the format's own.
const AGREEMENT: f64 = 0.9;
/// Bytes of a sample that separators are tried on.
const TRIED: usize = 64 * 1024;

/// The separator that a first line `sep=;` names, and the line's length.
pub(crate) fn separator_line(text: &[u8]) -> Option<(u8, usize)> {
    let rest = text.strip_prefix(b"sep=").or_else(|| text.strip_prefix(b"SEP="))?;
    let separator = *rest.first().filter(|byte| byte.is_ascii_punctuation() || **byte == b'\t')?;
    let end = match rest.get(1..).unwrap_or_default() {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => return None,
    };
    (separator != b'"').then_some((separator, b"sep=;".len() + end))
}

/// The separator of a text, whose format has its `own`: another one only where records agree on it better.
pub(crate) fn separator(text: &[u8], complete: bool, carriage_returns: bool, own: u8, header: bool) -> u8 {
    let tried = whole_lines(&text[..text.len().min(TRIED)], complete && text.len() <= TRIED);
    let fit = |separator: u8| {
        let syntax = Syntax { separator, carriage_returns };
        let complete = complete && tried.len() == text.len();
        let sample = TextSample { text: tried, complete, column: 0, fields: None, syntax };
        let quoting = judge(&sample, &SeenValues::default()).ok().flatten().unwrap_or(Quoting::Double);
        let survey = survey(&sample, quoting);
        let share = if survey.fields > 1 { survey.share() } else { 0.0 };
        (share, survey.fields, survey.records)
    };
    let (own_share, ..) = fit(own);
    let others = SEPARATORS.into_iter().filter(|separator| *separator != own);
    let mut best = (own, own_share, 0);
    for separator in others {
        let (share, fields, records) = fit(separator);
        let enough = header || records > 2;
        if enough && share >= AGREEMENT && (share > best.1 || (best.0 != own && share == best.1 && fields > best.2)) {
            best = (separator, share, fields);
        }
    }
    best.0
}

/// The text up to its last line end; all of it if it is complete or has none.
pub(crate) fn whole_lines(text: &[u8], complete: bool) -> &[u8] {
    if complete {
        return text;
    }
    let feed = memchr::memrchr(b'\n', text);
    // Behind a carriage return at the end a line feed may come.
    let end = feed.or_else(|| memchr::memrchr(b'\r', &text[..text.len().saturating_sub(1)]));
    end.map_or(text, |end| &text[..=end])
}

/// Whether lines end with carriage returns.
pub(crate) fn has_carriage_returns(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_none() && memchr::memchr(b'\r', text).is_some()
}

/// A separator, for a note.
pub(crate) fn shown(separator: u8) -> String {
    if separator == b'\t' { "tab".into() } else { format!("'{}'", char::from(separator)) }
}

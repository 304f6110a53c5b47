//! What the double quotes of a text mean, judged by a sample of it.

use crate::quoting::Quoting;
use crate::records::{Records, Syntax};
use crate::swallowed::SeenValues;

/// Columns that are looked at one by one.
const COLUMNS: usize = 1000;

/// A piece of a CSV or TSV text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextSample<'a> {
    /// Whole lines, though the last record may go on.
    pub(crate) text: &'a [u8],
    /// The text ends with it.
    pub(crate) complete: bool,
    /// The position in its record of the field that the sample starts with.
    pub(crate) column: usize,
    /// Of each record; `None` if the first tells.
    pub(crate) fields: Option<usize>,
    pub(crate) syntax: Syntax,
}

/// How a sample reads with one kind of quoting.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Of each record.
    pub(crate) fields: usize,
    pub(crate) records: usize,
    /// Records with another number of fields.
    pub(crate) ragged: usize,
    /// Fields in quotes, and those of them that hold no quote, separator or line end.
    quoted: usize,
    needless: usize,
    /// Fields in quotes with line ends in them: column, line in the sample, content.
    multiline: Vec<(usize, u64, Vec<u8>)>,
    /// Fields without quotes around them that hold one.
    pub(crate) lone: usize,
    /// A quote closes in the middle of its field, or the text ends before it.
    failed: bool,
    /// The sample ends inside a quoted field, and the text goes on.
    open: bool,
    /// In each column, either all fields that hold anything are in quotes or none is that doesn't need to.
    uniform: bool,
    /// No field is without quotes; none of the first record is.
    all_quoted: bool,
    header_quoted: bool,
    pub(crate) seen: SeenValues,
}

impl Survey {
    /// The share of records that have as many fields as the first.
    pub(crate) fn share(&self) -> f64 {
        let all = self.records + usize::from(self.failed);
        (self.records - self.ragged) as f64 / all.max(1) as f64
    }
}

/// The quotes of a sample: what they mean; `None` if no field begins with one, so that it makes no difference.
///
/// With tabs, a quote is a character unless the file as a whole is quoted. With other separators it encloses fields.
/// An error is a text that reads well both ways, with the line in the sample, from 1. `seen` are values of the text before it.
pub(crate) fn judge(sample: &TextSample<'_>, seen: &SeenValues) -> Result<Option<Quoting>, (u64, String)> {
    let double = survey(sample, Quoting::Double);
    if double.quoted == 0 && !double.failed && !double.open {
        return Ok(None);
    }
    if sample.syntax.separator != b'\t' {
        return Ok(Some(Quoting::Double));
    }
    if double.header_quoted && !double.failed {
        return Ok(Some(Quoting::Double));
    }
    let plain = survey(sample, Quoting::None);
    if double.failed {
        return Ok(Some(Quoting::None));
    }
    if double.open {
        // A quote that stays open decides nothing unless its line isn't a row by itself.
        let is_row = plain.ragged == 0 || double.ragged > 0;
        return Ok(Some(if is_row { Quoting::None } else { Quoting::Double }));
    }
    if let (Some((_, line, _)), 0) = (double.multiline.first(), plain.ragged) {
        let syntax = sample.syntax;
        let swallowed = |(column, _, text): &(usize, u64, Vec<u8>)| {
            [seen, &double.seen].iter().any(|seen| seen.in_lines(text, *column, plain.fields, syntax))
        };
        if plain.fields > 1 && double.multiline.iter().all(swallowed) {
            return Ok(Some(Quoting::None));
        }
        let reason = "a quote opens here and closes lines later, and each of the lines may be a row (hint: --quoting none \
                      if quotes are characters, --quoting double if they enclose fields)";
        return Err((*line, reason.into()));
    }
    if plain.fields > 1 && double.ragged == 0 && plain.ragged > 0 {
        return Ok(Some(Quoting::Double));
    }
    let as_written = double.ragged == 0 && double.lone == 0 && double.uniform;
    let certain = double.records > 1 || double.needless < double.quoted;
    Ok(Some(if double.all_quoted || (as_written && certain) { Quoting::Double } else { Quoting::None }))
}

/// Reads a sample with one kind of quoting.
pub(crate) fn survey(sample: &TextSample<'_>, quoting: Quoting) -> Survey {
    let mut records = Records::new(sample.text, sample.syntax, quoting, 1);
    let mut survey = Survey { all_quoted: true, header_quoted: sample.fields.is_none(), ..Survey::default() };
    // Of each column: fields in needless quotes, and fields without quotes.
    let mut columns: Vec<(usize, usize)> = Vec::new();
    let mut expected = sample.fields;
    loop {
        match records.read() {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                survey.open = records.unclosed && !sample.complete;
                survey.failed = !survey.open;
                break;
            }
        }
        let first_column = if survey.records == 0 { sample.column } else { 0 };
        let is_header = survey.records == 0 && sample.fields.is_none();
        let fields = records.fields();
        let count = first_column + fields.len();
        survey.ragged += usize::from(count != *expected.get_or_insert(count));
        survey.records += 1;
        for (field, column) in fields.iter().zip(first_column..) {
            let bytes = records.bytes(field);
            if columns.len() <= column && column < COLUMNS {
                columns.resize(column + 1, (0, 0));
            }
            let mut ignored = (0, 0);
            let (needless, bare) = columns.get_mut(column).unwrap_or(&mut ignored);
            if field.quoted {
                let line_end = if sample.syntax.carriage_returns { b'\r' } else { b'\n' };
                let lines = bytes.contains(&line_end);
                let special = [b'"', sample.syntax.separator, b'\r', b'\n'];
                let needed = bytes.iter().any(|byte| special.contains(byte));
                survey.quoted += 1;
                if lines {
                    survey.multiline.push((column, field.line, bytes.to_vec()));
                } else if !is_header {
                    survey.seen.learn(column, bytes);
                }
                survey.needless += usize::from(!needed && !is_header);
                *needless += usize::from(!needed && !is_header);
            } else {
                survey.all_quoted = false;
                survey.header_quoted &= survey.records > 1;
                if !is_header {
                    survey.seen.learn(column, bytes);
                }
                survey.lone += usize::from(memchr::memchr(b'"', bytes).is_some());
                *bare += usize::from(!bytes.is_empty() && !is_header);
            }
        }
    }
    survey.header_quoted &= survey.records > 0;
    survey.all_quoted &= survey.records > 0;
    survey.fields = expected.unwrap_or(0);
    survey.uniform = columns.iter().all(|(needless, bare)| *needless == 0 || *bare == 0);
    survey
}

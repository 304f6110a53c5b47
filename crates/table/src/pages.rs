//! What the pages of a Parquet file claim to unpack to, read before the library makes room for it.
//!
//! A page's header states its unpacked size, and the library reserves that much before it unpacks a byte; a thousand
//! bytes of file can ask for 2 GiB. The library's interface doesn't expose the size beforehand, so the headers
//! (structs of the Thrift compact protocol) are walked here. Only the needed fields are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// Unpacked bytes that every page may claim, and for each of its packed bytes so many more. Writers make pages of a
/// megabyte.
const MAX_PAGE: u64 = 32 << 20;
const MAX_RATIO: u64 = 64;
/// Values of one column with lists that a row group may claim, and for each of its unpacked bytes so many more: a single
/// row may hold all of them, and runs of equal values take next to no room.
const MAX_LISTED: u64 = 4 << 20;
const MAX_LISTED_RATIO: u64 = 512;
/// Unpacked bytes of such a column, as of a page.
const MAX_LISTS: u64 = 256 << 20;
/// First guess at a header's length; those with statistics of long texts have more.
const HEADER: u64 = 4096;
/// The deepest nesting of a header's structs. Real ones have 3.
const MAX_DEPTH: usize = 16;

/// The most bytes of pages that a row of the columns in `mask` may need. Of a column with lists it is the largest page, for
/// how many of its values are a row's isn't known here; of the others a row's part of a page.
///
/// # Errors
/// Such a page, and a header that can't be read where a column has bytes left: the library reads the same headers.
pub(crate) fn largest_row(
    mut file: &File,
    about: &ParquetMetaData,
    mask: &ProjectionMask,
) -> Result<u64, ParquetError> {
    let mut columns = vec![0; about.file_metadata().schema_descr().num_columns()];
    for (number, group) in about.row_groups().iter().enumerate() {
        for (leaf, column) in group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf)) {
            let has_lists = column.column_descr().max_rep_level() > 0;
            let (mut at, length) = column.byte_range();
            let end = at.saturating_add(length);
            let (mut packed, mut unpacked, mut values) = (0_u64, 0_u64, 0_u64);
            while at < end {
                let page = header(&mut file, at, end)?.ok_or_else(|| {
                    let name = column.column_path();
                    ParquetError::General(format!("a page header of column {name} in row group {number} is damaged"))
                })?;
                if page.delta {
                    return Err(ParquetError::General(format!(
                        "column {} has delta-encoded texts, whose sizes can't be checked (hint: write \
                         the file again with plain or dictionary encoding, as pandas and pyarrow do by themselves)",
                        column.column_path()
                    )));
                }
                if !page.is_plausible() {
                    return Err(ParquetError::General(format!(
                        "a page of column {} in row group {number} claims to unpack from {} bytes to {}",
                        column.column_path(),
                        page.packed,
                        page.unpacked
                    )));
                }
                let row = if has_lists { page.unpacked } else { page.unpacked.div_ceil(page.values.max(1)) };
                // A dictionary has no rows of its own.
                if let Some(largest) = columns.get_mut(leaf).filter(|_| has_lists || page.values > 0) {
                    *largest = row.max(*largest);
                }
                packed = packed.saturating_add(page.packed);
                unpacked = unpacked.saturating_add(page.unpacked);
                values = values.saturating_add(page.values);
                at = at.saturating_add(page.header).saturating_add(page.packed);
            }
            let most = MAX_LISTED.saturating_add(unpacked.saturating_mul(MAX_LISTED_RATIO));
            if has_lists && (values > most || unpacked > MAX_LISTS.saturating_add(packed.saturating_mul(MAX_RATIO))) {
                return Err(ParquetError::General(format!(
                    "column {} in row group {number} claims to unpack from {packed} bytes to {unpacked}, with {values} values",
                    column.column_path()
                )));
            }
        }
    }
    Ok(columns.into_iter().fold(0, u64::saturating_add))
}

#[derive(Debug, PartialEq)]
struct ParquetPage {
    /// Size of the header itself.
    header: u64,
    packed: u64,
    unpacked: u64,
    /// Whether its texts are delta-encoded. The library reserves room for as many as such a page says it has, before
    /// it looks for them; the number is inside the packed bytes and can be anything.
    delta: bool,
    /// How many values it says it has; nulls count. A dictionary has none.
    values: u64,
}

impl ParquetPage {
    fn is_plausible(&self) -> bool {
        self.unpacked <= MAX_PAGE.saturating_add(self.packed.saturating_mul(MAX_RATIO))
    }
}

/// The header at `at`, if there is one before `end`, which comes later.
fn header(file: &mut &File, at: u64, end: u64) -> Result<Option<ParquetPage>, ParquetError> {
    let mut most = HEADER;
    loop {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(most.min(end - at)).read_to_end(&mut bytes)?;
        let mut compact = Compact { bytes: &bytes, at: 0 };
        match compact.page() {
            Some(page) => return Ok(Some(page)),
            // Either it is longer than was read, or it is none.
            None if compact.at >= bytes.len() && most < end - at => most *= 8,
            None => return Ok(None),
        }
    }
}

/// A reader of the compact protocol.
struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn page(&mut self) -> Option<ParquetPage> {
        let (mut id, mut sizes, mut delta, mut values) = (0, [None; 2], false, 0);
        while let Some(kind) = self.field(&mut id)? {
            match id {
                // The headers of data pages, version 1 and version 2, with the encoding in their second or fourth field.
                5 | 8 if kind == 12 => {
                    let (count, is_delta) = self.data_page(if id == 5 { 2 } else { 4 })?;
                    (values, delta) = (values.max(u64::try_from(count).ok()?), delta | is_delta);
                }
                2 | 3 if matches!(kind, 4..=6) => sizes[id as usize - 2] = Some(self.number()?),
                _ => self.skip(kind, 0)?,
            }
        }
        let size = |found: Option<i64>| u64::try_from(found?).ok();
        Some(ParquetPage { header: self.at as u64, unpacked: size(sizes[0])?, packed: size(sizes[1])?, delta, values })
    }

    /// Reads the header of a data page: how many values it has, and whether the field with its encoding is
    /// DELTA_LENGTH_BYTE_ARRAY (6) or DELTA_BYTE_ARRAY (7).
    fn data_page(&mut self, encoding: i64) -> Option<(i64, bool)> {
        let (mut id, mut values, mut delta) = (0, 0, false);
        while let Some(kind) = self.field(&mut id)? {
            match id {
                1 if matches!(kind, 4..=6) => values = self.number()?,
                _ if id == encoding && matches!(kind, 4..=6) => delta |= matches!(self.number()?, 6 | 7),
                _ => self.skip(kind, 1)?,
            }
        }
        Some((values, delta))
    }

    /// The next field's type, its number going into `id`; `None` inside for the end of the struct.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *id = if byte >> 4 == 0 { self.number()? } else { id.checked_add(i64::from(byte >> 4))? };
        Some(Some(byte & 0x0F))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => Some(()), // a boolean, which its type says
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => self.varint().and_then(|length| self.pass(length)),
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // In a list a boolean has a byte of its own.
                let kind = if matches!(byte & 0x0F, 1 | 2) { 3 } else { byte & 0x0F };
                (0..count).try_for_each(|_| self.skip(kind, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                let kind = |kind: u8| if matches!(kind, 1 | 2) { 3 } else { kind };
                let mut skip = |half: u8| self.skip(kind(half), depth + 1);
                (0..count).try_for_each(|_| skip(kinds >> 4).and_then(|()| skip(kinds & 0x0F)))
            }
            12 => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, length: u64) -> Option<()> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        self.at = end.unwrap_or(usize::MAX).min(self.bytes.len());
        (end == Some(self.at)).then_some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A signed number: zigzag, so that small ones of either sign are short.
    fn number(&mut self) -> Option<i64> {
        self.varint().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type 0, 100 bytes unpacked, 50 packed, a data page header with three numbers and statistics with one text.
    const GOOD: [u8; 22] =
        [0x15, 0, 0x15, 0xC8, 1, 0x15, 100, 0x2C, 0x15, 2, 0x15, 0, 0x15, 6, 0x2C, 0x18, 2, b'a', b'b', 0, 0, 0];

    fn page(bytes: &[u8]) -> Option<ParquetPage> {
        Compact { bytes, at: 0 }.page()
    }

    #[test]
    fn sizes_are_read_and_other_fields_skipped() {
        assert_eq!(page(&GOOD), Some(ParquetPage { header: 22, packed: 50, unpacked: 100, delta: false, values: 1 }));
        let more = [&GOOD[..], &[1, 2, 3]].concat();
        assert_eq!(page(&more), page(&GOOD));
    }

    #[test]
    fn delta_encoded_texts_are_seen() {
        let mut bytes = GOOD;
        assert_eq!(bytes[10..12], [0x15, 0], "the encoding, PLAIN");
        bytes[11] = 2 * 7;
        assert!(page(&bytes).is_some_and(|page| page.delta));
    }

    #[test]
    fn the_compression_ratio_of_a_page_is_limited() {
        let plausible =
            |packed, unpacked| ParquetPage { header: 20, packed, unpacked, delta: false, values: 1 }.is_plausible();
        assert!(plausible(100, 32 << 20) && plausible(2 << 20, 160 << 20));
        assert!(!plausible(100, 1 << 30) && !plausible(2 << 20, 161 << 20));
    }

    #[test]
    fn an_invalid_header_is_none() {
        for length in 0..GOOD.len() {
            assert_eq!(page(&GOOD[..length]), None, "{length}");
        }
        assert_eq!(page(&[0x15, 0, 0x15, 1, 0x15, 2, 0]), None, "a size of -1");
        assert_eq!(page(&[0x1C; 1000]), None, "structs without end");
        assert_eq!(
            page(&[0x19, 0xF1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
            None,
            "a list without end"
        );
        // Elements that take no byte of their own would let a count run free.
        assert_eq!(page(&[0x19, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), None);
        assert_eq!(page(&[0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]), None, "a text without end");
    }
}

//! The layout of an Arrow IPC file, validated before any of its bytes are used.
//!
//! The library slices buffers by the lengths that a file states, panics where those don't fit, and validates every text
//! when it opens a record batch. So the one layout that the writer produces is read here: every length is checked against
//! the file, and the columns are views of it.

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::error::ArrowError;
use arrow::ipc::reader::read_footer_length;
use arrow::ipc::{Block, Endianness, Footer, Type, root_as_footer, root_as_message};

use super::damaged;

const MAGIC: &[u8] = b"ARROW1";
/// Footer length and magic at the end of the file.
const TRAILER: usize = 10;
/// Buffers of a record batch: text has three (validity, offsets, bytes), the others two each, the list's items included.
const BUFFERS: usize = 9;
/// Field nodes of a record batch: text, label, input_ids and the list's items.
const NODES: usize = 4;
const LABEL_NODE: usize = 1;
const ITEM_NODE: usize = 3;
/// Which buffer is which; the others are the validity of columns without nulls.
const TEXT_OFFSETS: usize = 1;
const TEXT: usize = 2;
const LABEL_VALIDITY: usize = 3;
const LABELS: usize = 4;
const STARTS: usize = 6;
const IDS: usize = 8;
/// Buffers of four-byte values: offsets of the texts, labels, offsets of the lists, ids.
const FOUR_BYTE_BUFFERS: [usize; 4] = [TEXT_OFFSETS, LABELS, STARTS, IDS];
/// The writer aligns record batches and buffers to multiples of this.
const ALIGNMENT: usize = 8;

/// The columns of one record batch, as views of the map.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) rows: usize,
    text_offsets: ScalarBuffer<i32>,
    text: Buffer,
    labels: ScalarBuffer<i32>,
    /// A bit a row; `None` where every row has a label.
    labeled: Option<Buffer>,
    nulls: usize,
    /// Where each row's ids start, and where the last row's end.
    pub(super) starts: ScalarBuffer<i32>,
    pub(super) input_ids: ScalarBuffer<u32>,
}

impl Columns {
    /// Whether labels and list offsets are such that no access to them can fail.
    pub(super) fn check(&self) -> Result<(), ArrowError> {
        let starts = &self.starts[..=self.rows];
        let in_order = starts[0] >= 0 && starts.windows(2).all(|pair| pair[0] <= pair[1]);
        if !in_order || starts[self.rows] as usize > self.input_ids.len() {
            return Err(damaged("token ids that start after they end".into()));
        }
        let unlabeled = (0..self.rows).filter(|&row| !self.is_labeled(row)).count();
        if self.labeled.is_some() && unlabeled != self.nulls {
            return Err(damaged(format!("expected {} rows without a label, found {unlabeled}", self.nulls)));
        }
        match (0..self.rows).filter(|&row| self.is_labeled(row)).map(|row| self.labels[row]).find(|&label| label < 0) {
            Some(label) => Err(damaged(format!("label {label}"))),
            None => Ok(()),
        }
    }

    pub(super) fn label(&self, row: usize) -> Option<u32> {
        self.is_labeled(row).then(|| self.labels[row] as u32)
    }

    pub(super) fn text(&self, row: usize) -> Option<&str> {
        let bound = |at: usize| usize::try_from(self.text_offsets[at]).ok();
        std::str::from_utf8(self.text.get(bound(row)?..bound(row + 1)?)?).ok()
    }

    fn is_labeled(&self, row: usize) -> bool {
        self.labeled.as_ref().is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
    }
}

/// The record batches of a file, as views of `buffer`.
pub(super) fn record_batches(buffer: &Buffer) -> Result<impl Iterator<Item = Result<Columns, ArrowError>>, ArrowError> {
    if buffer.len() < MAGIC.len() + TRAILER || !buffer.starts_with(MAGIC) {
        return Err(damaged(format!("{} bytes without Arrow's signature", buffer.len())));
    }
    let trailer_start = buffer.len() - TRAILER;
    let mut trailer = [0; TRAILER];
    trailer.copy_from_slice(&buffer[trailer_start..]);
    let footer_start = trailer_start
        .checked_sub(read_footer_length(trailer)?)
        .ok_or_else(|| damaged("a footer longer than the file".into()))?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|error| damaged(format!("the footer: {}", first_line(&error))))?;
    check_schema(&footer)?;
    let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
    let buffer = buffer.clone();
    Ok(blocks.into_iter().map(move |block| columns(&block, &buffer, footer_start)))
}

/// What the library says, without the path it took through the file.
fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Checks the columns' names and types.
fn check_schema(footer: &Footer<'_>) -> Result<(), ArrowError> {
    if footer.schema().is_some_and(|schema| schema.endianness() != Endianness::Little) {
        return Err(damaged("numbers in another byte order".into()));
    }
    let fields = footer.schema().and_then(|schema| schema.fields());
    let found: Vec<(Option<&str>, Type)> =
        fields.into_iter().flatten().map(|field| (field.name(), field.type_type())).collect();
    let expected = [(Some("text"), Type::Utf8), (Some("label"), Type::Int), (Some("input_ids"), Type::List)];
    if found != expected {
        let names: Vec<&str> = found.iter().map(|(name, _)| name.unwrap_or("without a name")).collect();
        let names = names.join(", ");
        return Err(damaged(format!("expected the columns text, label and input_ids with their types, found {names}")));
    }
    if footer.dictionaries().is_some_and(|blocks| !blocks.is_empty()) {
        return Err(damaged("dictionaries".into()));
    }
    Ok(())
}

/// The columns of one record batch, when all that it says about itself lies inside its bytes.
fn columns(block: &Block, buffer: &Buffer, footer_start: usize) -> Result<Columns, ArrowError> {
    let outside = || damaged(format!("a record batch outside the file, at {}", block.offset()));
    let size = |value: i64| usize::try_from(value).map_err(|_| outside());
    let (start, metadata, body) =
        (size(block.offset())?, size(block.metaDataLength().into())?, size(block.bodyLength())?);
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    if !start.is_multiple_of(ALIGNMENT) || !metadata.is_multiple_of(ALIGNMENT) {
        return Err(damaged(format!("a record batch at an unaligned position, {start}")));
    }
    // A message starts with a continuation mark and its length, four bytes each.
    if metadata < 16 || start.checked_add(length).is_none_or(|end| end > footer_start) {
        return Err(outside());
    }
    let data = buffer.slice_with_length(start, length);
    if data[..4] != [0xFF; 4] {
        return Err(damaged("a record batch without its mark".into()));
    }
    let message = root_as_message(&data[8..metadata])
        .map_err(|error| damaged(format!("a record batch's header: {}", first_line(&error))))?;
    let header =
        message.header_as_record_batch().ok_or_else(|| damaged("a message that is not a record batch".into()))?;
    if header.compression().is_some() {
        return Err(damaged("a compressed record batch".into()));
    }
    let buffers: Vec<(i64, i64)> =
        header.buffers().into_iter().flatten().map(|buffer| (buffer.offset(), buffer.length())).collect();
    let nodes: Vec<(i64, i64)> =
        header.nodes().into_iter().flatten().map(|node| (node.length(), node.null_count())).collect();
    if buffers.len() != BUFFERS || nodes.len() != NODES {
        return Err(damaged(format!("{} buffers and {} nodes in a record batch", buffers.len(), nodes.len())));
    }
    for (at, &(offset, length)) in buffers.iter().enumerate() {
        let (offset, length) = (size(offset)?, size(length)?);
        if offset.checked_add(length).is_none_or(|end| end > body) {
            return Err(outside());
        }
        let unit = if FOUR_BYTE_BUFFERS.contains(&at) { 4 } else { 1 };
        if !offset.is_multiple_of(ALIGNMENT) || !length.is_multiple_of(unit) {
            return Err(damaged(format!("buffer {at} of {length} bytes at {offset}")));
        }
    }
    for (at, &(length, nulls)) in nodes.iter().enumerate() {
        let most_nulls = if at == LABEL_NODE { length } else { 0 };
        if !(0..=i32::MAX.into()).contains(&length) || !(0..=most_nulls).contains(&nulls) {
            return Err(damaged(format!("a column of {length} values with {nulls} nulls")));
        }
    }
    let rows = header.length();
    if let Some((length, _)) = nodes[..ITEM_NODE].iter().find(|(length, _)| *length != rows) {
        return Err(damaged(format!("{rows} rows with {length} values in a column")));
    }
    let (nulls, ids) = (nodes[LABEL_NODE].1, nodes[ITEM_NODE].0);
    let enough = [
        (TEXT_OFFSETS, 4 * (rows + 1)),
        (LABELS, 4 * rows),
        (STARTS, 4 * (rows + 1)),
        (IDS, 4 * ids),
        (LABEL_VALIDITY, if nulls > 0 { (rows + 7) / 8 } else { 0 }),
    ];
    if let Some((at, bytes)) = enough.into_iter().find(|&(at, bytes)| buffers[at].1 < bytes) {
        return Err(damaged(format!("buffer {at} of {} bytes where {bytes} are needed", buffers[at].1)));
    }
    // All of these were checked against `body` above, and `metadata + body` against the file.
    let view = |at: usize| data.slice_with_length(metadata + buffers[at].0 as usize, buffers[at].1 as usize);
    Ok(Columns {
        rows: size(rows)?,
        text_offsets: view(TEXT_OFFSETS).into(),
        text: view(TEXT),
        labels: view(LABELS).into(),
        labeled: (nulls > 0).then(|| view(LABEL_VALIDITY)),
        nulls: size(nulls)?,
        starts: view(STARTS).into(),
        input_ids: ScalarBuffer::<u32>::from(view(IDS)).slice(0, size(ids)?),
    })
}

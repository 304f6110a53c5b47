//! The outer form of an Arrow IPC file, checked before the library decodes it.
//!
//! The library validates values (offsets, UTF-8, null counts) but slices buffers by the lengths that the file states,
//! and panics where those don't fit. So every length is held against the file here first, and only the one layout that
//! the writer produces is let through.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, Footer, Type, root_as_footer, root_as_message};

use super::damaged;

const MAGIC: &[u8] = b"ARROW1";
/// Footer length and magic at the end of the file.
const TRAILER: usize = 10;
/// Buffers of a record batch: text has three (validity, offsets, bytes), the others two each, the list's items included.
const BUFFERS: usize = 9;
/// Field nodes of a record batch: text, label, input_ids and the list's items.
const NODES: usize = 4;
const LABEL_NODE: usize = 1;
const LABEL_VALIDITY: usize = 3;
/// Buffers of four-byte values: offsets of the texts, labels, offsets of the lists, ids.
const FOUR_BYTE_BUFFERS: [usize; 4] = [1, 4, 6, 8];
/// Where the writer lets record batches and buffers begin: at multiples of this.
const ALIGNMENT: usize = 8;

/// The record batches of a file, as views of `buffer`.
pub(super) fn record_batches(
    buffer: &Buffer,
    schema: SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, ArrowError> {
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
    let decoder = FileDecoder::new(schema, footer.version()).with_require_alignment(true);
    let buffer = buffer.clone();
    Ok(blocks.into_iter().map(move |block| {
        let data = check_block(&block, &buffer, footer_start)?;
        decoder.read_record_batch(&block, &data)?.ok_or_else(|| damaged("an empty message".into()))
    }))
}

/// What the library says, without the path it took through the file.
fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Whether the columns are ours, by name and type.
fn check_schema(footer: &Footer<'_>) -> Result<(), ArrowError> {
    let fields = footer.schema().and_then(|schema| schema.fields());
    let found: Vec<(Option<&str>, Type)> =
        fields.into_iter().flatten().map(|field| (field.name(), field.type_type())).collect();
    let expected = [(Some("text"), Type::Utf8), (Some("label"), Type::Int), (Some("input_ids"), Type::List)];
    if found != expected {
        return Err(damaged(format!("columns {found:?}, not {expected:?}")));
    }
    if footer.dictionaries().is_some_and(|blocks| !blocks.is_empty()) {
        return Err(damaged("dictionaries".into()));
    }
    Ok(())
}

/// The bytes of one record batch, when all that it says about itself lies inside them.
fn check_block(block: &Block, buffer: &Buffer, footer_start: usize) -> Result<Buffer, ArrowError> {
    let outside = || damaged(format!("a record batch outside the file: {block:?}"));
    let size = |value: i64| usize::try_from(value).map_err(|_| outside());
    let (start, metadata, body) =
        (size(block.offset())?, size(block.metaDataLength().into())?, size(block.bodyLength())?);
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    if !start.is_multiple_of(ALIGNMENT) || !metadata.is_multiple_of(ALIGNMENT) {
        return Err(damaged(format!("a record batch off its place: {block:?}")));
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
    let header = message.header_as_record_batch().ok_or_else(|| damaged("a message that is no record batch".into()))?;
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
    let (labels, nulls) = nodes[LABEL_NODE];
    if nulls > 0 && buffers[LABEL_VALIDITY].1 < (labels + 7) / 8 {
        return Err(damaged(format!("{labels} labels with validity for fewer")));
    }
    if header.length() != labels {
        return Err(damaged(format!("{} rows with {labels} labels", header.length())));
    }
    Ok(data)
}

//! The messages of an Arrow file or stream: where they lie, and whether what they claim can be true.
//!
//! The library makes room for what a message says it has, before it looks; a few bytes can ask for gigabytes. So the
//! messages are found here, and one reaches the library when all of its buffers lie inside it, side by side, and unpack to
//! a plausible size. The library then checks texts, offsets and keys.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{
    Block, DictionaryBatch, Endianness, Message, MessageHeader, RecordBatch, Schema, root_as_footer, root_as_message,
};

use crate::excerpt::quoted;
use crate::signatures::LFS_POINTER;

/// The start and the end of the file form.
const MAGIC: &[u8] = b"ARROW1";
/// The start of Feather's first version, which is no Arrow IPC.
const FEATHER_1: &[u8] = b"FEA1";
const PARQUET: &[u8] = b"PAR1";
/// The footer's length and the magic, at the end of the file form.
const TRAILER: u64 = 10;
/// Comes before a message's length. Streams of before 2019 lack it.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Bodies up to this size are read, larger ones are mapped: a writer may put a whole table into one record batch.
const MAX_READ: u64 = 64 << 20;
/// What a compressed buffer may unpack to: so much in any case, and so much for each of its bytes. LZ4 can't exceed the ratio.
const MAX_BUFFER: u64 = 64 << 20;
const MAX_BUFFERS: u64 = 256 << 20;
const MAX_RATIO: u64 = 256;
/// Rows that a message may claim to have; a column of nulls needs no byte for them.
const MAX_ROWS: i64 = 1 << 40;

/// Why a file isn't read.
pub(super) enum Failure {
    Io(io::Error),
    Damaged(String),
    /// Another format, or a part of this one that isn't read, with a hint.
    Refused(String),
}

/// The schema, and where dictionaries and record batches lie, in the order in which they are read.
pub(super) struct Messages {
    pub(super) schema: SchemaRef,
    pub(super) places: Vec<MessagePlace>,
}

/// A message inside the file: its header with its length in front, and its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessagePlace {
    start: u64,
    /// Size of what comes before the header: the length, and the continuation mark.
    prefix: u64,
    header: u64,
    /// Where the body starts, and its size.
    body: u64,
    body_length: u64,
}

pub(super) enum MessageContent<'a> {
    Rows(RecordBatch<'a>),
    Dictionary(DictionaryBatch<'a>),
}

impl Messages {
    /// Finds the messages of a file of `length` bytes.
    pub(super) fn find(file: &File, length: u64) -> Result<Self, Failure> {
        let head = bytes_at(file, 0, length.min(64))?;
        let refuse = |reason: &str| Err(Failure::Refused(reason.into()));
        if head.starts_with(LFS_POINTER) {
            return refuse("a Git LFS pointer, not the data itself (hint: `git lfs pull` fetches it)");
        }
        if head.starts_with(FEATHER_1) {
            return refuse(
                "Feather version 1 is not supported (hint: write it again with `to_feather` of a current pandas)",
            );
        }
        if head.starts_with(PARQUET) {
            return refuse("Parquet, not Arrow (hint: name it .parquet)");
        }
        if head.starts_with(MAGIC) {
            return Self::of_file(file, length);
        }
        // A stream starts with the length of its schema, which is neither 0 nor 16 MB; text would be more.
        let start = head.strip_prefix(&CONTINUATION).unwrap_or(&head);
        if start.first_chunk::<4>().is_some_and(|size| *size != [0; 4] && size[3] == 0) {
            return Self::of_stream(file, length);
        }
        let start = quoted(&String::from_utf8_lossy(&head));
        refuse(&format!("not Arrow: it starts with {start} (hint: name the file by what it is)"))
    }

    fn of_stream(file: &File, length: u64) -> Result<Self, Failure> {
        let mut schema = None;
        let mut places = Vec::new();
        let mut at = 0;
        while let Some(mut place) = prefix(file, at, length)? {
            let bytes = header_bytes(file, place)?;
            let message = header(&bytes)?;
            place.body_length = size(message.bodyLength())?;
            at = end(place.body, place.body_length, length)?;
            match (&schema, message.header_as_schema()) {
                (None, Some(found)) => schema = Some(schema_of(found)?),
                (None, None) => return Err("its first message is no schema".into()),
                (Some(_), _) => {
                    content(&message)?;
                    places.push(place);
                }
            }
        }
        let schema = schema.ok_or("a stream without a schema")?;
        Ok(Self { schema, places })
    }

    fn of_file(file: &File, length: u64) -> Result<Self, Failure> {
        let cut_off = || {
            let what =
                format!("Arrow's mark at its end is missing ({length} bytes); it is cut off (hint: fetch it again)");
            Failure::Refused(what)
        };
        let trailer_start = length.checked_sub(TRAILER).filter(|start| *start >= 8).ok_or_else(cut_off)?;
        let trailer = bytes_at(file, trailer_start, TRAILER)?;
        let (&size_bytes, mark) = trailer.split_first_chunk::<4>().ok_or_else(cut_off)?;
        if mark != MAGIC {
            return Err(cut_off());
        }
        let footer_size = size(i32::from_le_bytes(size_bytes).into())?;
        let footer_start = trailer_start
            .checked_sub(footer_size)
            .filter(|start| *start >= 8)
            .ok_or_else(|| format!("a footer of {footer_size} bytes in a file of {length}"))?;
        let bytes = bytes_at(file, footer_start, footer_size)?;
        let footer = root_as_footer(&bytes).map_err(|error| format!("the footer: {error}"))?;
        let schema = schema_of(footer.schema().ok_or("a footer without a schema")?)?;
        let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten();
        let places = blocks.map(|block| place_of(file, block, footer_start)).collect::<Result<_, _>>()?;
        Ok(Self { schema, places })
    }
}

/// The message that starts at `at`, its body's size not yet known; `None` for the mark of the stream's end.
fn prefix(file: &File, at: u64, length: u64) -> Result<Option<MessagePlace>, Failure> {
    // Without the mark nobody could tell a stream that was cut off between two messages.
    let cut_off = || {
        let hint = "(hint: fetch it again, or write it again and close the writer)";
        Failure::Refused(format!("Arrow's mark at its end is missing ({length} bytes); it is cut off {hint}"))
    };
    let first = bytes_at(file, at, (length - at).min(8))?;
    let (&word, rest) = first.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let (prefix, size_bytes) = match word {
        CONTINUATION => (8, *rest.first_chunk::<4>().ok_or_else(cut_off)?),
        word => (4, word),
    };
    let header = size(i32::from_le_bytes(size_bytes).into())?;
    if header == 0 {
        return match length - at - prefix {
            0 => Ok(None),
            more => Err(Failure::Refused(format!(
                "{more} bytes after the end of its stream (hint: name several files instead of joining them)"
            ))),
        };
    }
    let body = end(at + prefix, header, length).map_err(|_| cut_off())?;
    Ok(Some(MessagePlace { start: at, prefix, header, body, body_length: 0 }))
}

/// A message by its entry in the footer, which starts at `limit`.
fn place_of(file: &File, block: &Block, limit: u64) -> Result<MessagePlace, Failure> {
    let outside = || format!("a message outside the file, at {}", block.offset());
    let (start, metadata, body_length) =
        (size(block.offset())?, size(block.metaDataLength().into())?, size(block.bodyLength())?);
    let body = end(start, metadata, limit)?;
    end(body, body_length, limit)?;
    if start < 8 || metadata < 8 {
        return Err(outside().into());
    }
    let first = bytes_at(file, start, 8)?;
    let (&word, rest) = first.split_first_chunk::<4>().ok_or_else(outside)?;
    let (prefix, size_bytes) = match word {
        CONTINUATION => (8, *rest.first_chunk::<4>().ok_or_else(outside)?),
        word => (4, word),
    };
    let header = size(i32::from_le_bytes(size_bytes).into())?;
    if header > metadata - prefix {
        return Err(outside().into());
    }
    Ok(MessagePlace { start, prefix, header, body, body_length })
}

pub(super) fn header_bytes(file: &File, place: MessagePlace) -> Result<Vec<u8>, Failure> {
    bytes_at(file, place.start + place.prefix, place.header)
}

pub(super) fn header(bytes: &[u8]) -> Result<Message<'_>, Failure> {
    root_as_message(bytes).map_err(|error| format!("a message's header: {error}").into())
}

pub(super) fn content<'a>(message: &Message<'a>) -> Result<MessageContent<'a>, Failure> {
    let unknown = || format!("a message of an unexpected kind, {:?}", message.header_type());
    match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch().map(MessageContent::Rows),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().map(MessageContent::Dictionary),
        _ => None,
    }
    .ok_or_else(|| unknown().into())
}

fn schema_of(schema: Schema<'_>) -> Result<SchemaRef, Failure> {
    if schema.endianness() != Endianness::Little {
        return Err(Failure::Refused(
            "big-endian numbers are not supported (hint: write it on another machine)".into(),
        ));
    }
    Ok(SchemaRef::new(try_fb_to_schema(schema)?))
}

/// A message's body, when what `batch` says about it can be true.
pub(super) fn body(file: &File, place: MessagePlace, batch: &RecordBatch<'_>) -> Result<Buffer, Failure> {
    let length = place.body_length;
    let mut buffers = Vec::new();
    let mut free = 0;
    for buffer in batch.buffers().into_iter().flatten() {
        let (offset, size) = (size(buffer.offset())?, size(buffer.length())?);
        if size == 0 {
            continue;
        }
        if offset < free || offset.checked_add(size).is_none_or(|end| end > length) {
            return Err(format!("a buffer of {size} bytes at {offset} of {length}").into());
        }
        free = offset + size;
        buffers.push((offset as usize, size));
    }
    let too_many = |rows: i64| !(0..=MAX_ROWS).contains(&rows);
    let nodes = || batch.nodes().into_iter().flatten();
    if too_many(batch.length()) || nodes().any(|node| too_many(node.length()) || too_many(node.null_count())) {
        return Err(format!("a record batch that claims {} rows", batch.length()).into());
    }
    let body =
        if length <= MAX_READ { Buffer::from_vec(bytes_at(file, place.body, length)?) } else { mapped(file, place)? };
    if batch.compression().is_some() {
        let mut total = 0_u64;
        for (offset, packed) in buffers {
            let Some(claim) = body.get(offset..).and_then(|bytes| bytes.first_chunk::<8>()) else { continue };
            // -1 says that a buffer isn't compressed.
            let unpacked = u64::try_from(i64::from_le_bytes(*claim)).unwrap_or(0);
            total = total.saturating_add(unpacked);
            if unpacked > MAX_BUFFER.saturating_add(packed.saturating_mul(MAX_RATIO)) {
                return Err(format!("a buffer claims to unpack from {packed} bytes to {unpacked}").into());
            }
        }
        if total > MAX_BUFFERS.saturating_add(length.saturating_mul(MAX_RATIO)) {
            return Err(format!("a record batch claims to unpack from {length} bytes to {total}").into());
        }
    }
    Ok(body)
}

/// A large body as the system pages it in, so that it need not fit into memory.
fn mapped(file: &File, place: MessagePlace) -> Result<Buffer, Failure> {
    let length = usize::try_from(place.body_length).map_err(|_| "a body larger than memory can address")?;
    // SAFETY: the map is only read. A process that writes to the file at the same time can change a text after it was
    // checked, or end this process by cutting the file off; a copy, which would be safe from that, may not fit into memory.
    let map = unsafe { memmap2::MmapOptions::new().offset(place.body).len(length).map(file) }.map_err(Failure::Io)?;
    Ok(Buffer::from(bytes::Bytes::from_owner(map)))
}

fn size(value: i64) -> Result<u64, Failure> {
    u64::try_from(value).map_err(|_| format!("a size or a position of {value}").into())
}

/// The end of what starts at `start`, when that isn't behind `limit`.
fn end(start: u64, size: u64, limit: u64) -> Result<u64, Failure> {
    let end = start.checked_add(size).filter(|end| *end <= limit);
    end.ok_or_else(|| format!("{size} bytes at {start} lie outside the file; it is cut off").into())
}

fn bytes_at(mut file: &File, at: u64, size: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at)).map_err(Failure::Io)?;
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX)).map_err(|error| Failure::Io(error.into()))?;
    file.take(size).read_to_end(&mut bytes).map_err(Failure::Io)?;
    if (bytes.len() as u64) < size {
        return Err("the file became shorter while it was read".into());
    }
    Ok(bytes)
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self::Damaged(what)
    }
}

impl From<&str> for Failure {
    fn from(what: &str) -> Self {
        Self::Damaged(what.into())
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

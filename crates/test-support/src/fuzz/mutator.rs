//! Random damage to a file, as from a bad disk, a bad connection or an attacker; the same for the same seed.
//!
//! Files of every format are damaged by [`bytes`], text files also by the rules of their format, so that mutants pass the
//! first checks of a reader and reach the code behind them.

use super::structure::{self, MAX_BYTES};
use crate::random::Random;

/// The format of a file, which decides how it is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedFormat {
    /// Bytes with lengths, offsets and counts among them.
    Binary,
    /// Lines: tables, trees, vocabularies.
    Lines,
    /// One JSON value, or one a line.
    Json,
    /// TOML.
    Toml,
}

/// A valid input.
pub struct SeedFile {
    /// The bytes that are damaged.
    pub bytes: Vec<u8>,
    /// The format that decides how.
    pub format: SeedFormat,
    /// How the damaged bytes are packed into a file, for example by compression, which damage to the file itself would not get past.
    pub pack: Option<fn(Vec<u8>) -> Vec<u8>>,
}

impl SeedFile {
    /// A seed that is the file itself.
    pub fn new(format: SeedFormat, bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), format, pack: None }
    }

    /// A seed that becomes a file by `pack`, after it was damaged.
    pub fn packed(format: SeedFormat, bytes: impl Into<Vec<u8>>, pack: fn(Vec<u8>) -> Vec<u8>) -> Self {
        Self { pack: Some(pack), ..Self::new(format, bytes) }
    }

    /// The file of these, perhaps damaged, bytes.
    pub fn file(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.pack {
            Some(pack) => pack(bytes),
            None => bytes,
        }
    }
}

/// A mutant of one of the seeds, as a file, with one or a few mutations.
pub(super) fn mutant(seeds: &[SeedFile], random: &mut Random) -> Vec<u8> {
    let seed = &seeds[random.below(seeds.len())];
    let alike: Vec<&SeedFile> = seeds
        .iter()
        .filter(|other| other.format == seed.format && other.pack.is_some() == seed.pack.is_some())
        .collect();
    let donor = alike[random.below(alike.len())];
    let mut made = seed.bytes.clone();
    let blows = 1 + random.below(4) * random.below(2);
    for _ in 0..blows {
        let raw = seed.format == SeedFormat::Binary || random.below(5) == 0;
        let next = match seed.format {
            _ if raw => None,
            SeedFormat::Lines => std::str::from_utf8(&made).ok().map(|text| structure::lines(text, random)),
            SeedFormat::Json => std::str::from_utf8(&made).ok().map(|text| structure::json(text, random)),
            SeedFormat::Toml => std::str::from_utf8(&made).ok().map(|text| structure::toml(text, random)),
            SeedFormat::Binary => None,
        };
        match next {
            Some(text) => made = text.into_bytes(),
            None => bytes(&mut made, &donor.bytes, random),
        }
        if made.len() > MAX_BYTES {
            break;
        }
    }
    seed.file(made)
}

/// One mutation of bytes in an unknown format.
fn bytes(made: &mut Vec<u8>, donor: &[u8], random: &mut Random) {
    let length = made.len();
    let at = random.below(length);
    match random.below(13) {
        0..=2 if length > 0 => made[at] ^= 1 << random.below(8),
        3 if length > 0 => {
            made[at] = random.one(&[0, 1, 2, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF, b'"', b'\n', b'\r', b',', b'{', b'(']);
        }
        4 => made.truncate(at),
        5 => drop(made.drain(random.part(length))),
        6 => {
            let times = 1 + random.below(4) * random.below(16);
            let block = made[random.part(length)].repeat(times);
            made.splice(at..at, block);
        }
        7 => {
            let block: Vec<u8> = made.drain(random.part(length)).collect();
            let to = random.below(made.len() + 1);
            made.splice(to..to, block);
        }
        8 => {
            let new: Vec<u8> = (0..1 + random.below(16)).map(|_| random.next() as u8).collect();
            made.splice(at..at, new);
        }
        9 => {
            // The front of one file and the back of another, cut where both are as long, or anywhere.
            let to = if random.below(2) == 0 { at.min(donor.len()) } else { random.below(donor.len()) };
            made.truncate(at);
            made.extend_from_slice(&donor[to..]);
        }
        10 => {
            // Variable-length numbers, as in Parquet's footer: the highest, or one bit past it.
            let bytes = random.one(&[1, 4, 5, 9, 10, 11]);
            let mut number = vec![0xFF; bytes];
            number[bytes - 1] = random.one(&[0x01, 0x07, 0x0F, 0x7F]);
            let end = (at + 1 + random.below(2) * random.below(bytes)).min(length);
            made.splice(at.min(end)..end, number);
        }
        _ => length_field(made, random),
    }
}

/// Replaces a little-endian number by one that no length may be. Places that hold a plausible length come first.
fn length_field(made: &mut [u8], random: &mut Random) {
    let width = random.one(&[4, 8]);
    let Some(last) = made.len().checked_sub(width) else {
        return;
    };
    let read = |at: usize| made[at..at + width].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut at = random.below(last + 1);
    for _ in 0..64 {
        if (1..=2 * made.len() as u64).contains(&read(at)) {
            break;
        }
        at = random.below(last + 1);
    }
    let (found, length) = (read(at), made.len() as u64);
    let number = random.one(&[
        0,
        1,
        found.wrapping_add(1),
        found.wrapping_sub(1),
        found.wrapping_neg(),
        found << 8,
        length,
        length + 1,
        1 << 20,
        1 << 28,
        i32::MAX as u64,
        1 << 31,
        u64::from(u32::MAX),
        1 << 40,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
    ]);
    made[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
}

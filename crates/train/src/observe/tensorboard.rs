//! TensorBoard's event files: scalars over steps, without a dependency on TensorFlow.
//!
//! A file is a sequence of records, each `length: u64 | masked CRC of length: u32 | bytes | masked CRC of bytes: u32`,
//! little-endian, with CRC-32C and the mask `rotate_right(crc, 15) + 0xa282ead8`
//! (tensorflow/core/lib/io/record_writer.h). The bytes are a protobuf `Event` (tensorflow/core/util/event.proto) with
//! these fields:
//!
//! | message | field | number | wire type |
//! | --- | --- | --- | --- |
//! | `Event` | `wall_time`, `step`, `file_version`, `summary` | 1, 2, 3, 5 | fixed64, varint, bytes, bytes |
//! | `Summary` | `value`, repeated | 1 | bytes |
//! | `Summary.Value` | `tag`, `simple_value` | 1, 2 | bytes, fixed32 |

use std::time::{SystemTime, UNIX_EPOCH};

use run::{AppendFile, EVENTS, EvaluationRecord, Event, RunFolder, StepRecord};

use super::{Notice, Observer};
use crate::error::Result;

/// The file version, the content of the first record.
const FILE_VERSION: &str = "brain.Event:2";

/// Writes the scalars of every step and evaluation to an event file in the run's folder.
///
/// The tags of steps start with `train/`, those of evaluations with the name of their split.
pub(crate) struct TensorBoard {
    log: AppendFile,
}

impl TensorBoard {
    /// Creates an event file: `events.out.tfevents.SECONDS.HOST.PID.0`.
    ///
    /// # Errors
    /// A file that can't be created.
    pub(super) fn create(run: &RunFolder) -> Result<Self> {
        let now = now();
        let name = format!("{EVENTS}{}.{}.{}.0", now as u64, host_name(), std::process::id());
        let mut log = AppendFile::open(&run.file(&name))?;
        log.append(&record(&event(now, 0, Content::FileVersion)));
        Ok(Self { log })
    }

    fn write(&mut self, step: u64, scalars: &[(String, f64)]) {
        self.log.append(&record(&event(now(), step, Content::Scalars(scalars))));
    }
}

impl Observer for TensorBoard {
    fn notify(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::Record(Event::Step(step)) => self.write(step.step, &step_scalars(step)),
            Notice::Record(Event::Evaluation(evaluation)) => {
                self.write(evaluation.step, &evaluation_scalars(evaluation));
            }
            _ => {}
        }
    }
}

fn step_scalars(step: &StepRecord) -> Vec<(String, f64)> {
    [
        ("loss", step.loss),
        ("learning_rate", step.learning_rate),
        ("gradient_norm", step.gradient_norm),
        ("tokens_per_second", step.tokens_per_second),
        ("epoch", step.epoch),
    ]
    .map(|(name, value)| (format!("train/{name}"), value))
    .to_vec()
}

fn evaluation_scalars(evaluation: &EvaluationRecord) -> Vec<(String, f64)> {
    let split = &evaluation.split;
    let scores = evaluation.scores.0.iter().map(|(name, value)| (format!("{split}/{name}"), *value));
    std::iter::once((format!("{split}/loss"), evaluation.loss)).chain(scores).collect()
}

enum Content<'a> {
    FileVersion,
    Scalars(&'a [(String, f64)]),
}

/// An `Event`. As in proto3, a step of 0 isn't written.
fn event(wall_time: f64, step: u64, content: Content<'_>) -> Vec<u8> {
    let mut event = vec![1 << 3 | FIXED64];
    event.extend(wall_time.to_le_bytes());
    if step > 0 {
        event.push(2 << 3 | VARINT);
        varint(&mut event, step);
    }
    match content {
        Content::FileVersion => bytes(&mut event, 3, FILE_VERSION.as_bytes()),
        Content::Scalars(scalars) => {
            let mut summary = Vec::new();
            for (tag, number) in scalars {
                let mut value = Vec::new();
                bytes(&mut value, 1, tag.as_bytes());
                value.push(2 << 3 | FIXED32);
                value.extend((*number as f32).to_le_bytes());
                bytes(&mut summary, 1, &value);
            }
            bytes(&mut event, 5, &summary);
        }
    }
    event
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

fn bytes(message: &mut Vec<u8>, field: u8, content: &[u8]) {
    message.push(field << 3 | BYTES);
    varint(message, content.len() as u64);
    message.extend(content);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let (length_crc, event_crc) = (masked_crc(&length).to_le_bytes(), masked_crc(event).to_le_bytes());
    [&length[..], &length_crc, event, &event_crc].concat()
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), one byte at a time, which is fast enough for records of a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut remainder = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                remainder = if remainder & 1 == 1 { remainder >> 1 ^ 0x82f6_3b78 } else { remainder >> 1 };
                bit += 1;
            }
            table[byte] = remainder;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The host name, or `localhost` if unknown, with only characters that are valid in a file name.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name: String = name.unwrap_or_default().trim().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use run::samples;

    use super::*;

    /// What Python's tensorboard writes for the same events; its script reads it back with `EventAccumulator`.
    const FIXTURE: &str = "tensorboard/scalars.tfevents";

    #[test]
    fn crc_and_mask_match_published_test_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283); // the check value of CRC-32C
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa); // RFC 3720, B.4
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(masked_crc(b""), 0xa282_ead8);
    }

    #[test]
    fn the_bytes_equal_those_written_by_python() {
        let step = StepRecord { loss: f64::NAN, ..samples::step(300) };
        let events = [
            event(1_795_413_884.5, 0, Content::FileVersion),
            event(1_795_413_885.25, 1, Content::Scalars(&step_scalars(&samples::step(1)))),
            event(1_795_413_886.0, 300, Content::Scalars(&step_scalars(&step))),
            event(1_795_413_887.0, 433, Content::Scalars(&evaluation_scalars(&samples::evaluation()))),
        ];
        let ours: Vec<u8> = events.iter().flat_map(|event| record(event)).collect();
        assert_eq!(ours, test_support::fixture_bytes(FIXTURE));
    }

    #[test]
    fn a_run_has_one_file_with_a_record_for_each_step_and_evaluation() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(folder.path()), "sst2", "tiny").unwrap();
        let mut board = TensorBoard::create(&run).unwrap();
        board.notify(&Notice::Record(&Event::Step(samples::step(1))));
        board.notify(&Notice::Record(&Event::Evaluation(samples::evaluation())));

        let logs = run.log_lengths().unwrap();
        let [name] = logs.keys().collect::<Vec<_>>()[..] else { panic!("one file: {logs:?}") };
        let parts: Vec<&str> = name.strip_prefix(EVENTS).unwrap().split('.').collect();
        assert!(parts.len() == 4 && parts[0].parse::<u64>().is_ok() && parts[3] == "0", "{name}");

        let written = std::fs::read(run.file(name)).unwrap();
        let mut rest = &written[..];
        let mut records = 0;
        while let Some((length, _)) = rest.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            assert_eq!(rest[..16 + length], record(&rest[12..12 + length]));
            rest = &rest[16 + length..];
            records += 1;
        }
        assert_eq!((records, rest.len()), (3, 0));
    }
}

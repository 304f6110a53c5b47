//! Two finished runs held against each other, to the bit and apart from timings.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use run::checkpoints::newest_complete;
use run::{Event, LOG, METRICS, MODEL, read_log};
use tch::{Kind, Tensor};

use super::flat_json::flatten;

/// Keys whose values are times or follow from times: two runs of the same training differ in them.
const TIMINGS: [&str; 4] = ["seconds", "examples_per_second", "tokens_per_second", "peak_memory_bytes"];
/// The part of a checkpoint's `trainer.json` that says how long the logs are. They hold times, and a line for each process.
const LENGTHS: &str = "logs.";

const OPTIMIZER: &str = "optimizer.safetensors";
const TRAINER: &str = "trainer.json";

/// What is compared, in the order of the table.
pub const PARTS: [&str; 7] = [
    "kept model",
    "checkpoint, weights",
    "checkpoint, optimizer",
    "checkpoint, trainer",
    "metrics",
    "loss log, steps",
    "loss log, evaluations",
];
/// What is compared as well, of runs whose predictions are there.
pub const PREDICTIONS: &str = "predictions";

/// Where a run differs from the other: file, place and both values. `None` where it doesn't.
pub type Difference = Option<String>;

/// A comparison's outcome for each of [`PARTS`].
///
/// # Errors
/// Files that can't be read.
pub fn runs(one: &Path, other: &Path) -> Result<Vec<(&'static str, Difference)>> {
    let checkpoints = (newest_complete(one), newest_complete(other));
    let in_checkpoint = |name: &str, compare: fn(&Path, &Path) -> Result<Difference>| -> Result<Difference> {
        match &checkpoints {
            (Some((step, one)), Some((same_step, other))) if step == same_step => {
                Ok(compare(&one.join(name), &other.join(name))?
                    .map(|text| format!("checkpoint of step {step}, {text}")))
            }
            (one, other) => {
                let step = |found: &Option<(u64, PathBuf)>| match found {
                    Some((step, _)) => format!("step {step}"),
                    None => "none".to_owned(),
                };
                Ok(Some(format!("newest checkpoint: {} and {}", step(one), step(other))))
            }
        }
    };
    let outcomes = [
        tensors(&one.join(MODEL), &other.join(MODEL))?,
        in_checkpoint(MODEL, tensors)?,
        in_checkpoint(OPTIMIZER, tensors)?,
        in_checkpoint(TRAINER, documents)?,
        documents(&one.join(METRICS), &other.join(METRICS))?,
        records(one, other, "step")?,
        records(one, other, "evaluation")?,
    ];
    Ok(PARTS.into_iter().zip(outcomes).collect())
}

/// Two files of lines, byte by byte.
///
/// # Errors
/// Files that can't be read.
pub fn lines(one: &Path, other: &Path) -> Result<Difference> {
    let Some(text) = both_there(one, other) else { return lines_of(one, &read(one)?, &read(other)?) };
    Ok(Some(text))
}

fn lines_of(path: &Path, one: &str, other: &str) -> Result<Difference> {
    if one == other {
        return Ok(None);
    }
    let (mut a, mut b) = (one.split('\n'), other.split('\n'));
    for number in 1.. {
        match (a.next(), b.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let shown = |line: Option<&str>| line.map_or("nothing".to_owned(), str::to_owned);
                return Ok(Some(format!("{}, line {number}: {} and {}", name(path), shown(a), shown(b))));
            }
        }
    }
    Ok(None)
}

/// Two safetensors files, byte by byte; the first tensor that differs is named.
fn tensors(one: &Path, other: &Path) -> Result<Difference> {
    if let Some(text) = both_there(one, other) {
        return Ok(Some(text));
    }
    if same_bytes(one, other)? {
        return Ok(None);
    }
    let read = |path: &Path| -> Result<Vec<(String, Tensor)>> {
        let mut list = Tensor::read_safetensors(path).with_context(|| path.display().to_string())?;
        list.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(list)
    };
    let (a, b) = (read(one)?, read(other)?);
    let names = |list: &[(String, Tensor)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let file = name(one);
    if names(&a) != names(&b) {
        return Ok(Some(format!("{file}: {} and {} tensors, or other names", a.len(), b.len())));
    }
    for ((tensor, a), (_, b)) in a.iter().zip(&b) {
        if (a.kind(), a.size()) != (b.kind(), b.size()) {
            let (a, b) = ((a.kind(), a.size()), (b.kind(), b.size()));
            return Ok(Some(format!("{file}, tensor {tensor}: {a:?} and {b:?}")));
        }
        let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape([-1]));
        let (a, b) = (numbers(a)?, numbers(b)?);
        let differing = a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        if let Some(index) = a.iter().zip(&b).position(|(a, b)| a.to_bits() != b.to_bits()) {
            let (a, b, all) = (a[index], b[index], a.len());
            let text =
                format!("{file}, tensor {tensor}: element {index} is {a:e} and {b:e}; {differing} of {all} differ");
            return Ok(Some(text));
        }
    }
    Ok(Some(format!("{file}: the same tensors in other bytes (the header differs)")))
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
    let (a, b) = (open(one)?, open(other)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (BufReader::with_capacity(1 << 20, a), BufReader::with_capacity(1 << 20, b));
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

/// Two JSON files, apart from timings.
fn documents(one: &Path, other: &Path) -> Result<Difference> {
    if let Some(text) = both_there(one, other) {
        return Ok(Some(text));
    }
    let read = |path: &Path| flatten(&read(path)?).with_context(|| path.display().to_string());
    Ok(values(&read(one)?, &read(other)?).map(|text| format!("{}, {text}", name(one))))
}

/// The first value that differs between two flat documents.
fn values(one: &[(String, String)], other: &[(String, String)]) -> Difference {
    let timeless = |path: &str| {
        let key = path.rsplit('.').next().unwrap_or(path);
        !TIMINGS.contains(&key) && !path.starts_with(LENGTHS)
    };
    let mut a = one.iter().filter(|(path, _)| timeless(path));
    let mut b = other.iter().filter(|(path, _)| timeless(path));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (Some((path, a)), Some((same, b))) if path == same => return Some(format!("{path}: {a} and {b}")),
            (a, b) => {
                let shown = |pair: Option<&(String, String)>| {
                    pair.map_or("nothing".to_owned(), |(path, value)| format!("{path} = {value}"))
                };
                return Some(format!("{} and {}", shown(a), shown(b)));
            }
        }
    }
}

/// The records of one kind in two logs, apart from timings; those of steps must also be 1, 2, 3 and so on.
fn records(one: &Path, other: &Path, event: &str) -> Result<Difference> {
    if let Some(text) = both_there(&one.join(LOG), &other.join(LOG)) {
        return Ok(Some(text));
    }
    let (a, b) = (records_of(one, event)?, records_of(other, event)?);
    let file = LOG;
    if event == "step" {
        for (index, step) in b.iter().enumerate() {
            let (awaited, found) = ((index + 1).to_string(), value(step, "step"));
            if found != awaited {
                return Ok(Some(format!("{file}: step {awaited} is due, and step {found} is there")));
            }
        }
    }
    for (a, b) in a.iter().zip(&b) {
        if let Some(text) = values(a, b) {
            return Ok(Some(format!("{file}, {event} of step {}: {text}", value(a, "step"))));
        }
    }
    let (a, b) = (a.len(), b.len());
    Ok((a != b).then(|| format!("{file}: {a} and {b} records of the kind {event}")))
}

/// The records of one kind, each as what is written of it: a number that is read is written again in the same digits.
fn records_of(run: &Path, kind: &str) -> Result<Vec<Vec<(String, String)>>> {
    let of_kind = |event: &Event| match event {
        Event::Step(_) => kind == "step",
        Event::Evaluation(_) => kind == "evaluation",
        Event::Start(_) | Event::End(_) => false,
    };
    read_log(run)?.iter().filter(|event| of_kind(event)).map(|event| flatten(&serde_json::to_string(event)?)).collect()
}

fn value<'a>(record: &'a [(String, String)], key: &str) -> &'a str {
    record.iter().find(|(path, _)| path == key).map_or("nothing", |(_, value)| value)
}

/// Which of two files is missing, where one is.
fn both_there(one: &Path, other: &Path) -> Difference {
    match (one.is_file(), other.is_file()) {
        (true, true) => None,
        (a, b) => {
            let word = |there: bool| if there { "there" } else { "missing" };
            Some(format!("{}: {} and {}", name(one), word(a), word(b)))
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests;

//! Compares finished runs with the uninterrupted one, bit by bit, apart from timings.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use disk::sha256_file;
use run::checkpoints::newest_complete;
use run::{LOG, METRICS, MODEL, read_log};
use serde::Serialize;
use serde_json::Value;
use tch::{Kind, Tensor};

/// Keys whose values are times or follow from times: two runs of the same training differ in them. `logs` says how long the
/// logs are, which hold times, and a line for each process.
const TIMINGS: [&str; 6] =
    ["seconds", "examples_per_second", "tokens_per_second", "peak_memory_bytes", "peak_host_memory_bytes", "logs"];

const OPTIMIZER: &str = "optimizer.safetensors";
const TRAINER: &str = "trainer.json";

/// The first difference between two runs: the place and both values. `None` if there is none.
type Difference = Option<String>;
type Compare = fn(&Path, &Path) -> Result<Difference>;

/// The parts of two runs that are compared, in the order of the table. Runs with bit-identical models may still differ in
/// configuration or tokenizer, so predictions are compared too.
const PARTS: [(&str, Compare); 8] = [
    ("best model", |one, other| files(&one.join(MODEL), &other.join(MODEL), tensors)),
    ("checkpoint, weights", |one, other| compare_in_checkpoints(one, other, MODEL, tensors)),
    ("checkpoint, optimizer", |one, other| compare_in_checkpoints(one, other, OPTIMIZER, tensors)),
    ("checkpoint, trainer", |one, other| compare_in_checkpoints(one, other, TRAINER, documents)),
    ("metrics", |one, other| files(&one.join(METRICS), &other.join(METRICS), documents)),
    ("loss log, steps", |one, other| records(one, other, "step")),
    ("loss log, evaluations", |one, other| records(one, other, "evaluation")),
    ("predictions", |one, other| files(&predictions_of(one), &predictions_of(other), lines)),
];

/// The comparison of one part of the killed runs with that of the uninterrupted run.
#[derive(Serialize)]
pub(super) struct PartComparison {
    pub part: &'static str,
    pub identical: bool,
    /// File, place and both values, of each killed run that differs.
    pub differences: Vec<String>,
}

/// The file beside a run with its predictions, which must exist before the run is compared.
pub(super) fn predictions_of(run: &Path) -> PathBuf {
    run.with_extension("jsonl")
}

/// Compares every part of every run with that of the uninterrupted one.
///
/// # Errors
/// Files that can't be read.
pub(super) fn compare(uninterrupted: &Path, runs: &[PathBuf]) -> Result<Vec<PartComparison>> {
    let compared = PARTS.into_iter().map(|(part, compare)| {
        let mut differences = Vec::new();
        for run in runs {
            differences.extend(compare(uninterrupted, run)?.map(|text| format!("{}: {text}", run.display())));
        }
        Ok(PartComparison { part, identical: differences.is_empty(), differences })
    });
    compared.collect()
}

fn compare_in_checkpoints(one: &Path, other: &Path, name: &str, compare: Compare) -> Result<Difference> {
    match (newest_complete(one), newest_complete(other)) {
        (Some((step, one)), Some((same_step, other))) if step == same_step => {
            let difference = files(&one.join(name), &other.join(name), compare)?;
            Ok(difference.map(|text| format!("checkpoint of step {step}, {text}")))
        }
        (one, other) => {
            let step = |found: Option<(u64, _)>| found.map_or("none".to_owned(), |(step, _)| format!("step {step}"));
            Ok(Some(format!("newest checkpoint: {} and {}", step(one), step(other))))
        }
    }
}

/// Compares two files, both of which must exist.
fn files(one: &Path, other: &Path, compare: Compare) -> Result<Difference> {
    let difference = if one.is_file() && other.is_file() {
        compare(one, other).with_context(|| format!("comparing {} with {}", one.display(), other.display()))?
    } else {
        let word = |path: &Path| if path.is_file() { "present" } else { "missing" };
        Some(format!("{} and {}", word(one), word(other)))
    };
    let name = one.file_name().unwrap_or_default().to_string_lossy();
    Ok(difference.map(|text| format!("{name}: {text}")))
}

/// Lines, byte by byte.
fn lines(one: &Path, other: &Path) -> Result<Difference> {
    let (one, other) = (fs::read_to_string(one)?, fs::read_to_string(other)?);
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split('\n').collect(), other.split('\n').collect());
    let shown = |line: Option<&&str>| line.map_or("nothing".to_owned(), |line| (*line).to_owned());
    let differing = first_difference(&one, &other);
    Ok(differing.map(|(index, a, b)| format!("line {}: {} and {}", index + 1, shown(a), shown(b))))
}

/// Safetensors, byte by byte; the first tensor that differs is named.
fn tensors(one: &Path, other: &Path) -> Result<Difference> {
    if sha256_file(one)? == sha256_file(other)? {
        return Ok(None);
    }
    let read = |path: &Path| -> Result<Vec<(String, Tensor)>> {
        let mut list = Tensor::read_safetensors(path)?;
        list.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(list)
    };
    let (one, other) = (read(one)?, read(other)?);
    if !one.iter().map(|(name, _)| name).eq(other.iter().map(|(name, _)| name)) {
        return Ok(Some(format!("different tensors: {} and {}, or different names", one.len(), other.len())));
    }
    for ((name, a), (_, b)) in one.iter().zip(&other) {
        if (a.kind(), a.size()) != (b.kind(), b.size()) {
            return Ok(Some(format!("tensor {name}: {} and {}", describe_tensor(a), describe_tensor(b))));
        }
        let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape([-1]));
        let (a, b) = (numbers(a)?, numbers(b)?);
        let differing: Vec<usize> = (0..a.len()).filter(|&at| a[at].to_bits() != b[at].to_bits()).collect();
        if let Some(&at) = differing.first() {
            let (a, b, differing, all) = (a[at], b[at], differing.len(), a.len());
            return Ok(Some(format!("tensor {name}: element {at} is {a:e} and {b:e}; {differing} of {all} differ")));
        }
    }
    Ok(Some("the same tensors in other bytes (the header differs)".to_owned()))
}

/// A tensor's type, by its name in a safetensors file, and shape.
fn describe_tensor(tensor: &Tensor) -> String {
    let kind = match tensor.kind() {
        Kind::Float => "F32",
        Kind::Double => "F64",
        Kind::Half => "F16",
        Kind::BFloat16 => "BF16",
        Kind::Int => "I32",
        Kind::Int64 => "I64",
        _ => "another type",
    };
    let sizes: Vec<String> = tensor.size().iter().map(i64::to_string).collect();
    format!("{kind} [{}]", sizes.join(", "))
}

/// JSON, apart from timings.
fn documents(one: &Path, other: &Path) -> Result<Difference> {
    let read = |path: &Path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    Ok(values(&read(one)?, &read(other)?))
}

/// The records of one kind in two logs, apart from timings; those of steps must also be 1, 2, 3 and so on.
fn records(one: &Path, other: &Path, kind: &str) -> Result<Difference> {
    let read = |run: &Path| -> Result<Vec<Value>> {
        let records = read_log(run)?.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        Ok(records.into_iter().filter(|record| record["event"] == kind).collect())
    };
    let (one, other) = (read(one)?, read(other)?);
    let misplaced = (1..).zip(&other).find(|(due, record)| kind == "step" && record["step"] != *due);
    if let Some((due, record)) = misplaced {
        return Ok(Some(format!("{LOG}: expected step {due}, found step {}", record["step"])));
    }
    for (a, b) in one.iter().zip(&other) {
        if let Some(text) = values(a, b) {
            return Ok(Some(format!("{LOG}, {kind} of step {}: {text}", a["step"])));
        }
    }
    let (one, other) = (one.len(), other.len());
    Ok((one != other).then(|| format!("{LOG}: {one} and {other} records of the kind {kind}")))
}

/// The first value that differs between two documents, apart from timings.
fn values(one: &Value, other: &Value) -> Difference {
    let flat = |document: &Value| {
        let mut scalars = Vec::new();
        flatten(String::new(), document, &mut scalars);
        scalars
    };
    let (one, other) = (flat(one), flat(other));
    Some(match first_difference(&one, &other)? {
        (_, Some((path, a)), Some((same, b))) if path == same => format!("{path}: {a} and {b}"),
        (_, a, b) => {
            let shown = |found: Option<&(String, String)>| {
                found.map_or("nothing".to_owned(), |(path, value)| format!("{path} = {value}"))
            };
            format!("{} and {}", shown(a), shown(b))
        }
    })
}

/// The scalars of a document with their paths (`best.value`, `history[3]`), as text, because -0.0 equals 0.0 as a
/// number. Each number is written in the shortest form that identifies it.
fn flatten(path: String, value: &Value, scalars: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members.iter().filter(|(key, _)| !TIMINGS.contains(&key.as_str())) {
                flatten(if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, member, scalars);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, item)| flatten(format!("{path}[{index}]"), item, scalars));
        }
        scalar => scalars.push((path, scalar.to_string())),
    }
}

/// Where two lists first differ, and what is there in each.
fn first_difference<'a, T: PartialEq>(one: &'a [T], other: &'a [T]) -> Option<(usize, Option<&'a T>, Option<&'a T>)> {
    let mut pairs = (0..one.len().max(other.len())).map(|index| (index, one.get(index), other.get(index)));
    pairs.find(|(_, a, b)| a != b)
}

#[cfg(test)]
mod tests;

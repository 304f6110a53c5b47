//! Tokenization: texts a second on all threads, against the Python package `tokenizers`.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::measuring::Measuring;
use crate::models::Model;
use crate::results::{BenchComparison, Target};
use crate::statistics::Series;

/// What one process reported, ours or theirs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Pass {
    texts: f64,
    seconds: f64,
    tokens: u64,
    /// Theirs without the offsets of the tokens.
    fast_seconds: Option<f64>,
}

/// Measures with the first model's tokenizer: those of the two default models are the same.
pub(crate) fn measure(measuring: &mut Measuring, models: &[Model]) {
    if let Some(model) = models.first() {
        let done = measure_with(measuring, model).context("tokenization");
        measuring.results.attempt(true, done);
    }
}

fn measure_with(measuring: &mut Measuring, model: &Model) -> Result<()> {
    let texts = measuring.folder.join("texts.txt");
    measuring.material.write_texts(&texts, if measuring.options.quick { 50_000 } else { 200_000 })?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=measuring.options.rounds() {
        let threads = measuring.threads.to_string();
        let mut command = Command::new(measuring.programs.join("examples/tokenize_speed"));
        command.arg(&model.folder).arg(&texts).env("RAYON_NUM_THREADS", &threads);
        let pass = one(measuring, &format!("tokenization, round {round}, ours"), command);
        ours.extend(measuring.results.attempt(true, pass));
        if let Some(peers) = measuring.peers.as_ref().filter(|peers| peers.has("tokenizers")) {
            let mut command = peers.script("tokenization.py");
            command.arg("--model").arg(&model.folder).arg("--texts").arg(&texts).args(["--threads", &threads]);
            let pass = one(measuring, &format!("tokenization, round {round}, theirs"), command);
            theirs.extend(measuring.results.attempt(false, pass));
        }
    }
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && ours.tokens != theirs.tokens
    {
        measuring.results.failed = true;
        measuring.results.note(format!("THE TOKENS DIFFER: ours {}, theirs {}", ours.tokens, theirs.tokens));
    }
    let speed = |passes: &[Pass]| -> Series { passes.iter().map(|pass| pass.texts / pass.seconds).collect() };
    let fast: Series = theirs.iter().filter_map(|pass| pass.fast_seconds.map(|seconds| pass.texts / seconds)).collect();
    let row = BenchComparison {
        suite: "tokenize",
        model: model.name.clone(),
        what: "encode_batch".to_owned(),
        unit: "texts/s",
        ours: speed(&ours),
        theirs: None,
        target: None,
    };
    let target = Some(Target::RatioAtLeast(1.0));
    measuring.results.rows.push(BenchComparison { target, ..row.clone().against("tokenizers", speed(&theirs)) });
    if !fast.0.is_empty() {
        measuring.results.rows.push(row.against("its encode_batch_fast", fast));
    }
    std::fs::remove_file(&texts).with_context(|| format!("could not remove {}", texts.display()))
}

fn one(measuring: &mut Measuring, what: &str, command: Command) -> Result<Pass> {
    measuring.measure(what, command, None)?.figures().with_context(|| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_print_the_same_kind_of_line() {
        let parse = |line| serde_json::from_str::<Pass>(line);
        let ours = parse("{\"texts\":100,\"seconds\":0.5,\"tokens\":2500}\n").unwrap();
        assert_eq!(ours, Pass { texts: 100.0, seconds: 0.5, tokens: 2500, fast_seconds: None });
        let theirs = parse("{\"texts\": 100, \"seconds\": 1.0, \"tokens\": 2500, \"fast_seconds\": 0.8}").unwrap();
        assert_eq!((theirs.seconds, theirs.fast_seconds), (1.0, Some(0.8)));
        assert!(parse("{\"texts\": 100}").is_err());
    }
}

//! Tokenization: texts per second on all threads, against the Python package `tokenizers`.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::context::BenchContext;
use crate::models::Model;
use crate::results::{BenchComparison, Target};
use crate::statistics::Series;

/// The report of one process, ours or theirs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Pass {
    texts: f64,
    seconds: f64,
    tokens: u64,
    /// Only theirs: without the offsets of the tokens.
    fast_seconds: Option<f64>,
}

/// Measures the first model's tokenizer: those of the two default models are equal.
pub(crate) fn measure(context: &mut BenchContext, models: &[Model]) {
    if let Some(model) = models.first() {
        let done = measure_with(context, model).context("tokenization");
        context.results.record(true, done);
    }
}

fn measure_with(context: &mut BenchContext, model: &Model) -> Result<()> {
    let texts = context.folder.join("texts.txt");
    context.corpus.write_texts(&texts, if context.options.quick { 50_000 } else { 200_000 })?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=context.options.rounds() {
        let threads = context.threads.to_string();
        let mut command = Command::new(context.programs.join("examples/tokenize_speed"));
        command.arg(&model.folder).arg(&texts).env("RAYON_NUM_THREADS", &threads);
        let pass = one(context, &format!("tokenization, round {round}, ours"), command);
        ours.extend(context.results.record(true, pass));
        if let Some(peers) = context.peers.as_ref().filter(|peers| peers.has("tokenizers")) {
            let mut command = peers.script("tokenization.py");
            command.arg("--model").arg(&model.folder).arg("--texts").arg(&texts).args(["--threads", &threads]);
            let pass = one(context, &format!("tokenization, round {round}, theirs"), command);
            theirs.extend(context.results.record(false, pass));
        }
    }
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && ours.tokens != theirs.tokens
    {
        context.results.failed = true;
        context.results.note(format!("THE NUMBER OF TOKENS DIFFERS: ours {}, theirs {}", ours.tokens, theirs.tokens));
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
    context.results.rows.push(BenchComparison { target, ..row.clone().against("tokenizers", speed(&theirs)) });
    if !fast.0.is_empty() {
        context.results.rows.push(row.against("its encode_batch_fast", fast));
    }
    std::fs::remove_file(&texts).with_context(|| format!("failed to remove {}", texts.display()))
}

fn one(context: &mut BenchContext, what: &str, command: Command) -> Result<Pass> {
    context.measure(what, command, None)?.figures().with_context(|| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_print_the_same_format() {
        let parse = |line| serde_json::from_str::<Pass>(line);
        let ours = parse("{\"texts\":100,\"seconds\":0.5,\"tokens\":2500}\n").unwrap();
        assert_eq!(ours, Pass { texts: 100.0, seconds: 0.5, tokens: 2500, fast_seconds: None });
        let theirs = parse("{\"texts\": 100, \"seconds\": 1.0, \"tokens\": 2500, \"fast_seconds\": 0.8}").unwrap();
        assert_eq!((theirs.seconds, theirs.fast_seconds), (1.0, Some(0.8)));
        assert!(parse("{\"texts\": 100}").is_err());
    }
}

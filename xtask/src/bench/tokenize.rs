//! Tokenization: texts a second on all threads, against the Python package `tokenizers`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ground;
use super::models::Model;
use super::results::{Peer, Results, Row, Target};
use super::statistics::Series;
use crate::command;

const PROGRAM: &str = "tokenize_speed";

/// What one process reported.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pass {
    texts_per_second: f64,
    tokens: u64,
    /// Theirs without the offsets of the tokens.
    fast_texts_per_second: Option<f64>,
}

/// Measures with the first model's tokenizer: those of the two default models are the same.
pub fn measure(ground: &Ground, results: &mut Results, models: &[Model]) {
    if let Some(model) = models.first() {
        let done = measure_with(ground, results, model).context("tokenization");
        results.attempt(true, done);
    }
}

fn measure_with(ground: &Ground, results: &mut Results, model: &Model) -> Result<()> {
    let mut cargo = command::cargo(None);
    cargo.args(["build", "--package", "tokenize", "--example", PROGRAM]);
    let program = super::build(cargo, PROGRAM)?;
    let texts = ground.folder.join("texts.txt");
    ground.material.write_texts(&texts, if ground.options.quick { 50_000 } else { 200_000 })?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ground.options.rounds {
        let mut command = std::process::Command::new(&program);
        command.arg(&model.folder).arg(&texts).env("RAYON_NUM_THREADS", ground.threads.to_string());
        let pass = one(ground, results, &format!("tokenization, round {round}, ours"), command);
        ours.extend(results.attempt(true, pass));
        if let Some(peers) = ground.peers.as_ref().filter(|peers| peers.has("tokenizers")) {
            let mut command = peers.script("tokenization.py");
            command.arg("--model").arg(&model.folder).arg("--texts").arg(&texts);
            command.args(["--threads", &ground.threads.to_string()]);
            let pass = one(ground, results, &format!("tokenization, round {round}, theirs"), command);
            theirs.extend(results.attempt(false, pass));
        }
    }
    if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
        && ours.tokens != theirs.tokens
    {
        results.failed = true;
        results.note(format!("THE TOKENS DIFFER: ours {}, theirs {}", ours.tokens, theirs.tokens));
    }
    let speed: Series = theirs.iter().map(|pass| pass.texts_per_second).collect();
    let fast: Series = theirs.iter().filter_map(|pass| pass.fast_texts_per_second).collect();
    let mut row = |peer: &str, series: Series, target: Option<Target>| {
        results.rows.push(Row {
            suite: "tokenize",
            model: model.name.clone(),
            what: "encode_batch".to_owned(),
            unit: "texts/s",
            ours: ours.iter().map(|pass| pass.texts_per_second).collect(),
            theirs: Some(Peer { name: peer.to_owned(), series }),
            target,
        });
    };
    row("tokenizers", speed, Some(Target::RatioAtLeast(1.0)));
    if !fast.0.is_empty() {
        row("its encode_batch_fast", fast, None);
    }
    remove_file(&texts)
}

fn one(ground: &Ground, results: &mut Results, what: &str, command: std::process::Command) -> Result<Pass> {
    let finished = ground.measure(results, what, command, None)?;
    parse(&finished.stdout).with_context(|| format!("{what}: no figures in {:?}", finished.stdout))
}

fn parse(output: &str) -> Option<Pass> {
    let json: Value = serde_json::from_str(output.trim()).ok()?;
    let texts = json["texts"].as_f64()?;
    Some(Pass {
        texts_per_second: texts / json["seconds"].as_f64()?,
        tokens: json["tokens"].as_u64()?,
        fast_texts_per_second: json["fast_seconds"].as_f64().map(|seconds| texts / seconds),
    })
}

fn remove_file(path: &Path) -> Result<()> {
    std::fs::remove_file(path).with_context(|| format!("could not remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_print_the_same_kind_of_line() {
        let ours = parse("{\"texts\":100,\"seconds\":0.5,\"tokens\":2500}\n").unwrap();
        assert_eq!(ours, Pass { texts_per_second: 200.0, tokens: 2500, fast_texts_per_second: None });
        let theirs = parse("{\"texts\": 100, \"seconds\": 1.0, \"tokens\": 2500, \"fast_seconds\": 0.8}").unwrap();
        assert_eq!((theirs.texts_per_second, theirs.fast_texts_per_second), (100.0, Some(125.0)));
        assert_eq!(parse("{\"texts\": 100}"), None);
    }
}

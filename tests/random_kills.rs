//! Trainings with dropout, killed at random instants and resumed, against uninterrupted ones: of a tiny BERT, and of the
//! packaged MiniLM on two threads.
//!
//! `VERDICT_KILLS` says how many trainings of the tiny BERT are killed (25; of MiniLM, 3 for 100 of these, at least 2),
//! `VERDICT_SEED` at which instants (0).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use serde_json::Value;
use test_support::{setting, skipped};

use crate::support::Sandbox;

/// Options with state that a resumed run must restore: optimizers, precisions, accumulation, row orders, patience. Two of
/// them run on two threads.
const CONFIGURATIONS: [&str; 8] = [
    "--optimizer adamw --precision fp32 --warmup-ratio 0.1 --threads 2",
    "--optimizer adamw --precision bf16 --schedule cosine --threads 2",
    "--optimizer adam --precision fp32 --gradient-accumulation-steps 2 --batch-size 8",
    "--optimizer lion --precision bf16 --group-by-length --learning-rate 0.0003",
    "--optimizer adafactor --precision fp32 --eval-steps 2 --early-stopping-patience 9 --best-metric macro-f1",
    "--optimizer sgd --precision fp32 --learning-rate 0.05 --save-total 2 --schedule inverse-sqrt",
    "--optimizer adamw --precision bf16 --freeze-embeddings --freeze-layers 1 --layer-decay 0.8 --tensorboard",
    "--optimizer adamw --precision fp32 --class-weights balanced --label-smoothing 0.1 --max-steps 26 --save-total 3",
];

/// The number of kills and the seed.
fn settings() -> (u64, u64) {
    (setting("VERDICT_KILLS").unwrap_or(25), setting("VERDICT_SEED").unwrap_or(0))
}

/// Runs `verify-resume` with these flags and requires all that it compares to be identical; returns its report.
fn verified(sandbox: &Sandbox, flags: &str, kills: u64, seed: u64) -> Value {
    let line = format!("verify-resume --data data {flags} --kills {kills} --kill-seed {seed} --report report.json");
    // OpenMP's threads would wait for each other by spinning, while other tests need the processors.
    let output = sandbox.run_with(&[("OMP_WAIT_POLICY", "PASSIVE")], &line);
    assert_eq!(output.code, 0, "seed {seed}: verdict {line}\n{}{}", output.out, output.err);
    let report = sandbox.json("report.json");
    assert_eq!(report["kills"], kills, "{line}");
    assert_eq!(report["identical"], true, "{line}\n{}", output.out);
    for comparison in report["comparisons"].as_array().expect("comparisons") {
        assert_eq!(comparison["identical"], true, "{line}: {comparison}");
    }
    assert_eq!(report["comparisons"].as_array().map(Vec::len), Some(8), "every part is compared");
    assert_eq!(report["lost_at_most_an_interval"], true, "{line}\n{report}");
    report
}

#[test]
fn randomly_killed_trainings_match_uninterrupted_ones() {
    let (kills, seed) = settings();
    let sandbox = Sandbox::prepared();
    let began = Instant::now();
    let mut deaths: Vec<Value> = Vec::new();
    for (index, flags) in (0..).zip(CONFIGURATIONS) {
        // Distributed evenly; the first ones take the remainder.
        let share = kills / 8 + u64::from(index < kills % 8);
        if share == 0 {
            continue;
        }
        let line = format!("--epochs 3 --learning-rate 0.003 --threads 1 --save-every 5 {flags}");
        // A repeated flag would be refused, so only the last one is kept.
        let report = verified(&sandbox, &without_repeated(&line), share, seed.wrapping_add(index));
        assert!(report["most_steps_lost"].as_u64() <= Some(5), "{flags}\n{report}");
        let of_this = report["deaths"].as_array().expect("deaths").clone();
        print_progress(&format!("{share} kills, seed {}: identical; {flags}", seed.wrapping_add(index)));
        deaths.extend(of_this);
    }
    let count = |kind: &str| deaths.iter().filter(|death| death["kind"] == kind).count() as u64;
    let (saving, recovering) = (count("saving"), count("recovering"));
    let lost = |death: &Value| death["lost_steps"].as_u64().unwrap_or(u64::MAX);
    print_progress(&format!(
        "{kills} kills, all identical: {} in training, {saving} inside a save, {recovering} during recovery; {:.1} s\n\
         none cost more than {} steps, a checkpoint being due every 5",
        count("training"),
        began.elapsed().as_secs_f64(),
        deaths.iter().map(lost).max().unwrap_or(0)
    ));
    assert_eq!(deaths.len() as u64, kills);
    assert!(saving * 5 >= kills, "seed {seed}: only {saving} of {kills} kills were inside a save");
    assert!(recovering > 0 || kills < 10, "seed {seed}: no kill was during recovery");
    assert!(!sandbox.path("runs").exists(), "what was identical is tidied up");
}

#[test]
fn randomly_killed_trainings_of_minilm_on_two_threads_match_uninterrupted_ones() {
    let (kills, seed) = settings();
    let kills = (kills * 3 / 100).max(2);
    let reviews = match (fetch::packaged::model(), fetch::packaged::reviews()) {
        (Ok(_), Ok(reviews)) => std::fs::read_to_string(reviews).expect("UTF-8"),
        (Err(error), _) | (_, Err(error)) => {
            return skipped(&format!("the packaged model and reviews are not available: {error}"));
        }
    };
    let sandbox = Sandbox::new();
    sandbox.write("reviews.csv", &first_reviews(&reviews, 240));
    sandbox.succeeds("prepare --dataset reviews.csv --model packaged --output data");
    for (index, precision) in [(0, "fp32"), (1, "bf16")] {
        let began = Instant::now();
        let (share, seed) = (kills / 2 + index * (kills % 2), seed.wrapping_add(index));
        let flags = format!(
            "--model packaged --precision {precision} --threads 2 --epochs 1 --max-steps 12 --batch-size 8 --save-every 4"
        );
        let report = verified(&sandbox, &flags, share, seed);
        assert_eq!((&report["threads"], &report["steps"]), (&2.into(), &12.into()), "{report}");
        let seconds = began.elapsed().as_secs_f64();
        print_progress(&format!("{share} kills of MiniLM in {precision} on two threads: identical; {seconds:.1} s"));
    }
}

/// The first rows of the packaged reviews as CSV: their lines have an id, a mean rating from -4 to 4 and a text.
fn first_reviews(reviews: &str, rows: usize) -> String {
    let mut csv = "text,label\n".to_owned();
    for line in reviews.lines().take(rows) {
        let [_, rating, text] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let label = if rating.parse::<f64>().expect("a rating") > 0.0 { "positive" } else { "negative" };
        let _ = writeln!(csv, "\"{}\",{label}", text.trim().replace('"', "\"\""));
    }
    csv
}

/// The command line with only the last of each flag that is given twice.
fn without_repeated(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut kept = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let dropped = |index: usize| words[index].starts_with("--") && words[index + 1..].contains(&words[index]);
        let is_value = index > 0 && !word.starts_with("--") && dropped(index - 1);
        if !dropped(index) && !is_value {
            kept.push(*word);
        }
    }
    kept.join(" ")
}

/// Prints to stderr directly, because the test harness hides the output of `println!` when a test passes.
fn print_progress(line: &str) {
    if std::env::var_os("VERDICT_KILLS").is_some() {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

#[test]
fn options_that_verify_resume_cannot_take_are_refused() {
    let sandbox = Sandbox::prepared();
    let error = sandbox.fails("verify-resume --data data --output run");
    assert!(error.contains("leave --output out"), "{error}");
    let error = sandbox.fails("verify-resume --data data --resume");
    assert!(error.contains("leave --resume out"), "{error}");
    let error = sandbox.fails("verify-resume --data data --kills 0");
    assert!(error.contains("--kills"), "{error}");
    let error = sandbox.fails("verify-resume --data data --batch-size 500");
    assert!(error.contains("fewer than one batch of 500"), "{error}");
}

//! A training by several processes, with the variables that torchrun, SLURM or a script sets: what it learns, how it is
//! stopped and resumed, and what is refused. What happens when a process is lost: `lost_processes`.

use std::fs;

use serde_json::Value;

use crate::support::{Output, Running, Sandbox, TRAIN, free_port};

/// [`TRAIN`] with a usual learning rate: with its own the weights go far within a few steps, and last digits with them. As
/// other devices compute, each process draws dropout of its own, so that it is turned off there.
fn gentle(flags: &str) -> String {
    let by_process = std::env::var("VERDICT_KERNELS").is_ok_and(|value| value == "off");
    let dropout = if by_process { "--hidden-dropout 0 --attention-dropout 0 " } else { "" };
    format!("{} {dropout}{flags}", TRAIN.replace("0.003", "0.0003"))
}

/// How the gradients of several processes are summed. Without [`NETWORK`] those of one machine share memory.
type Way = &'static [(&'static str, &'static str)];
const MEMORY: Way = &[];
/// As between machines.
const NETWORK: Way = &[("VERDICT_SHARED_MEMORY", "off")];

/// Trains into `run` by so many processes, which must all succeed. Rank 0 alone prints the result.
fn train_by(sandbox: &Sandbox, (processes, way): (usize, Way), line: &str, run: &str) {
    let line = format!("{line} --output {run}");
    if processes == 1 {
        sandbox.succeeds(&line);
        return;
    }
    let ranks = sandbox.start_ranks(processes, &line, way);
    for (rank, output) in ranks.into_iter().map(|rank| rank.ends_within(120)).enumerate() {
        assert_eq!(output.code, 0, "rank {rank} of {processes}: verdict {line}\n{}{}", output.out, output.err);
        assert_eq!(output.out, if rank == 0 { format!("{run}\n") } else { String::new() }, "rank {rank}: {line}");
    }
    assert_eq!(sandbox.json(&format!("{run}/metrics.json"))["processes"], processes);
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_else(|| panic!("{key} of {event}"))
}

#[track_caller]
fn assert_near(found: f64, expected: f64, within: f64, what: &str) {
    let off = (found - expected).abs() / expected.abs();
    assert!(off <= within, "{what}: found {found}, expected {expected}: {off:.1e} off");
}

/// Asserts that both runs have the same steps, with losses that differ in the last digits only.
#[track_caller]
fn assert_same_course(sandbox: &Sandbox, one: &str, other: &str) {
    let (expected, found) = (sandbox.events(one, "step"), sandbox.events(other, "step"));
    assert!(!expected.is_empty() && expected.len() == found.len(), "{other}: {} steps", found.len());
    assert_near(number(&found[0], "loss"), number(&expected[0], "loss"), 1e-6, "loss of the first step");
    let norms = [&found, &expected].map(|steps| number(&steps[0], "gradient_norm"));
    assert_near(norms[0], norms[1], 1e-5, &format!("{other}: norm of the first step"));
    for (found, expected) in found.iter().zip(&expected) {
        let what = format!("{other}: loss of step {}", expected["step"]);
        assert_near(number(found, "loss"), number(expected, "loss"), 1e-5, &what);
        for key in ["step", "epoch", "examples", "tokens", "learning_rate"] {
            assert_eq!(found[key], expected[key], "{what}");
        }
    }
}

/// Trains with these flags by one process, and by others into `NAME-0`, `NAME-1` and so on, and compares.
fn assert_number_is_no_matter(sandbox: &Sandbox, others: &[(usize, Way)], name: &str, flags: &str) {
    let (line, alone) = (gentle(flags), format!("{name}-alone"));
    train_by(sandbox, (1, MEMORY), &line, &alone);
    for (index, processes) in others.iter().enumerate() {
        let run = format!("{name}-{index}");
        train_by(sandbox, *processes, &line, &run);
        assert_same_course(sandbox, &alone, &run);
    }
}

#[test]
fn the_number_of_processes_changes_last_digits_only_and_nothing_when_repeated() {
    let sandbox = Sandbox::prepared();
    let others = [(2, MEMORY), (3, MEMORY), (3, NETWORK), (4, NETWORK)];
    assert_number_is_no_matter(&sandbox, &others, "run", "");
    let steps = sandbox.events("run-alone", "step");
    assert!(steps.len() > 30 && steps[0]["examples"] != steps[10]["examples"], "the last batch of an epoch is smaller");
    for (index, processes) in others[..3].iter().enumerate() {
        let again = format!("again-{index}");
        train_by(&sandbox, *processes, &gentle(""), &again);
        sandbox.assert_same(&format!("run-{index}"), &again);
    }
    let differs = sandbox.read("run-alone/model.safetensors") != sandbox.read("run-1/model.safetensors");
    assert!(differs, "each process computes a share");
}

#[test]
fn accumulation_row_orders_and_batches_smaller_than_the_number_of_processes() {
    let sandbox = Sandbox::prepared();
    let accumulated = "--batch-size 4 --gradient-accumulation-steps 3 --group-by-length --max-steps 20";
    assert_number_is_no_matter(&sandbox, &[(2, MEMORY), (3, NETWORK)], "accumulated", accumulated);
    let rows = sandbox.events("accumulated-alone", "start")[0]["train_examples"].as_u64().expect("rows");
    // An epoch of two steps, of which the last has one row.
    let batch = rows - 1;
    assert_number_is_no_matter(&sandbox, &[(3, MEMORY)], "uneven", &format!("--batch-size {batch}"));
    let examples: Vec<_> = sandbox.events("uneven-0", "step").iter().map(|step| number(step, "examples")).collect();
    assert_eq!(examples[..2], [batch as f64, 1.0], "two processes have nothing to do");
    let tiny = "--batch-size 2 --max-steps 6 --gradient-accumulation-steps 2";
    assert_number_is_no_matter(&sandbox, &[(4, MEMORY)], "tiny", tiny);
}

#[test]
fn weights_smoothing_and_frozen_layers_are_those_of_one_process() {
    let sandbox = Sandbox::prepared();
    for (name, way, flags) in [
        ("weighted", MEMORY, "--class-weights 0.4,2.5 --label-smoothing 0.1 --max-grad-norm 0 --layer-decay 0.8"),
        ("frozen", NETWORK, "--freeze-embeddings --freeze-layers 1 --class-weights balanced"),
        ("head", MEMORY, "--freeze-embeddings --freeze-layers 2"),
    ] {
        assert_number_is_no_matter(&sandbox, &[(3, way)], name, &format!("{flags} --max-steps 12"));
    }
}

#[test]
fn every_optimizer_and_bf16_work_with_several_processes() {
    let sandbox = Sandbox::prepared();
    for optimizer in ["adamw", "adam", "sgd", "adafactor", "lion"] {
        let flags = format!("--optimizer {optimizer} --max-steps 6 --save-every 3 --save-total 99");
        assert_number_is_no_matter(&sandbox, &[(2, MEMORY)], optimizer, &flags);
        if !["sgd", "adafactor", "lion"].contains(&optimizer) {
            continue;
        }
        // The state of an optimizer is given to all when a run is resumed; that of AdamW is so in other tests.
        let resumed = format!("{optimizer}-resumed");
        sandbox.copy_run(&format!("{optimizer}-0"), &resumed, 1);
        let outputs = sandbox.ranks(2, &format!("train --resume {resumed}"));
        assert!(outputs.iter().all(|output| output.code == 0), "{}{}", outputs[0].err, outputs[1].err);
        sandbox.assert_same(&format!("{optimizer}-0"), &resumed);
    }
    let line = gentle("--max-steps 12").replace("fp32", "bf16");
    train_by(&sandbox, (1, MEMORY), &line, "bf16-1");
    train_by(&sandbox, (2, MEMORY), &line, "bf16-2");
    let runs = ["bf16-1", "bf16-2"].map(|run| sandbox.events(run, "step"));
    assert_eq!(runs[1].len(), 12);
    for (one, two) in runs[0].iter().zip(&runs[1]) {
        assert_near(number(two, "loss"), number(one, "loss"), 1e-2, "loss in bf16");
    }
}

#[test]
fn evaluations_the_best_model_and_early_stopping_decide_as_one_process() {
    let sandbox = Sandbox::prepared();
    let flags = "--eval-steps 4 --eval-batch-size 7 --early-stopping-patience 3 --best-metric macro-f1 --epochs 30";
    let line = gentle(flags).replacen("--epochs 3 ", "", 1).replace("0.0003", "0.001");
    for processes in [1, 2, 3] {
        train_by(&sandbox, (processes, MEMORY), &line, &format!("run-{processes}"));
    }
    let alone = sandbox.json("run-1/metrics.json");
    assert_eq!(alone["reason"], "early_stopping", "{alone}");
    for processes in [2, 3] {
        let run = format!("run-{processes}");
        assert_same_course(&sandbox, "run-1", &run);
        let metrics = sandbox.json(&format!("{run}/metrics.json"));
        for key in ["reason", "steps", "best"] {
            assert_eq!(metrics[key], alone[key], "{key} of {run}");
        }
        let evaluations = [&run[..], "run-1"].map(|run| sandbox.events(run, "evaluation"));
        assert_eq!(evaluations[0].len(), evaluations[1].len());
        for (found, expected) in evaluations[0].iter().zip(&evaluations[1]) {
            assert_near(number(found, "loss"), number(expected, "loss"), 1e-5, "validation loss");
            for key in ["step", "accuracy", "value", "best"] {
                assert_eq!(found[key], expected[key], "{run}: {expected}");
            }
        }
    }
    // A finished run is left alone, by all.
    let before = sandbox.read("run-2/log.jsonl");
    let outputs = sandbox.ranks(2, "train --resume run-2");
    assert_eq!((outputs[0].code, outputs[1].code), (0, 0), "{}{}", outputs[0].err, outputs[1].err);
    assert_eq!((&outputs[0].out[..], &outputs[1].out[..]), ("run-2\n", ""));
    assert!(sandbox.read("run-2/log.jsonl") == before);
}

#[test]
fn a_signal_to_any_process_stops_all_after_the_same_step_and_saves_it() {
    let sandbox = Sandbox::prepared();
    let line = format!("{} --save-every 1000", TRAIN.replace("--epochs 3", "--epochs 40"));
    std::thread::scope(|scope| {
        scope.spawn(|| train_by(&sandbox, (2, MEMORY), &line, "whole-2"));
        scope.spawn(|| train_by(&sandbox, (3, MEMORY), &line, "whole-3"));
    });
    for (world, rank, signal, code) in [(2, 0, "INT", 130), (3, 2, "TERM", 143)] {
        let run = format!("stopped-{world}-{rank}");
        let ranks = sandbox.start_ranks(world, &format!("{line} --output {run}"), &[]);
        sandbox.wait_for_step(&run, 20);
        ranks[rank].signal(signal);
        let outputs: Vec<Output> = ranks.into_iter().map(|rank| rank.ends_within(30)).collect();
        for output in &outputs {
            assert_eq!((output.code, &output.out[..]), (code, ""), "{run}: {}", output.err);
        }
        assert!(outputs[0].err.contains(&format!("--resume {run} continues")), "{}", outputs[0].err);
        let done = sandbox.events(&run, "step").len();
        let together =
            format!("rank 1 has stopped together with rank 0, which says more: SIG{signal} after step {done}");
        assert!(outputs[1].err.contains(&together), "{}", outputs[1].err);
        assert!((20..440).contains(&done), "{done} steps");
        assert_eq!(sandbox.checkpoints(&run).last(), Some(&format!("step-{done:08}")), "the last step done is saved");
        let outputs = sandbox.ranks(world, &format!("train --resume {run}"));
        assert!(outputs.iter().all(|output| output.code == 0), "{}{}", outputs[0].err, outputs[1].err);
        assert!(!outputs[0].err.contains("have trained this run so far"), "{}", outputs[0].err);
        sandbox.assert_same(&format!("whole-{world}"), &run);
    }
}

#[test]
fn another_number_of_processes_continues_and_says_so() {
    let sandbox = Sandbox::prepared();
    let line = gentle("--save-every 4 --save-total 99");
    train_by(&sandbox, (1, MEMORY), &line, "whole");
    train_by(&sandbox, (2, MEMORY), &line, "run");
    for (before, now, kept) in [(2, 3, 3), (3, 1, 6), (1, 2, 9)] {
        for later in &sandbox.checkpoints("run")[kept..] {
            fs::remove_dir_all(sandbox.path("run/checkpoints").join(later)).expect("removes");
        }
        let outputs = match now {
            1 => vec![sandbox.run("train --resume run")],
            _ => sandbox.ranks(now, "train --resume run"),
        };
        assert!(outputs.iter().all(|output| output.code == 0), "{now}: {}", outputs[0].err);
        let note = format!("{before} process{}", if before == 1 { " has" } else { "es have" });
        assert!(
            outputs[0].err.contains(&note) && outputs[0].err.contains(&format!("{now} continue")),
            "{}",
            outputs[0].err
        );
        assert_same_course(&sandbox, "whole", "run");
    }
}

/// Each process has a line of its own, and fails; their errors.
fn each_fails(sandbox: &Sandbox, lines: &[(&str, usize)]) -> Vec<String> {
    let port = free_port();
    let start =
        |(rank, (line, world)): (usize, &(&str, usize))| Running::started(&mut sandbox.rank(rank, *world, port, line));
    let ranks: Vec<Running> = lines.iter().enumerate().map(start).collect();
    let errors =
        ranks.into_iter().map(|rank| sandbox.failure(&rank.ends_within(30)).unwrap_or_else(|what| panic!("{what}")));
    errors.collect()
}

#[test]
fn processes_that_would_train_something_else_are_refused_and_named() {
    let sandbox = Sandbox::prepared();
    sandbox.write_reviews("more.csv", 90);
    sandbox.succeeds("prepare --dataset more.csv --model tiny --max-length 32 --output other");
    let line = format!("{TRAIN} --output run");
    let (seed, rate) = (format!("{line} --seed 7"), line.replace("0.003", "0.1"));
    let (data, steps) = (line.replace("--data data", "--data other"), format!("{line} --max-steps 3"));
    for (lines, of_1, of_2) in [
        ([&line, &seed, &rate], "seed is 7, and rank 0 has 42", "learning_rate is 0.1, and rank 0 has 0.003"),
        ([&line, &data, &steps], "train_sha256 is", "max_steps is 3, and rank 0 has null"),
    ] {
        for error in each_fails(&sandbox, &lines.map(|line| (line.as_str(), 3))) {
            let parts: Vec<&str> = error.split("; ").collect();
            let said = |rank: &str, words: &str| parts.iter().any(|part| part.contains(rank) && part.contains(words));
            assert!(said("rank 1 (process ", of_1) && said("rank 2 (process ", of_2), "{error}");
            assert!(!error.contains("rank 0 (process "), "{error}");
        }
        assert!(!sandbox.path("run").exists(), "nothing is left behind");
    }
    for error in each_fails(&sandbox, &[(&line, 2), (&line, 3)]) {
        assert!(error.contains("the number of processes") && error.contains("rank 1 (process "), "{error}");
        assert!(error.contains("has 3, and rank 0 has 2"), "{error}");
    }
}

#[test]
fn incomplete_variables_and_groups_of_runs_are_refused() {
    let sandbox = Sandbox::prepared();
    for (set, words) in [
        (&[("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")][..], "WORLD_SIZE is \"2\" but RANK is not set"),
        (&[("RANK", "0")], "RANK is \"0\" but WORLD_SIZE is not set"),
        (&[("RANK", "2"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")], "RANK is 2 and WORLD_SIZE is 2"),
        (&[("RANK", "0"), ("WORLD_SIZE", "2")], "MASTER_ADDR is not set"),
    ] {
        let output = sandbox.run_with(set, &format!("{TRAIN} --output run"));
        let error = sandbox.failure(&output).unwrap_or_else(|what| panic!("{set:?}: {what}"));
        assert!(error.contains(words) && error.contains("(hint: "), "{set:?}: {error}");
    }
    for flags in ["--seeds 2", "--folds 2"] {
        let line = format!("{TRAIN} {flags} --output group");
        for error in each_fails(&sandbox, &[(&line, 2), (&line, 2)]) {
            assert!(error.contains("--seeds and --folds") && error.contains("(hint: "), "{flags}: {error}");
        }
    }
    // A process that can't begin tells the others why.
    let line = format!("{TRAIN} --output run");
    let errors = each_fails(&sandbox, &[(&line, 2), (&line.replace("--data data", "--data nowhere"), 2)]);
    assert!(errors.iter().all(|error| error.contains("nowhere")), "{errors:?}");
    assert!(!sandbox.path("run").exists() && !sandbox.path("group").exists(), "nothing is left behind");
}

#[test]
fn a_loss_that_is_not_finite_stops_all_and_the_state_before_is_saved() {
    let sandbox = Sandbox::new();
    // A word whose embedding is not a number, in one row of many: one process meets it.
    let model = sandbox.write_model("tiny", &["cursed"]);
    let is_table = |name: &str| name == "bert.embeddings.word_embeddings.weight";
    let table = model.parameters().iter().find(|parameter| is_table(parameter.name())).expect("embeddings");
    let _ = table.master().get(-1).fill_(f64::NAN);
    model.save(&sandbox.path("tiny")).expect("saves");
    sandbox.write_reviews("reviews.csv", 100);
    let reviews = String::from_utf8(sandbox.read("reviews.csv")).expect("UTF-8");
    sandbox.write("reviews.csv", &(reviews + "a cursed film is lovely,positive\n"));
    sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32 --output data");
    let outputs = sandbox.ranks(2, &format!("{TRAIN} --seed 2 --save-every 1000 --output run"));
    let done = sandbox.events("run", "step").len();
    for output in &outputs {
        assert_eq!((output.code, &output.out[..]), (1, ""), "{}", output.err);
        assert!(output.err.contains(&format!("step {}: the loss is NaN", done + 1)), "{}", output.err);
    }
    assert!((2..11).contains(&done), "the row is in the middle of an epoch: {done} steps");
    assert_eq!(sandbox.checkpoints("run"), [format!("step-{done:08}")], "{}", outputs[0].err);
}

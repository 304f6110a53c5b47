//! Resuming a run that was stopped, killed, damaged, moved or changed.

use std::fs;

use crate::support::{Sandbox, TRAIN};

#[test]
fn a_signal_saves_and_says_how_to_go_on() {
    let sandbox = Sandbox::prepared();
    let line = format!("{TRAIN} --epochs 30 --save-every 1000").replacen("--epochs 3 ", "", 1);
    sandbox.succeeds(&format!("{line} --output whole"));
    for (signal, code, step) in [("INT", 130, 20), ("TERM", 143, 45)] {
        let run = format!("stopped-by-{signal}");
        let process = sandbox.start(&format!("{line} --output {run}"));
        sandbox.wait_for_step(&run, step);
        process.signal(signal);
        let output = process.end();
        assert_eq!(output.code, code, "{}", output.err);
        assert_eq!(output.out, "", "no result is printed of a run that isn't finished");
        assert!(output.err.contains(&format!("--resume {run} continues")), "{}", output.err);
        let done = sandbox.events(&run, "step").len();
        assert!((step..330).contains(&done), "{done} steps");
        assert_eq!(sandbox.checkpoints(&run).last(), Some(&format!("step-{done:08}")), "the last step done is saved");
        assert!(!sandbox.path(&run).join("metrics.json").exists());
        assert_eq!(sandbox.succeeds(&format!("train --resume {run}")), format!("{run}\n"));
        sandbox.assert_same("whole", &run);
        assert_eq!(sandbox.events(&run, "start").len(), 2, "each process that goes on says so");
    }
}

#[test]
fn resuming_from_every_checkpoint_gives_the_same_result() {
    let sandbox = Sandbox::with_uninterrupted_run();
    let steps = [4, 8, 11, 12, 16, 20, 22, 24, 28, 32, 33];
    assert_eq!(sandbox.checkpoints("whole"), steps.map(|step| format!("step-{step:08}")));
    for count in 1..=steps.len() {
        let run = format!("from-{}", steps[count - 1]);
        sandbox.copy_run("whole", &run, count);
        sandbox.succeeds(&format!("train --resume {run}"));
        sandbox.assert_same("whole", &run);
    }
    // At the last step nothing is left to do, and no file changes.
    let log = sandbox.read("whole/log.jsonl");
    let steps_of = |text: &[u8]| String::from_utf8_lossy(text).matches("\"event\":\"step\"").count();
    assert_eq!(sandbox.succeeds("train --resume whole"), "whole\n");
    assert_eq!(steps_of(&sandbox.read("whole/log.jsonl")), steps_of(&log));
}

#[test]
fn accumulation_patience_and_row_order_continue_where_they_were() {
    let sandbox = Sandbox::prepared();
    let flags = "--batch-size 4 --gradient-accumulation-steps 3 --group-by-length --eval-steps 3 \
                 --early-stopping-patience 4 --best-metric macro-f1 --save-every 2 --save-total 99";
    sandbox.succeeds(&format!("{TRAIN} {flags} --output whole"));
    let checkpoints = sandbox.checkpoints("whole").len();
    assert!(checkpoints >= 6, "{checkpoints}");
    for count in (1..checkpoints).step_by(2) {
        let run = format!("from-{count}");
        sandbox.copy_run("whole", &run, count);
        sandbox.succeeds(&format!("train --resume {run}"));
        sandbox.assert_same("whole", &run);
    }
}

#[test]
fn resuming_from_a_chosen_checkpoint_works() {
    let sandbox = Sandbox::with_uninterrupted_run();
    sandbox.copy_run("whole", "again", 99.min(sandbox.checkpoints("whole").len()));
    sandbox.succeeds("train --resume again/checkpoints/step-00000012");
    sandbox.assert_same("whole", "again");
}

#[test]
fn a_killed_run_continues_in_its_second_epoch() {
    let sandbox = Sandbox::with_uninterrupted_run();
    let line = format!("{TRAIN} --save-every 4 --output killed");
    sandbox.train_and_kill(&line, "killed", 17);
    sandbox.succeeds(&format!("{line} --resume"));
    sandbox.assert_same("whole", "killed");
    let steps: Vec<u64> =
        sandbox.events("killed", "step").iter().map(|event| event["step"].as_u64().expect("a step")).collect();
    assert_eq!(steps, (1..=33).collect::<Vec<_>>(), "each step stands in the log once");
}

#[test]
fn without_resume_an_unfinished_run_is_kept_and_both_options_are_explained() {
    let sandbox = Sandbox::prepared();
    let line = format!("{TRAIN} --save-every 4 --output run");
    sandbox.train_and_kill(&line, "run", 13);
    let before = sandbox.read("run/log.jsonl");
    let error = sandbox.fails(&line);
    assert!(error.contains("--resume") && error.contains("--output") && error.contains("run"), "{error}");
    assert_eq!(sandbox.read("run/log.jsonl"), before, "nothing was touched");
    // The newest unfinished run under runs/ is what `--resume` alone means.
    fs::create_dir(sandbox.path("runs")).expect("a folder");
    fs::rename(sandbox.path("run"), sandbox.path("runs/mine")).expect("moves");
    assert_eq!(sandbox.succeeds("train --resume"), "runs/mine\n");
}

#[test]
fn with_nothing_to_resume_training_starts_from_the_beginning() {
    let sandbox = Sandbox::with_uninterrupted_run();
    assert_eq!(sandbox.succeeds(&format!("{TRAIN} --save-every 4 --output new --resume")), "new\n");
    sandbox.assert_same("whole", "new");
    let error = sandbox.fails("train --resume nowhere");
    assert!(error.contains("nowhere") && error.contains("hint:"), "{error}");
}

#[test]
fn rotation_keeps_the_last_and_the_best() {
    let sandbox = Sandbox::prepared();
    // Digits grow from 9 to 10 and from 99 to 100, and the best is soon not the last.
    let line =
        "train --data data --learning-rate 0.02 --threads 1 --max-steps 102 --epochs 30 --eval-steps 3 --save-every 1";
    sandbox.succeeds(&format!("{line} --output run"));
    let best = sandbox.json("run/metrics.json")["best"]["step"].as_u64().expect("a best");
    assert!(best < 102, "the best is not the last here");
    assert_eq!(sandbox.checkpoints("run"), [format!("step-{best:08}"), "step-00000102".to_owned()]);
    let of_best = sandbox.read(&format!("run/checkpoints/step-{best:08}/model.safetensors"));
    assert!(of_best == sandbox.read("run/model.safetensors"), "the kept model is the best checkpoint's");
    for step in [9, 10, 99, 100] {
        let (line, run) = (line.replace("102", &step.to_string()), format!("run-{step}"));
        sandbox.succeeds(&format!("{line} --output {run} --save-total 1"));
        assert_eq!(sandbox.checkpoints(&run).last(), Some(&format!("step-{step:08}")));
    }
}

#[test]
fn a_run_can_be_moved_and_copied_before_it_goes_on() {
    let sandbox = Sandbox::with_uninterrupted_run();
    sandbox.copy_run("whole", "here", 6);
    sandbox.copy_run("here", "copied/deep", 6);
    fs::rename(sandbox.path("here"), sandbox.path("moved")).expect("moves");
    for run in ["moved", "copied/deep"] {
        assert_eq!(sandbox.succeeds(&format!("train --resume {run}")), format!("{run}\n"));
        sandbox.assert_same("whole", run);
    }
}

#[test]
fn changed_options_are_shown_and_refused_unless_allowed() {
    let sandbox = Sandbox::with_uninterrupted_run();
    sandbox.copy_run("whole", "run", 6);
    let changed = |flags: &str, words: &[&str]| {
        let error = sandbox.fails(&format!("train --resume run {flags}"));
        assert!(error.contains("--allow-change"), "{flags}: {error}");
        for word in words {
            assert!(error.contains(word), "{flags}: {error}");
        }
    };
    changed("--learning-rate 0.001", &["learning_rate", "0.003", "0.001"]);
    changed("--batch-size 8 --seed 7", &["batch_size", "16", "8", "seed", "42", "7"]);
    changed("--threads 2", &["threads", "1", "2"]);
    changed("--precision bf16", &["precision", "fp32", "bf16"]);
    sandbox.write_reviews("more.csv", 90);
    sandbox.succeeds("prepare --dataset more.csv --model tiny --max-length 32 --output other");
    changed("--data other", &["training split"]);
    let weights = sandbox.read("tiny/model.safetensors");
    let mut other = weights.clone();
    *other.last_mut().expect("bytes") ^= 1;
    fs::write(sandbox.path("tiny/model.safetensors"), &other).expect("writes");
    changed("", &["weights"]);
    fs::write(sandbox.path("tiny/model.safetensors"), &weights).expect("writes");
    assert_eq!(sandbox.checkpoints("run").len(), 6, "a refusal changes nothing");

    let output = sandbox.run("train --resume run --learning-rate 0.001 --allow-change");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("learning_rate") && output.err.contains("0.003"), "{}", output.err);
    let rates = |run: &str| -> Vec<f64> {
        sandbox.events(run, "step").iter().map(|step| step["learning_rate"].as_f64().expect("a rate")).collect()
    };
    let (then, now) = (rates("whole"), rates("run"));
    assert_eq!(then[..20], now[..20]);
    assert!((now[20] * 3.0 - then[20]).abs() < 1e-12, "{} and {}", then[20], now[20]);
    // Options that do not affect the result may change.
    sandbox.copy_run("whole", "free", 6);
    sandbox.succeeds("train --resume free --save-every 3 --save-total 2");
    assert!(sandbox.read("free/model.safetensors") == sandbox.read("whole/model.safetensors"));
}

#[test]
fn a_chosen_instruction_set_is_said_recorded_and_compared_on_resume() {
    let widest = model::Isa::available()[0].name();
    if widest == "baseline" {
        return test_support::skipped("this processor has no instruction set but the baseline");
    }
    let sandbox = Sandbox::prepared();
    // Also where all other tests run without the kernels.
    let kernels = ("VERDICT_KERNELS", "on");
    let baseline = [kernels, ("VERDICT_ISA", "baseline")];
    let output = sandbox.run_with(&baseline, &format!("{TRAIN} --save-every 4 --save-total 99 --output whole"));
    assert_eq!(output.code, 0, "{}", output.err);
    let note = format!("note: the CPU's kernels use baseline, as VERDICT_ISA requests; without it, {widest}");
    assert!(output.err.contains(&note), "{}", output.err);
    assert_eq!(sandbox.json("whole/metrics.json")["instruction_set"], "baseline");
    sandbox.copy_run("whole", "run", 6);
    let resumed = sandbox.run_with(&[kernels], "train --resume run");
    let error = sandbox.failure(&resumed).expect("refused");
    let difference = format!("the instruction set of the kernels was \"baseline\", and is \"{widest}\"");
    assert!(error.contains(&difference) && error.contains("--allow-change"), "{error}");
    let output = sandbox.run_with(&baseline, "train --resume run");
    assert_eq!(output.code, 0, "{}", output.err);
    sandbox.assert_same("whole", "run");
    // With fused multiply-add the same training has other last bits, which is why the set is compared.
    let output = sandbox.run_with(&[kernels], &format!("{TRAIN} --save-every 4 --save-total 99 --output fused"));
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(sandbox.json("fused/metrics.json")["instruction_set"], widest);
    assert!(sandbox.read("whole/model.safetensors") != sandbox.read("fused/model.safetensors"));
}

#[test]
fn a_run_has_one_owner_and_a_dead_process_does_not_count() {
    let sandbox = Sandbox::prepared();
    let line = format!("{TRAIN} --save-every 4 --output run").replacen("--epochs 3", "--epochs 300", 1);
    let process = sandbox.start(&line);
    sandbox.wait_for_step("run", 9);
    let error = sandbox.fails(&format!("{line} --resume"));
    assert!(error.contains(&process.pid().to_string()) && error.contains("run"), "{error}");
    let error = sandbox.fails(&line);
    assert!(error.contains(&process.pid().to_string()) || error.contains("--resume"), "{error}");
    process.signal("KILL");
    process.end();
    let again = sandbox.start(&format!("{line} --resume"));
    sandbox.wait_for("run", "start", 2);
    again.signal("INT");
    assert_eq!(again.end().code, 130, "the lock that the killed one left is no obstacle");
}

#[test]
fn a_nan_loss_leaves_a_checkpoint_of_the_last_good_state() {
    let sandbox = Sandbox::new();
    // A word whose embedding is NaN, in one row of many.
    let model = sandbox.write_model("tiny", &["cursed"]);
    let words = model
        .parameters()
        .iter()
        .find(|parameter| parameter.name() == "bert.embeddings.word_embeddings.weight")
        .expect("embeddings");
    let _ = words.master().get(-1).fill_(f64::NAN);
    model.save(&sandbox.path("tiny")).expect("saves");
    sandbox.write_reviews("reviews.csv", 100);
    let reviews = String::from_utf8(sandbox.read("reviews.csv")).expect("UTF-8");
    sandbox.write("reviews.csv", &(reviews + "a cursed film is lovely,positive\n"));
    sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32 --output data");

    let output = sandbox.run(&format!("{TRAIN} --seed 2 --save-every 1000 --output run"));
    assert_eq!(output.code, 1, "{}", output.err);
    let done = sandbox.events("run", "step").len();
    assert!((2..11).contains(&done), "the row is in the middle of an epoch: {done} steps\n{}", output.err);
    assert!(output.err.contains(&format!("step {}: the loss is NaN", done + 1)), "{}", output.err);
    assert!(output.err.contains("Training rows of this step"), "{}", output.err);
    assert_eq!(sandbox.checkpoints("run"), [format!("step-{done:08}")], "{}", output.err);
    let again = sandbox.run("train --resume run");
    assert_eq!(again.code, 1, "{}", again.err);
    assert!(again.err.contains(&format!("step {}: the loss is NaN", done + 1)), "{}", again.err);
    assert_eq!(sandbox.events("run", "step").len(), done);
}

//! Stopped, killed, damaged, moved, changed: what becomes of a training, on the built program.

use std::fs;

use crate::house::House;
use crate::runs::names;

/// 11 steps an epoch, 33 in all, dropout on.
const TRAIN: &str = "train --data data --learning-rate 0.003 --precision fp32 --threads 1 --epochs 3";

/// Prepared data and a run of [`TRAIN`] that was never stopped, with all its checkpoints: of every fourth step and of
/// each epoch's last.
fn undisturbed() -> House {
    let house = House::prepared();
    house.done(&format!("{TRAIN} --save-every 4 --save-total 99 --output whole"));
    house
}

#[test]
fn a_signal_saves_and_says_how_to_go_on() {
    let house = House::prepared();
    let line = format!("{TRAIN} --epochs 30 --save-every 1000").replacen("--epochs 3 ", "", 1);
    house.done(&format!("{line} --output whole"));
    for (signal, code, step) in [("INT", 130, 20), ("TERM", 143, 45)] {
        let run = format!("stopped-by-{signal}");
        let process = house.start(&format!("{line} --output {run}"));
        house.wait_for_step(&run, step);
        process.signal(signal);
        let said = process.end();
        assert_eq!(said.code, code, "{}", said.err);
        assert_eq!(said.out, "", "no result is printed of a run that isn't finished");
        assert!(said.err.contains(&format!("--resume {run} continues")), "{}", said.err);
        let done = house.events(&run, "step").len();
        assert!((step..330).contains(&done), "{done} steps");
        assert_eq!(house.checkpoints(&run).last(), Some(&format!("step-{done:08}")), "the last step done is saved");
        assert!(!house.path(&run).join("metrics.json").exists());
        assert_eq!(house.done(&format!("train --resume {run}")), format!("{run}\n"));
        house.assert_same("whole", &run);
        assert_eq!(house.events(&run, "start").len(), 2, "each process that goes on says so");
    }
}

#[test]
fn every_checkpoint_leads_to_the_same_end() {
    let house = undisturbed();
    let steps = [4, 8, 11, 12, 16, 20, 22, 24, 28, 32, 33];
    assert_eq!(house.checkpoints("whole"), steps.map(|step| format!("step-{step:08}")));
    for count in 1..=steps.len() {
        let run = format!("from-{}", steps[count - 1]);
        house.copy_run("whole", &run, count);
        house.done(&format!("train --resume {run}"));
        house.assert_same("whole", &run);
    }
    // At the last step nothing is left to do, and what is there stays as it is.
    let log = house.read("whole/log.jsonl");
    let steps_of = |text: &[u8]| String::from_utf8_lossy(text).matches("\"event\":\"step\"").count();
    assert_eq!(house.done("train --resume whole"), "whole\n");
    assert_eq!(steps_of(&house.read("whole/log.jsonl")), steps_of(&log));
}

/// A limit on the size of files stands in for the full disk: the system refuses the write in the same place.
#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let house = undisturbed();
    house.copy_run("whole", "full", 3);
    let shell = "trap '' XFSZ; ulimit -f 50; exec \"$0\" train --resume full";
    let mut command = house.command("");
    let program = command.get_program().to_owned();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", shell]).arg(program).current_dir(house.path("."));
    limited.envs(command.env("OMP_NUM_THREADS", "1").get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().expect("a shell");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("step 12 is not saved: checkpoints in full/checkpoints need "), "{error}");
    assert!(
        error.contains("step 11 is saved, and cargo run -p train -- --resume full continues from there"),
        "{error}"
    );
    assert_eq!(names(&house.path("full/checkpoints")), ["step-00000004", "step-00000008", "step-00000011"]);
    house.done("train --resume full");
    house.assert_same("whole", "full");
}

#[test]
fn accumulation_patience_and_order_go_on_where_they_were() {
    let house = House::prepared();
    let flags = "--batch-size 4 --gradient-accumulation-steps 3 --group-by-length --eval-steps 3 \
                 --early-stopping-patience 4 --best-metric macro-f1 --save-every 2 --save-total 99";
    house.done(&format!("{TRAIN} {flags} --output whole"));
    let checkpoints = house.checkpoints("whole").len();
    assert!(checkpoints >= 6, "{checkpoints}");
    for count in (1..checkpoints).step_by(2) {
        let run = format!("from-{count}");
        house.copy_run("whole", &run, count);
        house.done(&format!("train --resume {run}"));
        house.assert_same("whole", &run);
    }
}

#[test]
fn one_checkpoint_can_be_asked_for() {
    let house = undisturbed();
    house.copy_run("whole", "again", 99.min(house.checkpoints("whole").len()));
    house.done("train --resume again/checkpoints/step-00000012");
    house.assert_same("whole", "again");
}

#[test]
fn a_killed_run_goes_on_in_its_second_epoch() {
    let house = undisturbed();
    let line = format!("{TRAIN} --save-every 4 --output killed");
    house.train_and_kill(&line, "killed", 17);
    house.done(&format!("{line} --resume"));
    house.assert_same("whole", "killed");
    let steps: Vec<u64> =
        house.events("killed", "step").iter().map(|event| event["step"].as_u64().expect("a step")).collect();
    assert_eq!(steps, (1..=33).collect::<Vec<_>>(), "each step stands in the log once");
}

#[test]
fn without_resume_a_begun_run_is_left_alone_and_both_ways_are_told() {
    let house = House::prepared();
    let line = format!("{TRAIN} --save-every 4 --output run");
    house.train_and_kill(&line, "run", 13);
    let before = house.read("run/log.jsonl");
    let error = house.refused(&line);
    assert!(error.contains("--resume") && error.contains("--output") && error.contains("run"), "{error}");
    assert_eq!(house.read("run/log.jsonl"), before, "nothing was touched");
    // The newest unfinished run under runs/ is what `--resume` alone means.
    fs::create_dir(house.path("runs")).expect("a folder");
    fs::rename(house.path("run"), house.path("runs/mine")).expect("moves");
    assert_eq!(house.done("train --resume"), "runs/mine\n");
}

#[test]
fn with_nothing_to_resume_training_begins() {
    let house = undisturbed();
    assert_eq!(house.done(&format!("{TRAIN} --save-every 4 --output new --resume")), "new\n");
    house.assert_same("whole", "new");
    let error = house.refused("train --resume nowhere");
    assert!(error.contains("nowhere") && error.contains("hint:"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let house = undisturbed();
    for file in ["model.safetensors", "optimizer.safetensors", "trainer.json", "SHA256SUMS"] {
        for missing in [false, true] {
            house.copy_run("whole", "damaged", 6);
            let path = house.path("damaged/checkpoints/step-00000020").join(file);
            if missing {
                fs::remove_file(&path).expect("removes");
            } else {
                let mut bytes = fs::read(&path).expect("reads");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&path, bytes).expect("writes");
            }
            let said = house.run("train --resume damaged");
            assert_eq!(said.code, 0, "{file}: {}", said.err);
            let warning = said.err.lines().find(|line| line.contains("WARN")).unwrap_or_default();
            assert!(warning.contains("damaged/checkpoints/step-00000020/"), "{file}, {missing}: {}", said.err);
            assert!(warning.contains(file), "{file}, missing: {missing}: {}", said.err);
            assert!(warning.contains("continuing from damaged/checkpoints/step-00000016"), "{}", said.err);
            house.assert_same("whole", "damaged");
            fs::remove_dir_all(house.path("damaged")).expect("removes");
        }
    }
}

#[test]
fn half_made_is_ignored_and_all_damaged_is_refused() {
    let house = undisturbed();
    house.copy_run("whole", "run", 5);
    house.write("run/checkpoints/.unfinished-step-00000020/model.safetensors", "half");
    let said = house.run("train --resume run");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains(".unfinished-step-00000020") && said.err.contains("step-00000016"), "{}", said.err);
    house.assert_same("whole", "run");
    assert!(!names(&house.path("run/checkpoints")).iter().any(|name| name.starts_with('.')));

    house.copy_run("whole", "lost", 2);
    for name in house.checkpoints("lost") {
        house.write(&format!("lost/checkpoints/{name}/trainer.json"), "{}");
    }
    let error = house.refused("train --resume lost");
    assert!(error.contains("step-00000004") && error.contains("step-00000008") && error.contains("hint:"), "{error}");
    assert_eq!(house.checkpoints("lost").len(), 2, "what may still be of use to somebody stays");
}

#[test]
fn rotation_keeps_the_last_and_the_best() {
    let house = House::prepared();
    // Digits grow from 9 to 10 and from 99 to 100, and the best is soon not the last.
    let line =
        "train --data data --learning-rate 0.02 --threads 1 --max-steps 102 --epochs 30 --eval-steps 3 --save-every 1";
    house.done(&format!("{line} --output run"));
    let best = house.json("run/metrics.json")["best"]["step"].as_u64().expect("a best");
    assert!(best < 102, "the best is not the last here");
    assert_eq!(house.checkpoints("run"), [format!("step-{best:08}"), "step-00000102".to_owned()]);
    let of_best = house.read(&format!("run/checkpoints/step-{best:08}/model.safetensors"));
    assert!(of_best == house.read("run/model.safetensors"), "the kept model is the best checkpoint's");
    for step in [9, 10, 99, 100] {
        let (line, run) = (line.replace("102", &step.to_string()), format!("run-{step}"));
        house.done(&format!("{line} --output {run} --save-total 1"));
        assert_eq!(house.checkpoints(&run).last(), Some(&format!("step-{step:08}")));
    }
}

#[test]
fn a_run_can_be_moved_and_copied_before_it_goes_on() {
    let house = undisturbed();
    house.copy_run("whole", "here", 6);
    house.copy_run("here", "copied/deep", 6);
    fs::rename(house.path("here"), house.path("moved")).expect("moves");
    for run in ["moved", "copied/deep"] {
        assert_eq!(house.done(&format!("train --resume {run}")), format!("{run}\n"));
        house.assert_same("whole", run);
    }
}

#[test]
fn what_has_changed_is_shown_and_refused_unless_allowed() {
    let house = undisturbed();
    house.copy_run("whole", "run", 6);
    let changed = |flags: &str, words: &[&str]| {
        let error = house.refused(&format!("train --resume run {flags}"));
        assert!(error.contains("--allow-change"), "{flags}: {error}");
        for word in words {
            assert!(error.contains(word), "{flags}: {error}");
        }
    };
    changed("--learning-rate 0.001", &["learning_rate", "0.003", "0.001"]);
    changed("--batch-size 8 --seed 7", &["batch_size", "16", "8", "seed", "42", "7"]);
    changed("--threads 2", &["threads", "1", "2"]);
    changed("--precision bf16", &["precision", "fp32", "bf16"]);
    house.write_reviews("more.csv", 90);
    house.done("prepare --dataset more.csv --model tiny --max-length 32 --output other");
    changed("--data other", &["training split"]);
    let weights = house.read("tiny/model.safetensors");
    let mut other = weights.clone();
    *other.last_mut().expect("bytes") ^= 1;
    fs::write(house.path("tiny/model.safetensors"), &other).expect("writes");
    changed("", &["weights"]);
    fs::write(house.path("tiny/model.safetensors"), &weights).expect("writes");
    assert_eq!(house.checkpoints("run").len(), 6, "a refusal changes nothing");

    let said = house.run("train --resume run --learning-rate 0.001 --allow-change");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("learning_rate") && said.err.contains("0.003"), "{}", said.err);
    let rates = |run: &str| -> Vec<f64> {
        house.events(run, "step").iter().map(|step| step["learning_rate"].as_f64().expect("a rate")).collect()
    };
    let (then, now) = (rates("whole"), rates("run"));
    assert_eq!(then[..20], now[..20]);
    assert!((now[20] * 3.0 - then[20]).abs() < 1e-12, "{} and {}", then[20], now[20]);
    // What decides about no bit of the result may change freely.
    house.copy_run("whole", "free", 6);
    house.done("train --resume free --save-every 3 --save-total 2");
    assert!(house.read("free/model.safetensors") == house.read("whole/model.safetensors"));
}

#[test]
fn a_run_has_one_owner_and_a_dead_one_is_none() {
    let house = House::prepared();
    let line = format!("{TRAIN} --save-every 4 --output run").replacen("--epochs 3", "--epochs 300", 1);
    let process = house.start(&line);
    house.wait_for_step("run", 9);
    let error = house.refused(&format!("{line} --resume"));
    assert!(error.contains(&process.pid().to_string()) && error.contains("run"), "{error}");
    let error = house.refused(&line);
    assert!(error.contains(&process.pid().to_string()) || error.contains("--resume"), "{error}");
    process.signal("KILL");
    process.end();
    let again = house.start(&format!("{line} --resume"));
    house.wait_for("run", "start", 2);
    again.signal("INT");
    assert_eq!(again.end().code, 130, "the lock that the killed one left is no obstacle");
}

#[test]
fn not_a_number_leaves_a_checkpoint_of_the_last_good_state() {
    let house = House::new();
    // A word of which the model knows nothing but that it isn't a number, in one row of many.
    let model = house.write_model("tiny", &["cursed"]);
    let words = model
        .parameters()
        .iter()
        .find(|parameter| parameter.name() == "bert.embeddings.word_embeddings.weight")
        .expect("embeddings");
    let _ = words.master().get(-1).fill_(f64::NAN);
    model.save(&house.path("tiny")).expect("saves");
    house.write_reviews("reviews.csv", 100);
    let reviews = String::from_utf8(house.read("reviews.csv")).expect("UTF-8");
    house.write("reviews.csv", &(reviews + "a cursed film is lovely,positive\n"));
    house.done("prepare --dataset reviews.csv --model tiny --max-length 32 --output data");

    let said = house.run(&format!("{TRAIN} --seed 2 --save-every 1000 --output run"));
    assert_eq!(said.code, 1, "{}", said.err);
    let done = house.events("run", "step").len();
    assert!((2..11).contains(&done), "the row is in the middle of an epoch: {done} steps\n{}", said.err);
    assert!(said.err.contains(&format!("step {}: the loss is NaN", done + 1)), "{}", said.err);
    assert!(said.err.contains("Training rows of this step"), "{}", said.err);
    assert_eq!(house.checkpoints("run"), [format!("step-{done:08}")], "{}", said.err);
    let again = house.run("train --resume run");
    assert_eq!(again.code, 1, "{}", again.err);
    assert!(again.err.contains(&format!("step {}: the loss is NaN", done + 1)), "{}", again.err);
    assert_eq!(house.events("run", "step").len(), done);
}

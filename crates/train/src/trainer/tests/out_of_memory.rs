//! Memory that is too small once, or always, at each place of a training. Where it is too small once, the run ends as
//! one with enough memory. Where it always is, the run stops with its state saved, and ends the same after a resume with
//! enough memory.

use super::*;
use crate::checkpoint::LoadedCheckpoint;
use crate::memory_faults::{MemoryFault, Place, with};

/// SGD, because on a CPU it is computed with libtorch's operations, which allocate.
const FLAGS: &str = "--batch-size 12 --eval-steps 2 --optimizer sgd --learning-rate 0.01";

/// The updates of a step in fp32: of the words' table, of everything else that decays, and of what doesn't.
const UPDATES: usize = 3;

/// Asserts that two finished runs have the same losses, model and scores.
fn assert_same(one: &Path, other: &Path, what: &str) {
    assert_eq!(losses_of(one), losses_of(other), "{what}");
    assert!(fs::read(one.join(MODEL)).unwrap() == fs::read(other.join(MODEL)).unwrap(), "{what}");
    let scores = |run: &Path| metrics_of(run)["validation"].clone();
    assert_eq!(scores(one), scores(other), "{what}");
}

/// Trains with a fault, which must happen.
fn train_with(fault: MemoryFault, folder: &Path, name: &str, flags: &str) -> Result<RunFolder> {
    let (result, happened) = with(fault, || train(folder, name, flags));
    assert!(happened, "{fault:?}");
    result
}

/// Trains with a fault that must stop the run, and returns the error, with the run's folder as RUN.
fn error_of(fault: MemoryFault, folder: &Path, name: &str, flags: &str) -> String {
    let error = train_with(fault, folder, name, flags).expect_err("it must stop").to_string();
    error.replace(&folder.join(name).display().to_string(), "RUN")
}

fn saved_step(run: &Path) -> u64 {
    LoadedCheckpoint::newest(run).unwrap().unwrap().state.step
}

#[test]
fn micro_batches_are_halved_and_the_result_of_a_step_does_not_change() {
    let folder = prepared_folder();
    let flags = "--batch-size 12 --gradient-accumulation-steps 2";
    let large_memory = losses(folder.path(), "large_memory", flags);
    // Memory for four examples: parts of 6 are still too large, parts of 3 fit.
    train_with(MemoryFault::larger_than(Place::Gradients, 4), folder.path(), "small_memory", flags).unwrap();
    let run = folder.path().join("small_memory");
    let small_memory = losses_of(&run);
    assert_eq!((large_memory.len(), small_memory.len()), (5, 5));
    for (step, (a, b)) in large_memory.iter().zip(&small_memory).enumerate() {
        assert!((a - b).abs() < 1e-5, "step {step}: {a} and {b}");
    }
    assert_eq!(metrics_of(&run)["micro_batch_size"], 3);
    let found = LoadedCheckpoint::newest(&run).unwrap().unwrap();
    assert_eq!(found.state.micro_batch_parts, 4, "a resumed run starts with the same micro-batches");
}

#[test]
fn too_little_memory_once_does_not_change_the_result() {
    let folder = prepared_folder();
    let enough = folder.path().join("enough");
    train(folder.path(), "enough", FLAGS).unwrap();
    // The first, an inner and the last update of a step, and of another step.
    let updates = [0, 1, UPDATES - 1, 2 * UPDATES + 1].map(|skip| MemoryFault::once(Place::Update, skip));
    let norms = [0, 4].map(|skip| MemoryFault::once(Place::Norm, skip));
    for (index, fault) in updates.into_iter().chain(norms).enumerate() {
        let name = format!("once-{index}");
        train_with(fault, folder.path(), &name, FLAGS).unwrap();
        assert_same(&enough, &folder.path().join(&name), &format!("{fault:?}"));
    }
    // A smaller evaluation batch has the same predictions; another order of sums may change a loss's last digit.
    let fault = MemoryFault::once(Place::Evaluation, 0);
    train_with(fault, folder.path(), "evaluation", FLAGS).unwrap();
    let evaluation = folder.path().join("evaluation");
    assert_eq!(losses_of(&enough), losses_of(&evaluation));
    assert!(fs::read(enough.join(MODEL)).unwrap() == fs::read(evaluation.join(MODEL)).unwrap());
    assert_eq!(metrics_of(&enough)["validation"]["accuracy"], metrics_of(&evaluation)["validation"]["accuracy"]);
    let rows = metrics_of(&enough)["eval_batch_size"].as_u64().unwrap();
    let halved = metrics_of(&evaluation)["eval_batch_size"].as_u64().unwrap();
    assert!(rows == 32 && halved < 32 && halved > 1, "{rows}, {halved}");
}

#[test]
fn too_little_memory_always_stops_the_run_with_its_state_saved() {
    let folder = prepared_folder();
    let enough = folder.path().join("enough");
    train(folder.path(), "enough", FLAGS).unwrap();
    let cases = [
        (MemoryFault::larger_than(Place::Gradients, 0), "step 1: the memory is too small for one example at a time", 0),
        (MemoryFault::always(Place::Gradients, 3), "step 4: the memory is too small for one example at a time", 3),
        (MemoryFault::always(Place::Norm, 3), "step 4: the memory is too small for the norm of the gradients", 3),
        (MemoryFault::always(Place::Update, 0), "step 1: the memory is too small for an update of the weights", 0),
        (MemoryFault::always(Place::Update, 3 * UPDATES), "step 4: the memory is too small for an update", 3),
        // The weights of step 4 are half updated; the state after step 2 was saved for its evaluation.
        (
            MemoryFault::always(Place::Update, 3 * UPDATES + 1),
            "step 4: the memory is too small for an update of the weights, and some of the weights had been updated, so \
             this state is not saved",
            2,
        ),
        (
            MemoryFault::larger_than(Place::Evaluation, 0),
            "evaluation after step 2: the memory is too small for the evaluation of one example at a time",
            2,
        ),
    ];
    for (index, (fault, start, safe)) in cases.into_iter().enumerate() {
        let name = format!("always-{index}");
        let error = error_of(fault, folder.path(), &name, FLAGS);
        assert!(error.starts_with(start), "{error}");
        let next = format!(
            ". Training has stopped; step {safe} is saved, and cargo run -p train -- --resume RUN continues from there \
             (hint: "
        );
        assert!(error.contains(&next), "{error}");
        let run = folder.path().join(&name);
        assert_eq!(saved_step(&run), safe, "{error}");
        train(folder.path(), &name, &format!("{FLAGS} --resume")).unwrap();
        assert_same(&enough, &run, &error);
        assert_eq!(metrics_of(&run)["micro_batch_size"], 12, "{error}");
        assert_eq!(metrics_of(&run)["eval_batch_size"], 32, "{error}");
    }
}

#[test]
fn nothing_is_saved_of_half_an_update_and_the_error_says_so() {
    let folder = prepared_folder();
    let error = error_of(MemoryFault::always(Place::Update, 1), folder.path(), "first", FLAGS);
    assert!(
        error.contains("so this state is not saved. Training has stopped; no step was saved before (hint"),
        "{error}"
    );
    assert!(LoadedCheckpoint::newest(&folder.path().join("first")).unwrap().is_none());
}

#[test]
fn a_smaller_evaluation_batch_is_kept_on_resume_until_another_one_is_given() {
    let folder = prepared_folder();
    let small = MemoryFault::larger_than(Place::Evaluation, 3);
    let flags = FLAGS.replace("--eval-steps 2", "--eval-steps 2 --save-every 1");
    let small_until = |steps: &str| flags.clone() + " --epochs 9 --max-steps " + steps;
    // Without the flag of `train` for five steps.
    let train_until = |name: &str, steps: &str, more: &str| {
        let [data, output] = ["data", name].map(|name| folder.path().join(name).display().to_string());
        let line = format!("train --precision fp32 --threads 1 {} {more}", small_until(steps));
        let line = line.split_whitespace().chain(["--data", &data, "--output", &output]);
        crate::train(&Train::parse_from(line).args).unwrap();
        metrics_of(&folder.path().join(name))["eval_batch_size"].as_u64().unwrap()
    };
    let (first, happened) = with(small, || train_until("run", "4", ""));
    assert!(happened && first <= 3, "{first}");
    let state = LoadedCheckpoint::newest(&folder.path().join("run")).unwrap().unwrap().state;
    assert_eq!(state.eval_batch_size, Some(first as usize));
    assert_eq!(train_until("run", "8", "--resume --allow-change"), first);
    let state = LoadedCheckpoint::newest(&folder.path().join("run")).unwrap().unwrap().state;
    assert_eq!(state.eval_batch_size, Some(first as usize));
    assert_eq!(train_until("run", "12", "--resume --allow-change --eval-batch-size 7"), 7);
}

#[test]
fn another_evaluation_batch_size_is_no_other_run() {
    let folder = prepared_folder();
    let enough = folder.path().join("enough");
    train(folder.path(), "enough", FLAGS).unwrap();
    error_of(MemoryFault::larger_than(Place::Evaluation, 0), folder.path(), "resumed", FLAGS);
    train(folder.path(), "resumed", &format!("{FLAGS} --resume --eval-batch-size 5")).unwrap();
    let resumed = folder.path().join("resumed");
    assert_eq!(losses_of(&enough), losses_of(&resumed));
    assert!(fs::read(enough.join(MODEL)).unwrap() == fs::read(resumed.join(MODEL)).unwrap());
    let scores = [&enough, &resumed].map(|run| metrics_of(run)["validation"].clone());
    for key in ["accuracy", "macro_f1", "matthews", "confusion"] {
        assert_eq!(scores[0][key], scores[1][key], "{key}");
    }
    let loss = |scores: &Value| scores["loss"].as_f64().unwrap();
    assert!((loss(&scores[0]) - loss(&scores[1])).abs() < 1e-6, "{scores:?}");
    assert_eq!(metrics_of(&resumed)["eval_batch_size"], 5);
}

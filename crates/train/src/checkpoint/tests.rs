//! Saves with a failure at every file-system call, and checkpoints with damage at every byte.
//!
//! Guarantee: after a save that fails at any call with any error, once or permanently, or that a kill or a power cut ends,
//! the run folder still loads and contains either the previous checkpoint or the new one, bit for bit.

mod compatibility;

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use disk::faults::{self, Call, Fault, power_cuts, without_exchange};
use disk::write_atomic;
use model::read_tensors;
use run::checkpoints::{CHECKPOINTS, name_of, newest_complete, steps_in};
use run::{Best, METRICS, MODEL, RUN_TOML, RunFolder};
use serde_json::Map;
use tch::Tensor;

use super::*;
use crate::options::{CheckpointOptions, OptimizerOptions, TrainConfig};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
/// A file system that has become read-only, as after an error of its disk.
const EROFS: i32 = 30;

/// Tensors whose values depend on the step.
fn tensors(step: u64) -> Tensors {
    let tensor =
        |salt: f32| Tensor::from_slice(&[step as f32, salt, 0.1 * step as f32, f32::MIN_POSITIVE]).view([2, 2]);
    let named = |name: &str, salt| (name.to_owned(), tensor(salt));
    Tensors {
        weights: vec![named("bert.pooler.dense.weight", 1.0), named("classifier.weight", 2.0)],
        optimizer: vec![named("classifier.weight.exp_avg", 3.0), named("classifier.weight.exp_avg_sq", 4.0)],
    }
}

fn state(step: u64, best: u64) -> TrainerState {
    let best = Best { metric: "accuracy".to_owned(), value: 0.1 + 0.2, step: best, epoch: best as f64 / 7.0 };
    let confusion = metrics::ConfusionMatrix::from_counts(&[vec![3, 1], vec![0, step]]).unwrap();
    TrainerState {
        format: FORMAT,
        step,
        epoch: step / 7,
        step_in_epoch: step % 7,
        evaluated: true,
        best: Some(BestModel { best, loss: f64::INFINITY, confusion }),
        evaluations_without_better: 2,
        micro_batch_parts: 1,
        eval_batch_size: None,
        seconds: 1.0 / 3.0,
        logs: [("log.jsonl".to_owned(), 12_345)].into(),
        config: TrainConfig::default().to_json().unwrap(),
        identity: Identity {
            train_sha256: "aa".to_owned(),
            validation_sha256: None,
            label_names: vec!["negative".to_owned(), "positive".to_owned()],
            tokenizer_sha256: "bb".to_owned(),
            base_config_sha256: "cc".to_owned(),
            base_weights_sha256: "dd".to_owned(),
            device: "cpu".to_owned(),
            gpu: None,
            precision: "fp32".to_owned(),
            threads: 2,
            backend: Some("kernels".to_owned()),
            instruction_set: Some("avx512".to_owned()),
            processes: 1,
        },
    }
}

/// Saves a step into `run` and publishes its model, after which only the steps in `kept_steps` remain.
fn save_keeping(run: &Path, step: u64, kept_steps: &[u64]) -> Result<()> {
    let publication = vec![("config.json".to_owned(), format!("{{\"step\": {step}}}").into_bytes())];
    job(run, step, kept_steps, &publication, false).run()
}

fn job<'a>(
    run: &'a Path,
    step: u64,
    kept_steps: &[u64],
    publication: &'a Publication,
    has_same_tensors: bool,
) -> SaveJob<'a> {
    let (tensors, state) = (tensors(step), state(step, step));
    SaveJob { run, tensors, state, publication: Some(publication), kept_steps: kept_steps.to_vec(), has_same_tensors }
}

fn save(run: &Path, step: u64) -> Result<()> {
    save_keeping(run, step, &[step])
}

/// A run folder with a checkpoint of `step`.
fn run_at(step: u64) -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), step).unwrap();
    run
}

/// The step of the checkpoint that a run resumes from; panics unless its content is bit-identical to that step.
fn loaded(run: &Path) -> u64 {
    let found = LoadedCheckpoint::newest(run).unwrap().expect("a checkpoint");
    let step = found.state.step;
    assert_eq!(found.state, state(step, step));
    let Tensors { weights, optimizer } = tensors(step);
    for (expected, found) in [(weights, found.weights().unwrap()), (optimizer, found.optimizer().unwrap())] {
        assert_eq!(expected.len(), found.len());
        for (name, tensor) in expected {
            assert!(found.iter().any(|(other, found)| *other == name && found.equal(&tensor)), "{name}");
        }
    }
    step
}

/// The step of the model published in the run folder.
fn published(run: &Path) -> u64 {
    let tensors = read_tensors(&run.join(MODEL)).unwrap();
    let (_, weight) = tensors.iter().find(|(name, _)| name == "classifier.weight").unwrap();
    weight.double_value(&[0, 0]) as u64
}

/// Runs a save of step 20 over one of step 10 with each call failing in turn.
fn with_every_fault(errno: i32, for_ever: bool, mut after: impl FnMut(&Path, Result<()>, Call)) -> usize {
    let calls = {
        let run = run_at(10);
        faults::count(|| save(run.path(), 20).unwrap())
    };
    for &at in &calls {
        let run = run_at(10);
        let saved = faults::with(Fault { at, errno, for_ever }, || save(run.path(), 20));
        after(run.path(), saved, at);
    }
    calls.len()
}

#[test]
fn a_save_that_fails_anywhere_leaves_the_old_checkpoint_or_the_new_one() {
    for errno in [ENOSPC, EIO, EROFS] {
        for for_ever in [false, true] {
            let (mut old, mut new) = (0, 0);
            let calls = with_every_fault(errno, for_ever, |run, saved, at| {
                let step = loaded(run);
                match (&saved, step) {
                    (_, 20) => new += 1,
                    (Err(_), 10) => old += 1,
                    other => panic!("call {at:?}: {other:?}"),
                }
                assert!([10, 20].contains(&published(run)), "call {at:?}");
                let message = saved.err().map(|error| error.to_string()).unwrap_or_default();
                if errno == ENOSPC && step == 10 {
                    assert!(message.contains(" free (hint: "), "call {at:?}: {message}");
                }
                // The next save repairs everything.
                save(run, 30).unwrap();
                assert_eq!((loaded(run), published(run)), (30, 30), "call {at:?}");
                assert_eq!(steps_in(&run.join(CHECKPOINTS)).unwrap(), [30], "call {at:?}");
            });
            assert!(old >= 10 && new >= 10, "{old} and {new} of {calls} calls, errno {errno}, for ever {for_ever}");
        }
    }
}

/// Whether each folder with a checkpoint's name is a whole checkpoint.
fn assert_named_ones_are_whole(run: &Path, state: &str) {
    let folder = run.join(CHECKPOINTS);
    for step in steps_in(&folder).unwrap() {
        LoadedCheckpoint::open(&folder.join(name_of(step))).unwrap_or_else(|error| panic!("{error}: {state}"));
    }
}

/// At each call of a save the power is cut, which loses content and names that were not synced, or the process is killed.
#[test]
fn a_power_cut_anywhere_leaves_the_old_checkpoint_or_the_new_one() {
    let run = tempfile::tempdir().unwrap();
    let run = run.path();
    let states = power_cuts(
        run,
        || save(run, 10).unwrap(),
        || save(run, 20),
        |saved, state| {
            assert_named_ones_are_whole(run, state);
            for step in [loaded(run), published(run)] {
                assert!(step == 20 || (step == 10 && saved.is_err()), "step {step} although {saved:?}: {state}");
            }
        },
    );
    assert!(states > 100, "{states}");
}

/// Also where folders can't be exchanged, as on NFS: there a kill between two renames leaves none with its name.
#[test]
fn a_checkpoint_of_the_same_step_is_replaced_and_never_lost() {
    for exchange in [true, false] {
        let run = tempfile::tempdir().unwrap();
        let run = run.path();
        let replace = || if exchange { save(run, 10) } else { without_exchange(|| save(run, 10)) };
        let states = power_cuts(
            run,
            || save(run, 10).unwrap(),
            replace,
            |_, state| {
                if exchange {
                    assert_named_ones_are_whole(run, state);
                    assert_eq!(steps_in(&run.join(CHECKPOINTS)).unwrap(), [10], "{state}");
                }
                assert_eq!(newest_complete(run).map(|(step, _)| step), Some(10), "{state}");
                assert_eq!((loaded(run), published(run)), (10, 10), "{state}");
                assert_eq!(steps_in(&run.join(CHECKPOINTS)).unwrap(), [10], "{state}");
                assert_named_ones_are_whole(run, state);
            },
        );
        assert!(states > 100, "{states}");
    }
}

/// A run from its folder to its end: the folders above a file that is reported as saved survive, too.
#[test]
fn what_a_new_run_has_saved_survives_a_power_cut() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/of/today");
    let reported = RefCell::new(Vec::new());
    let train = || -> Result<()> {
        reported.borrow_mut().clear();
        let report = |what| reported.borrow_mut().push(what);
        let run = RunFolder::create(Some(&path), "sst2", "tiny")?;
        run.write(RUN_TOML, "seed = 1")?;
        report("begun");
        save_keeping(&path, 10, &[10])?;
        report("saved");
        run.write(METRICS, "{}")?;
        report("finished");
        Ok(())
    };
    let states = power_cuts(
        root.path(),
        || {},
        train,
        |_, state| {
            let reported = reported.borrow();
            assert!(reported.is_empty() || fs::read_to_string(path.join(RUN_TOML)).unwrap() == "seed = 1", "{state}");
            if reported.len() > 1 {
                assert_eq!((loaded(&path), published(&path)), (10, 10), "{state}");
            }
            assert!(reported.len() < 3 || path.join(METRICS).is_file(), "{state}");
        },
    );
    assert!(states > 100, "{states}");
}

/// `metrics.json` marks a run as finished: one of an earlier end must not be there beside a newer model.
#[test]
fn a_finished_run_that_continues_has_no_metrics_beside_a_newer_model() {
    let root = tempfile::tempdir().unwrap();
    let run = root.path();
    let finished = || {
        save(run, 10).unwrap();
        write_atomic(&run.join(METRICS), "{}").unwrap();
    };
    let continued = || -> Result<()> {
        RunFolder::open_to_resume(run)?.remove(METRICS)?;
        save(run, 20)
    };
    power_cuts(run, finished, continued, |_, state| {
        assert!(published(run) == 10 || !run.join(METRICS).exists(), "{state}");
    });
}

/// As after an evaluation: the state has changed and the tensors have not.
#[cfg(unix)]
#[test]
fn a_second_save_of_a_step_links_the_tensors_and_fails_as_safely() {
    let publication = vec![];
    let second = |run: &Path| job(run, 10, &[10], &publication, true).run();
    let inode = |run: &Path, name: &str| {
        let file = run.join(CHECKPOINTS).join(name_of(10)).join(name);
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).unwrap())
    };
    let run = run_at(10);
    let before = [WEIGHTS, OPTIMIZER, STATE].map(|name| inode(run.path(), name));
    let calls = faults::count(|| second(run.path()).unwrap());
    let after = [WEIGHTS, OPTIMIZER, STATE].map(|name| inode(run.path(), name));
    assert!(before[..2] == after[..2] && before[2] != after[2], "{before:?}, {after:?}");
    assert_eq!(loaded(run.path()), 10);
    for (at, for_ever) in calls.iter().flat_map(|at| [(*at, false), (*at, true)]) {
        let run = run_at(10);
        let saved = faults::with(Fault { at, errno: EIO, for_ever }, || second(run.path()));
        assert_eq!((loaded(run.path()), published(run.path())), (10, 10), "call {at:?}: {saved:?}");
    }
    let run = run_at(10);
    power_cuts(
        run.path(),
        || save(run.path(), 10).unwrap(),
        || second(run.path()),
        |_, state| {
            assert_eq!((loaded(run.path()), published(run.path())), (10, 10), "{state}");
        },
    );
    // Damage to the first checkpoint stays noticed, and a missing file is written again.
    let file = run.path().join(CHECKPOINTS).join(name_of(10)).join(WEIGHTS);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
    second(run.path()).unwrap();
    assert!(LoadedCheckpoint::newest(run.path()).unwrap_err().to_string().contains(WEIGHTS));
    fs::remove_file(&file).unwrap();
    second(run.path()).unwrap();
    assert_eq!(loaded(run.path()), 10);
}

#[test]
fn a_file_truncated_at_any_byte_is_detected_and_named() {
    let run = run_at(10);
    let checkpoint = run.path().join(CHECKPOINTS).join(name_of(10));
    for name in SUMMED.into_iter().chain([SUMS]) {
        let file = checkpoint.join(name);
        let bytes = fs::read(&file).unwrap();
        for length in 0..bytes.len() {
            fs::write(&file, &bytes[..length]).unwrap();
            let message = LoadedCheckpoint::open(&checkpoint).unwrap_err().to_string();
            assert!(message.contains(&format!("{} ", file.display())), "{name} cut to {length}: {message}");
        }
        fs::remove_file(&file).unwrap();
        assert!(LoadedCheckpoint::open(&checkpoint).unwrap_err().to_string().contains(name));
        fs::write(&file, &bytes).unwrap();
        LoadedCheckpoint::open(&checkpoint).unwrap();
    }
}

#[test]
fn a_bit_flip_in_any_byte_is_detected_and_the_file_is_named() {
    let run = run_at(10);
    let checkpoint = run.path().join(CHECKPOINTS).join(name_of(10));
    for name in SUMMED.into_iter().chain([SUMS]) {
        let file = checkpoint.join(name);
        let bytes = fs::read(&file).unwrap();
        for index in 0..bytes.len() {
            // The lowest bit, a letter's case, and the highest one.
            for bit in [0, 5, 7] {
                let mut flipped = bytes.clone();
                flipped[index] ^= 1 << bit;
                fs::write(&file, flipped).unwrap();
                let message = LoadedCheckpoint::open(&checkpoint).unwrap_err().to_string();
                // A digit of a sum may be wrong in the sum or in the file: both are named.
                let named = message.contains(name) && message.contains("damaged checkpoint: ");
                assert!(named, "{name}, byte {index}, bit {bit}: {message}");
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn the_valid_checkpoint_with_the_highest_step_is_loaded() {
    let run = tempfile::tempdir().unwrap();
    for step in [9_999, 10_000, 123_456_789] {
        save_keeping(run.path(), step, &[9_999, 10_000, 123_456_789]).unwrap();
    }
    let folder = run.path().join(CHECKPOINTS);
    assert_eq!(steps_in(&folder).unwrap(), [9_999, 10_000, 123_456_789]);
    assert_eq!(loaded(run.path()), 123_456_789);
    fs::write(folder.join(name_of(123_456_789)).join(OPTIMIZER), "x").unwrap();
    assert_eq!(loaded(run.path()), 10_000);
    fs::remove_file(folder.join(name_of(10_000)).join(SUMS)).unwrap();
    assert_eq!(loaded(run.path()), 9_999);
    fs::write(folder.join(name_of(9_999)).join(STATE), "{}").unwrap();
    let message = LoadedCheckpoint::newest(run.path()).unwrap_err().to_string();
    for part in [name_of(123_456_789), name_of(10_000), name_of(9_999), "SHA256SUMS".to_owned(), "hint".to_owned()] {
        assert!(message.contains(&part), "{part} is not in: {message}");
    }
}

#[test]
fn files_of_an_interrupted_save_are_ignored_and_removed() {
    let run = run_at(10);
    let folder = run.path().join(CHECKPOINTS);
    let unfinished = folder.join(format!("{UNFINISHED}{}", name_of(20)));
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join(WEIGHTS), "half").unwrap();
    assert_eq!(loaded(run.path()), 10);
    assert!(!unfinished.exists());
    assert!(LoadedCheckpoint::newest(tempfile::tempdir().unwrap().path()).unwrap().is_none());
}

#[test]
fn a_checkpoint_under_another_steps_name_is_damaged() {
    let run = run_at(10);
    let folder = run.path().join(CHECKPOINTS);
    fs::rename(folder.join(name_of(10)), folder.join(name_of(90))).unwrap();
    let message = LoadedCheckpoint::open(&folder.join(name_of(90))).unwrap_err().to_string();
    assert!(message.contains("is of step 10, in a folder named step-00000090"), "{message}");
}

#[test]
fn sha256sum_can_check_a_checkpoint() {
    let run = run_at(10);
    let mut check = std::process::Command::new("sha256sum");
    check.args(["--check", "--strict", SUMS]).current_dir(run.path().join(CHECKPOINTS).join(name_of(10)));
    match check.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => test_support::skipped(&format!("there is no sha256sum here: {error}")),
    }
}

#[test]
fn a_state_round_trips_exactly_and_invalid_states_are_refused() {
    let state = state(20, 10);
    let text = serde_json::to_vec(&state).unwrap();
    assert_eq!(TrainerState::parse(&text).unwrap(), state);
    let refusal = |change: &dyn Fn(&mut Map<String, serde_json::Value>)| {
        let mut map: Map<_, _> = serde_json::from_slice(&text).unwrap();
        change(&mut map);
        TrainerState::parse(&serde_json::to_vec(&map).unwrap()).unwrap_err()
    };
    assert_eq!(refusal(&|map| map["format"] = 1.into()), "has format 1, and this program reads 2");
    assert!(refusal(&|map| drop(map.remove("step"))).contains("missing field `step`"));
    assert!(refusal(&|map| drop(map.insert("new".to_owned(), 1.into()))).contains("unknown field `new`"));
    assert!(refusal(&|map| map["config"]["epochs"] = "three".into()).contains("epochs = \"three\""));
    assert!(refusal(&|map| map["config"]["epoch"] = 3.into()).contains("no option is called \"epoch\""));
    assert!(refusal(&|map| map["best"]["loss"] = "much".into()).contains("invalid float"));
}

#[test]
fn a_best_value_that_is_not_finite_is_read_as_it_was_written() {
    let with_best = |value: f64| {
        let mut state = state(8, 8);
        state.best.as_mut().unwrap().best.value = value;
        serde_json::to_string(&state).unwrap()
    };
    let read = |text: &str| TrainerState::parse(text.as_bytes()).unwrap().best.unwrap().best.value;
    for value in [f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2] {
        assert_eq!(read(&with_best(value)), value);
    }
    let not_a_number = with_best(f64::NAN);
    assert!(not_a_number.contains(r#""value":"NaN""#), "{not_a_number}");
    assert!(read(&not_a_number).is_nan());
    assert!(read(&not_a_number.replace(r#""NaN""#, "null")).is_nan(), "a checkpoint of an earlier version");
}

use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::distribution::Distribution;
use crate::export;
use crate::journal::tests::folder;

struct TempStudy {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl TempStudy {
    fn new() -> Self {
        let folder = folder();
        Self { path: folder.path().join("study.jsonl"), _folder: folder }
    }

    fn open(&self) -> Study {
        Study::open(&self.path, "s", StudyDirection::Maximize).unwrap()
    }
}

fn params(rate: f64, batch: f64) -> Params {
    let float = Distribution::Float { low: 0.0, high: 1.0, log: false, step: None };
    let choices = Distribution::Categorical { choices: vec![ParamValue::Int(16), ParamValue::Int(32)] };
    BTreeMap::from([
        ("batch".to_owned(), Param { distribution: choices, internal: batch }),
        ("rate".to_owned(), Param { distribution: float, internal: rate }),
    ])
}

fn begin(study: &mut Study, rate: f64) -> u64 {
    let number = study.trials().len() as u64;
    match study.start_trial(number, params(rate, 1.0), BTreeMap::new(), Duplicates::Refuse).unwrap() {
        StartOutcome::Started(number) => number,
        other => panic!("{other:?}"),
    }
}

/// The same process as a worker on another machine, whose process can't be seen.
fn elsewhere(mut study: Study) -> Study {
    study.worker.place = Some("another machine".to_owned());
    study
}

/// A worker whose process is dead.
fn dead(mut study: Study) -> Study {
    study.worker.start = study.worker.start.map(|start| start - 1);
    study
}

#[test]
fn a_trial_from_begin_to_end() {
    let temp = TempStudy::new();
    let mut study = temp.open();
    assert_eq!((study.trials().len(), study.best()), (0, None));
    let number = begin(&mut study, 0.5);
    study.report(number, 1, 0.25).unwrap();
    study.report(number, 2, f64::NAN).unwrap();
    study.set_trial_user_attrs(number, &BTreeMap::from([("run".to_owned(), json!("runs/0"))])).unwrap();
    study.set_trial_system_attr(number, "note", &json!({"a": [1]})).unwrap();
    study.set_user_attr("data", &json!("sst5")).unwrap();
    study.finish(number, TrialOutcome::Complete(0.75)).unwrap();
    let again = Study::load(&temp.path, "s").unwrap();
    let trial = again.trial(0).unwrap();
    assert_eq!((trial.number, trial.state, trial.value), (0, TrialState::Complete, Some(0.75)));
    assert_eq!((trial.param("rate"), trial.param("batch")), (Some(ParamValue::Float(0.5)), Some(ParamValue::Int(32))));
    assert_eq!(trial.intermediate[&1], 0.25);
    assert!(trial.intermediate[&2].is_nan() && trial.duration().unwrap() >= 0.0);
    assert_eq!((&trial.user_attrs["run"], &trial.system_attrs["note"]["a"][0]), (&json!("runs/0"), &json!(1)));
    assert_eq!((again.user_attrs()["data"].clone(), again.direction()), (json!("sst5"), StudyDirection::Maximize));
    assert_eq!(Study::names(&temp.path).unwrap(), ["s"]);
}

#[test]
fn the_first_of_two_processes_sets_an_attribute() {
    let temp = TempStudy::new();
    let (mut one, mut other) = (temp.open(), temp.open());
    assert_eq!(one.user_attr_or_set("format", &json!("bf16")).unwrap(), "bf16");
    assert_eq!(other.user_attr_or_set("format", &json!("fp32")).unwrap(), "bf16");
    assert_eq!(other.user_attrs()["format"], "bf16");
}

#[test]
fn finished_trials_cannot_be_changed() {
    let temp = TempStudy::new();
    let mut study = temp.open();
    let number = begin(&mut study, 0.5);
    study.finish(number, TrialOutcome::Failed).unwrap();
    let before = study.trials().to_vec();
    for error in [
        study.report(number, 3, 0.5).unwrap_err(),
        study.finish(number, TrialOutcome::Complete(1.0)).unwrap_err(),
        study.release(number).unwrap_err(),
        study.set_params(number, &params(0.1, 0.0)).unwrap_err(),
    ] {
        assert!(matches!(error, TuneError::WrongState { number: 0, state: TrialState::Fail, .. }), "{error}");
    }
    assert!(matches!(study.report(7, 0, 0.0), Err(TuneError::NoTrial { number: 7, count: 1, .. })));
    study.sync().unwrap();
    assert_eq!(study.trials(), before);
}

#[test]
fn a_pruned_trial_keeps_its_last_value_and_is_not_the_best() {
    let temp = TempStudy::new();
    let mut study = temp.open();
    for (rate, value) in [(0.1, 0.5), (0.2, 0.7), (0.3, 0.7), (0.4, 0.6)] {
        let number = begin(&mut study, rate);
        study.finish(number, TrialOutcome::Complete(value)).unwrap();
    }
    let number = begin(&mut study, 0.9);
    assert!(matches!(study.finish(number, TrialOutcome::Complete(f64::NAN)), Err(TuneError::NanValue { number: 4 })));
    study.report(number, 1, 0.9).unwrap();
    study.report(number, 10, 0.95).unwrap();
    study.finish(number, TrialOutcome::Pruned).unwrap();
    assert_eq!(study.trial(number).unwrap().value, Some(0.95));
    assert_eq!(study.best().unwrap().number, 1, "the first of the equal ones");
}

#[test]
fn configurations_are_not_repeated_unless_asked_for() {
    let temp = TempStudy::new();
    let (mut study, mut other) = (temp.open(), temp.open());
    begin(&mut study, 0.5);
    let mut try_begin =
        |number, rate, duplicates| other.start_trial(number, params(rate, 1.0), BTreeMap::new(), duplicates).unwrap();
    assert_eq!(try_begin(0, 0.25, Duplicates::Refuse), StartOutcome::Outdated);
    assert_eq!(try_begin(1, 0.5, Duplicates::Refuse), StartOutcome::Duplicate(0));
    assert_eq!(try_begin(1, 0.5, Duplicates::Allow), StartOutcome::Started(1));
    let recorded =
        other.add_trial(2, params(0.5, 0.0), BTreeMap::new(), TrialOutcome::Complete(0.1), Duplicates::Refuse);
    assert_eq!(recorded.unwrap(), StartOutcome::Started(2));
    study.sync().unwrap();
    assert_eq!(study.best().unwrap().number, 2);
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let temp = TempStudy::new();
    let mut study = temp.open();
    begin(&mut study, 0.5);
    let mut refused = |name: &str, distribution: Distribution, internal: f64| {
        let params = BTreeMap::from([(name.to_owned(), Param { distribution, internal })]);
        let error = study.start_trial(1, params, BTreeMap::new(), Duplicates::Refuse).unwrap_err();
        assert!(matches!(error, TuneError::BadParam { .. }), "{error}");
        error.to_string()
    };
    let float = |low, high| Distribution::Float { low, high, log: false, step: None };
    assert!(refused("rate", float(0.0, 1.0), 1.5).contains("out of its range"));
    assert!(refused("new", float(1.0, 0.0), 0.5).contains("low above high"));
    assert!(refused("rate", Distribution::Int { low: 0, high: 1, log: false, step: 1 }, 0.0).contains("another kind"));
    assert!(refused("batch", Distribution::Categorical { choices: vec![ParamValue::Null] }, 0.0).contains("choices"));
    study.sync().unwrap();
    assert_eq!(study.trials().len(), 1);
}

#[test]
fn a_queued_trial_goes_to_the_first_worker_that_claims_it() {
    let temp = TempStudy::new();
    let (mut study, mut other) = (temp.open(), temp.open());
    let fixed = BTreeMap::from([("rate".to_owned(), ParamValue::Float(0.125))]);
    assert_eq!(study.enqueue_trial(&fixed, BTreeMap::new()).unwrap(), 0);
    assert_eq!(study.owner(0).unwrap(), None);
    assert_eq!((other.claim().unwrap(), study.claim().unwrap()), (Some(0), None));
    assert_eq!(study.owner(0).unwrap(), Some(TrialOwner::Alive(other.worker().clone())));
    let error = study.set_params(0, &params(0.125, 0.0)).unwrap_err();
    assert!(matches!(error, TuneError::NotOwner { number: 0, .. }), "{error}");
    assert_eq!(other.trial(0).unwrap().fixed_params(), fixed);
    other.set_params(0, &params(0.125, 0.0)).unwrap();
    other.finish(0, TrialOutcome::Complete(0.5)).unwrap();
    study.sync().unwrap();
    assert!(study.trial(0).unwrap().has_params(&params(0.125, 0.0)) && study.trial(0).unwrap().started.is_some());
}

#[test]
fn a_dead_workers_trial_is_taken_over_once() {
    let temp = TempStudy::new();
    if temp.open().worker.place.is_none() {
        return test_support::skipped("this system has no /proc");
    }
    let mut gone = dead(temp.open());
    let mut living = temp.open();
    let mine = begin(&mut living, 0.25);
    let number = {
        gone.sync().unwrap();
        begin(&mut gone, 0.5)
    };
    gone.report(number, 1, 0.5).unwrap();
    let (mut a, mut b) = (temp.open(), temp.open());
    assert_eq!(a.owner(number).unwrap(), Some(TrialOwner::Dead(gone.worker().clone())));
    assert_eq!((a.take_over().unwrap(), b.take_over().unwrap()), (Some(number), None));
    assert_eq!((a.takeovers(number).unwrap(), a.takeovers(mine).unwrap()), (1, 0));
    assert_eq!(a.trial(number).unwrap().intermediate[&1], 0.5, "what was reported stays");
    // A worker that was wrongly considered dead gets an error.
    let error = gone.finish(number, TrialOutcome::Complete(0.9)).unwrap_err().to_string();
    assert!(error.contains(&format!("belongs to {}", a.worker())), "{error}");
    a.finish(number, TrialOutcome::Complete(0.7)).unwrap();
    assert_eq!(b.take_over().unwrap(), None);
    assert_eq!(living.trial(mine).unwrap().state, TrialState::Running);
}

#[test]
fn a_released_trial_can_be_taken_over_by_any_worker() {
    let temp = TempStudy::new();
    let (mut study, mut other) = (temp.open(), temp.open());
    let number = begin(&mut study, 0.5);
    assert_eq!(other.take_over().unwrap(), None);
    study.release(number).unwrap();
    assert!(matches!(study.report(number, 1, 0.0), Err(TuneError::NotOwner { .. })));
    assert_eq!(other.take_over().unwrap(), Some(number));
    assert_eq!(other.owner(number).unwrap(), Some(TrialOwner::ThisWorker));
    other.release(number).unwrap();
    assert_eq!(study.take_over().unwrap(), Some(number));
    assert_eq!(study.takeovers(number).unwrap(), 2);
}

#[test]
fn a_remote_worker_without_heartbeat_counts_as_dead() {
    let temp = TempStudy::new();
    let mut far = elsewhere(temp.open());
    let number = begin(&mut far, 0.5);
    let mut study = temp.open();
    let silence = std::time::Duration::from_secs(1);
    let pause = || std::thread::sleep(silence * 6 / 10);
    assert!(matches!(study.owner(number).unwrap(), Some(TrialOwner::Silent(..))));
    pause();
    far.heartbeat().unwrap();
    assert_eq!(study.take_over_after(silence).unwrap(), None);
    pause();
    assert_eq!(study.take_over_after(silence).unwrap(), None, "it was heard of");
    pause();
    assert_eq!(study.take_over_after(silence).unwrap(), Some(number));
    assert!(far.report(number, 1, 0.0).is_err());
}

#[test]
fn of_two_concurrent_takeovers_the_first_wins() {
    let temp = TempStudy::new();
    let mut first = temp.open();
    let number = begin(&mut first, 0.5);
    let (a, b) = (temp.open(), temp.open());
    // Both saw the first worker's trial and write without the lock.
    let line = |study: &Study| {
        let value = study.worker.to_takeover(Some(&first.worker.id));
        operation::trial_system_attr(&study.worker.id, number, WORKER, &value) + "\n"
    };
    let text = std::fs::read_to_string(&temp.path).unwrap() + &line(&b) + &line(&a);
    std::fs::write(&temp.path, text).unwrap();
    for mut study in [first, a] {
        study.sync().unwrap();
        assert_eq!(study.owner(number).unwrap(), Some(TrialOwner::Alive(b.worker().clone())));
        assert_eq!(study.takeovers(number).unwrap(), 1);
    }
}

#[test]
fn a_study_of_another_kind_is_refused() {
    let temp = TempStudy::new();
    let error = Study::load(&temp.path, "s").unwrap_err();
    assert!(matches!(error, TuneError::Disk(_)), "{error}");
    drop(temp.open());
    let error = Study::open(&temp.path, "s", StudyDirection::Minimize).unwrap_err().to_string();
    assert!(error.contains("expected the direction minimize, found maximize"), "{error}");
    let error = Study::load(&temp.path, "t").unwrap_err().to_string();
    assert!(error.contains("expected a study \"t\", found \"s\""), "{error}");
    let two = r#"{"op_code":0,"worker_id":"w","study_name":"two","directions":[1,2]}"#;
    let unset = r#"{"op_code":0,"worker_id":"w","study_name":"unset","directions":[0]}"#;
    let text = std::fs::read_to_string(&temp.path).unwrap() + two + "\n" + unset + "\n";
    std::fs::write(&temp.path, text).unwrap();
    let error = Study::open(&temp.path, "two", StudyDirection::Minimize).unwrap_err().to_string();
    assert!(error.contains("2 objectives"), "{error}");
    assert!(Study::load(&temp.path, "unset").unwrap_err().to_string().contains("without a direction"));
    assert_eq!(temp.open().trials(), []);
}

#[test]
fn studies_of_one_journal_are_numbered_separately() {
    let temp = TempStudy::new();
    let mut one = temp.open();
    let mut two = Study::open(&temp.path, "two", StudyDirection::Minimize).unwrap();
    begin(&mut one, 0.5);
    let number = begin(&mut two, 0.5);
    two.finish(number, TrialOutcome::Complete(0.25)).unwrap();
    one.sync().unwrap();
    assert_eq!((number, one.trials().len(), two.trials().len()), (0, 1, 1));
    assert_eq!((one.trials()[0].value, two.trials()[0].value), (None, Some(0.25)));
    // The first study is deleted; the second keeps its trials, and the name is free again.
    let text = std::fs::read_to_string(&temp.path).unwrap() + "{\"op_code\":1,\"worker_id\":\"w\",\"study_id\":0}\n";
    std::fs::write(&temp.path, text).unwrap();
    assert!(matches!(one.sync(), Err(TuneError::NoStudy { .. })));
    assert!(matches!(one.report(0, 0, 0.0), Err(TuneError::NoStudy { .. })));
    let mut again = temp.open();
    assert_eq!(begin(&mut again, 0.5), 0);
    again.report(0, 1, 0.5).unwrap();
    two.sync().unwrap();
    assert_eq!((two.trials()[0].value, again.trials()[0].intermediate[&1]), (Some(0.25), 0.5));
}

#[test]
fn a_table_and_an_object_of_all_trials() {
    let temp = TempStudy::new();
    let mut study = temp.open();
    let number = begin(&mut study, 0.5);
    study.report(number, 3, f64::INFINITY).unwrap();
    let note = BTreeMap::from([("note".to_owned(), json!("a, \"b\"\nc")), ("list".to_owned(), json!([1, null]))]);
    study.set_trial_user_attrs(number, &note).unwrap();
    study.finish(number, TrialOutcome::Complete(0.75)).unwrap();
    study.enqueue_trial(&BTreeMap::new(), BTreeMap::new()).unwrap();
    let mut table = Vec::new();
    export::csv(study.trials(), &mut table).unwrap();
    let mut rows = csv::Reader::from_reader(&table[..]);
    let header = "number,value,datetime_start,datetime_complete,duration,params_batch,params_rate,user_attrs_list,\
                  user_attrs_note,state";
    assert_eq!(rows.headers().unwrap().iter().collect::<Vec<_>>().join(","), header);
    let rows: Vec<_> = rows.records().map(|row| row.unwrap()).collect();
    let trial = &study.trials()[0];
    assert_eq!((&rows[0][0], &rows[0][1], &rows[0][9]), ("0", "0.75", "COMPLETE"));
    assert_eq!((&rows[0][5], &rows[0][6], &rows[0][7]), ("32", "0.5", "[1,null]"));
    assert_eq!((&rows[0][8], Some(&rows[0][2])), ("a, \"b\"\nc", trial.started.as_deref()));
    assert_eq!(rows[0][4].parse().ok(), trial.duration());
    assert_eq!(rows[1].iter().collect::<Vec<_>>(), ["1", "", "", "", "", "", "", "", "", "WAITING"]);
    let mut object = Vec::new();
    export::json(&study, &mut object).unwrap();
    let object: Value = serde_json::from_slice(&object).unwrap();
    assert_eq!((&object["study"], &object["direction"]), (&json!("s"), &json!("maximize")));
    let trial = &object["trials"][0];
    assert_eq!((&trial["params"], &trial["value"]), (&json!({"batch": 32, "rate": 0.5}), &json!(0.75)));
    assert_eq!((&trial["intermediate_values"], &trial["state"]), (&json!({"3": "inf"}), &json!("COMPLETE")));
    assert_eq!(object["trials"][1]["value"], Value::Null);
    let full = export::csv(study.trials(), std::io::Cursor::new([0_u8; 8].as_mut_slice()));
    assert!(matches!(full, Err(TuneError::Export { .. })));
}

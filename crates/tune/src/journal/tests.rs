use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use disk::DiskError;

use crate::{
    Distribution, Duplicates, Param, ParamValue, Params, StartOutcome, Study, StudyDirection, Trial, TrialOutcome,
    TuneError,
};

/// A folder in memory if possible, because everything is synced.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn params(rate: f64) -> Params {
    let distribution = Distribution::Float { low: 0.0, high: 1.0, log: false, step: None };
    BTreeMap::from([("rate".to_owned(), Param { distribution, internal: rate })])
}

fn open(path: &Path) -> Study {
    Study::open(path, "s", StudyDirection::Minimize).unwrap()
}

fn run(study: &mut Study, rate: f64) -> u64 {
    let number = study.trials().len() as u64;
    let outcome = study.start_trial(number, params(rate), BTreeMap::new(), Duplicates::Refuse).unwrap();
    assert_eq!(outcome, StartOutcome::Started(number));
    study.report(number, 1, rate).unwrap();
    study.finish(number, TrialOutcome::Complete(rate)).unwrap();
    number
}

/// A journal with a bit of everything, about two thousand bytes.
fn journal(folder: &Path) -> String {
    let path = folder.join("whole.jsonl");
    let mut study = open(&path);
    study.set_user_attr("ä", &"ö".into()).unwrap();
    run(&mut study, 0.5);
    study.enqueue_trial(&BTreeMap::from([("rate".to_owned(), ParamValue::Float(0.25))]), BTreeMap::new()).unwrap();
    let number = study.claim().unwrap().unwrap();
    study.set_params(number, &params(0.25)).unwrap();
    study.report(number, 1, f64::NAN).unwrap();
    study.finish(number, TrialOutcome::Failed).unwrap();
    fs::read_to_string(&path).unwrap()
}

/// The trials that whole lines give, as a text; also whether there is a study yet.
fn trials(folder: &Path, lines: &[u8]) -> Option<String> {
    let path = folder.join("lines.jsonl");
    fs::write(&path, lines).unwrap();
    let study = Study::load(&path, "s").ok()?;
    Some(format!("{:?}", study.trials()))
}

/// Every line must be an operation to a reader that knows only JSON.
fn assert_sound(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        let line = line.replace("NaN", "null");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["op_code"].is_u64());
    }
}

fn whole_lines(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)]
}

#[test]
fn cut_off_at_every_byte_a_study_goes_on() {
    let folder = folder();
    let whole = journal(folder.path());
    assert!(whole.len() < 4000);
    let path = folder.path().join("cut.jsonl");
    for length in 0..=whole.len() {
        let cut = &whole.as_bytes()[..length];
        let expected = trials(folder.path(), whole_lines(cut));
        fs::write(&path, cut).unwrap();
        let before = Study::load(&path, "s").ok().map(|study| format!("{:?}", study.trials()));
        assert_eq!(before, expected, "{length}: an unfinished line was taken");
        assert_eq!(fs::read(&path).unwrap(), cut, "{length}: reading changed the file");
        let mut study = open(&path);
        assert_eq!(format!("{:?}", study.trials()), expected.unwrap_or_else(|| "[]".to_owned()), "{length}");
        let number = run(&mut study, 0.75);
        assert_eq!(study.trials()[number as usize].value, Some(0.75));
        assert!(fs::read(&path).unwrap().starts_with(whole_lines(cut)), "{length}: what was whole was touched");
        assert_sound(&path);
        assert_eq!(format!("{:?}", Study::load(&path, "s").unwrap().trials()), format!("{:?}", study.trials()));
    }
}

#[test]
fn an_operation_appended_to_an_unfinished_line_is_read_and_repaired() {
    let folder = folder();
    let whole = journal(folder.path());
    let path = folder.path().join("glued.jsonl");
    let line = "{\"op_code\":4,\"worker_id\":\"w-1\",\"study_id\":0,\"datetime_start\":\"2026-11-23T12:00:00.000001+00:00\"}\n";
    let created = whole.lines().next().unwrap().len() + 1;
    for length in created..=whole.len() {
        let cut = &whole.as_bytes()[..length];
        let expected = trials(folder.path(), &[whole_lines(cut), line.as_bytes()].concat()).unwrap();
        fs::write(&path, [cut, line.as_bytes()].concat()).unwrap();
        assert_eq!(format!("{:?}", Study::load(&path, "s").unwrap().trials()), expected, "{length}");
        // Two processes have read it, and one of them repairs it first.
        let (mut study, mut other) = (open(&path), open(&path));
        assert_eq!(format!("{:?}", study.trials()), expected, "{length}");
        run(&mut study, 0.75);
        assert_sound(&path);
        run(synced(&mut other), 0.8);
        assert_sound(&path);
        assert_eq!(format!("{:?}", Study::load(&path, "s").unwrap().trials()), format!("{:?}", other.trials()));
    }
}

fn synced(study: &mut Study) -> &mut Study {
    study.sync().unwrap();
    study
}

#[test]
fn a_tail_of_zeros_after_a_power_cut_is_cut_off() {
    let folder = folder();
    let path = folder.path().join("zeros.jsonl");
    let whole = journal(folder.path());
    fs::write(&path, [whole.as_bytes(), &[0; 700]].concat()).unwrap();
    run(&mut open(&path), 0.75);
    assert_sound(&path);
    // And if another process appended first:
    fs::write(&path, [whole.as_bytes(), &[0; 700], b"{\"op_code\":10,\"worker_id\":\"w\"}\n"].concat()).unwrap();
    run(&mut open(&path), 0.75);
    assert_sound(&path);
}

#[test]
fn damage_in_the_middle_names_file_and_line() {
    let folder = folder();
    let whole = journal(folder.path());
    let path = folder.path().join("damaged.jsonl");
    let mut lines: Vec<&str> = whole.lines().collect();
    let refused = |lines: &[&str], expected: &str| {
        let text = lines.join("\n") + "\n";
        fs::write(&path, &text).unwrap();
        let error = Study::open(&path, "s", StudyDirection::Minimize).unwrap_err();
        assert!(matches!(error, TuneError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("damaged.jsonl, line 3: "), "{error}");
        assert!(error.to_string().contains(expected), "{error} (not {expected})");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "a damaged file is left alone");
    };
    let good = lines[2].to_owned();
    let half = &good[..good.len() / 2];
    for (damage, expected) in [
        ("", "not valid JSON (EOF while parsing a value)"),
        (half, "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "\"worker_id\" is missing"),
        ("{\"worker_id\":\"w\"}", "\"op_code\" is missing"),
        ("{\"op_code\":\"4\",\"worker_id\":\"w\"}", "\"op_code\" is not a whole number"),
        ("{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":-1}", "\"study_id\" is not a whole number of 0 or more"),
        ("{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"state\":9}", "\"state\" is not a trial state"),
        ("{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"params\":{\"a\":1}}", "\"a\" has no distribution"),
        ("{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"datetime_start\":\"x\"}", "is not a time"),
        (
            "{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"value\":1,\"values\":[1]}",
            "expected \"value\" or \"values\", found both",
        ),
        ("{\"op_code\":6,\"worker_id\":\"w\",\"trial_id\":0,\"state\":1}", "\"datetime_complete\" is missing"),
        (
            "{\"op_code\":7,\"worker_id\":\"w\",\"trial_id\":0,\"step\":1,\"intermediate_value\":\"1\"}",
            "is not a number",
        ),
        (
            "{\"op_code\":8,\"worker_id\":\"w\",\"trial_id\":0,\"user_attr\":{}}",
            "\"user_attr\" is not an object with one member",
        ),
        ("{\"op_code\":0,\"worker_id\":\"w\",\"study_name\":\"x\",\"directions\":[3]}", "has an unknown direction"),
    ] {
        lines[2] = damage;
        refused(&lines, expected);
    }
    // What follows an unfinished line must itself be an operation.
    let two = format!("{half}{{\"op_code\":5}}");
    lines[2] = &two;
    refused(&lines, "\"worker_id\" is missing");
}

#[test]
fn unknown_operations_are_skipped() {
    let folder = folder();
    let path = folder.path().join("later.jsonl");
    let later = "{\"op_code\":10,\"worker_id\":\"w\",\"trial_ids\":[0]}\n{\"op_code\":99,\"worker_id\":\"w\"}\n";
    fs::write(&path, journal(folder.path()) + later).unwrap();
    let mut study = open(&path);
    assert_eq!(study.trials().len(), 2);
    assert_eq!(run(&mut study, 0.75), 2);
}

#[test]
fn contradictory_lines_are_ignored() {
    let folder = folder();
    let path = folder.path().join("contradictions.jsonl");
    let whole = journal(folder.path());
    let before = trials(folder.path(), whole.as_bytes()).unwrap();
    let time = "\"2026-11-23T12:00:00.000001+00:00\"";
    for line in [
        // The study exists, with a direction.
        "{\"op_code\":0,\"worker_id\":\"w\",\"study_name\":\"s\",\"directions\":[2]}".to_owned(),
        // Neither these studies nor these trials do.
        format!("{{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":7,\"datetime_start\":{time}}}"),
        "{\"op_code\":1,\"worker_id\":\"w\",\"study_id\":7}".to_owned(),
        "{\"op_code\":7,\"worker_id\":\"w\",\"trial_id\":7,\"step\":0,\"intermediate_value\":0}".to_owned(),
        // The trial is finished.
        "{\"op_code\":7,\"worker_id\":\"w\",\"trial_id\":0,\"step\":0,\"intermediate_value\":0}".to_owned(),
        format!(
            "{{\"op_code\":6,\"worker_id\":\"w\",\"trial_id\":0,\"state\":0,\"values\":null,\"datetime_start\":{time}}}"
        ),
        "{\"op_code\":9,\"worker_id\":\"w\",\"trial_id\":0,\"system_attr\":{\"a\":0}}".to_owned(),
    ] {
        fs::write(&path, format!("{whole}{line}\n")).unwrap();
        let study = open(&path);
        assert_eq!(format!("{:?}", study.trials()), before, "{line}");
        assert_eq!(study.direction(), StudyDirection::Minimize);
    }
}

#[test]
fn a_running_trial_is_not_claimed_again_and_takes_only_fitting_parameters() {
    let folder = folder();
    let path = folder.path().join("running.jsonl");
    let mut study = open(&path);
    study.start_trial(0, params(0.5), BTreeMap::new(), Duplicates::Refuse).unwrap();
    let before = study.trials().to_vec();
    let time = "\"2026-11-23T12:00:00.000001+00:00\"";
    let other = Distribution::Int { low: 0, high: 1, log: false, step: 1 }.to_json().replace('"', "\\\"");
    let lines = format!(
        "{{\"op_code\":6,\"worker_id\":\"w\",\"trial_id\":0,\"state\":0,\"values\":null,\"datetime_start\":{time}}}\n\
         {{\"op_code\":5,\"worker_id\":\"w\",\"trial_id\":0,\"param_name\":\"rate\",\"param_value_internal\":1.0,\
         \"distribution\":\"{other}\"}}\n"
    );
    fs::write(&path, fs::read_to_string(&path).unwrap() + &lines).unwrap();
    study.sync().unwrap();
    assert_eq!(study.trials(), before);
    study.finish(0, TrialOutcome::Pruned).unwrap();
    assert_eq!(study.trials()[0].value, None);
}

#[test]
fn a_file_that_is_not_the_one_that_was_read_is_noticed() {
    let folder = folder();
    let path = folder.path().join("study.jsonl");
    let whole = journal(folder.path());
    let longer = whole.replace("worker_id\":\"verdict", "worker_id\":\"somebody");
    for other in [String::new(), whole[..whole.len() - 5].to_owned(), longer] {
        fs::write(&path, &whole).unwrap();
        let mut study = open(&path);
        fs::write(&path, &other).unwrap();
        assert!(matches!(study.sync(), Err(TuneError::Replaced { .. })));
        assert!(matches!(study.report(0, 0, 0.0), Err(TuneError::Replaced { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    fs::write(&path, &whole).unwrap();
    let mut study = open(&path);
    fs::remove_file(&path).unwrap();
    assert!(matches!(study.sync(), Err(TuneError::Disk(DiskError { action: "read", .. }))));
    assert!(study.report(0, 0, 0.0).is_err() && !path.exists());
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return test_support::skipped("this system has no /dev/full");
    }
    let mut file = super::file::JournalFile::new(full);
    assert!(matches!(file.append(&["{}".to_owned()]), Err(TuneError::Disk(DiskError { action: "append to", .. }))));
}

/// A trial that Optuna would write with all its fields.
#[test]
fn every_field_of_a_created_trial_is_read() {
    let folder = folder();
    let path = folder.path().join("fields.jsonl");
    let distribution = "{\\\"name\\\": \\\"IntDistribution\\\", \\\"attributes\\\": {\\\"log\\\": false, \
                        \\\"step\\\": 1, \\\"low\\\": 1, \\\"high\\\": 4}}";
    let text = format!(
        "{{\"op_code\":0,\"worker_id\":\"w\",\"study_name\":\"s\",\"directions\":[1]}}\n\
         {{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"datetime_start\":\"2026-11-23T12:00:00.000001+00:00\",\
         \"state\":1,\"value\":-Infinity,\"values\":null,\"datetime_complete\":\"2026-11-23T12:00:01.000001+00:00\",\
         \"distributions\":{{\"n\":\"{distribution}\"}},\"params\":{{\"n\":3.0}},\"user_attrs\":{{\"u\":[NaN]}},\
         \"system_attrs\":{{\"s\":{{\"t\":null}}}},\"intermediate_values\":{{\"0\":1,\"10\":Infinity}}}}\n"
    );
    fs::write(&path, text).unwrap();
    let study = open(&path);
    let Trial { number, state, value, intermediate, user_attrs, system_attrs, .. } = &study.trials()[0];
    assert_eq!((*number, state.to_string(), *value), (0, "COMPLETE".to_owned(), Some(f64::NEG_INFINITY)));
    assert_eq!(intermediate, &BTreeMap::from([(0, 1.0), (10, f64::INFINITY)]));
    assert_eq!((&user_attrs["u"], &system_attrs["s"]), (&serde_json::json!(["NaN"]), &serde_json::json!({"t": null})));
    assert_eq!(study.trials()[0].param("n"), Some(ParamValue::Int(3)));
    assert_eq!(study.trials()[0].duration(), Some(1.0));
    assert_eq!(study.best().unwrap().number, 0);
}

#[test]
fn the_name_of_a_journal_that_another_process_created_is_synced_too() {
    // That process may have been killed before it synced the name itself.
    let folder = folder();
    let path = folder.path().join("study.jsonl");
    let calls = || disk::faults::count(|| super::file::JournalFile::create(&path).unwrap()).len();
    assert_eq!([calls(), calls()], [1, 1]);
}

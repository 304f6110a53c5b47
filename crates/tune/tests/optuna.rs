//! Compatibility with Optuna: each program reads and continues the journals of the other.
//!
//! Optuna is Python, so it is looked for in the virtual environment that `VERDICT_PEERS` names, in `target/peers/venv` and
//! in `target/venv`. Where it isn't there one is made at `target/optuna-venv`, if pip reaches an index; otherwise these
//! tests say so and end. The script is `optuna_peer.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use test_support::skipped;
use tune::{
    Distribution, Duplicates, Param, ParamValue, StartOutcome, Study, StudyDirection, Trial, TrialOutcome, TrialState,
};

/// The version that is installed where there is none.
const OPTUNA: &str = "optuna==5.0.0";

fn has_optuna(python: &Path) -> bool {
    Command::new(python).args(["-c", "import optuna"]).output().is_ok_and(|output| output.status.success())
}

/// The last line of what a command said when it failed.
fn failure(command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
            Some(said.iter().rev().find_map(|said| said.lines().last()).unwrap_or("nothing was said").to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}

/// A Python that has Optuna, or why there is none.
fn python() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        let python = |folder: PathBuf| folder.join("bin/python");
        if let Some(folder) = std::env::var_os("VERDICT_PEERS") {
            let python = python(folder.into());
            assert!(
                has_optuna(&python),
                "VERDICT_PEERS names no virtual environment with Optuna: {}",
                python.display()
            );
            return Ok(python);
        }
        let own = target.join("optuna-venv");
        let places = [target.join("peers/venv"), target.join("venv"), own.clone()].map(python);
        if let Some(python) = places.into_iter().find(|python| has_optuna(python)) {
            return Ok(python);
        }
        let base = std::env::var_os("VERDICT_PYTHON").unwrap_or_else(|| "python3".into());
        if let Some(reason) = failure(Command::new(base).args(["-m", "venv"]).arg(&own)) {
            return Err(format!("no virtual environment could be made for Optuna: {reason}"));
        }
        let mut pip = Command::new(python(own.clone()));
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20", OPTUNA]);
        match failure(&mut pip) {
            None => Ok(python(own)),
            Some(reason) => Err(format!("pip could not install {OPTUNA}: {reason}")),
        }
    };
    FOUND.get_or_init(find).clone()
}

/// Optuna, with a journal in a folder of its own.
struct Peer {
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Peer {
    fn new() -> Option<Self> {
        match python() {
            Ok(python) => Some(Self { python, folder: tempfile::tempdir().unwrap() }),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("study.jsonl")
    }

    fn open(&self) -> Study {
        Study::open(&self.path(), "s", StudyDirection::Minimize).unwrap()
    }

    fn command(&self, command: &str, rest: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/optuna_peer.py");
        let mut python = Command::new(&self.python);
        python.arg(script).arg(command).arg(self.path()).arg("s").args(rest);
        python
    }

    fn ask(&self, command: &str) -> Vec<u8> {
        let output = self.command(command, &[]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs a command that prints the study, and holds what it prints against what is read here.
    fn agree(&self, command: &str) -> Study {
        let theirs: Value = serde_json::from_slice(&self.ask(command)).unwrap();
        let ours = Study::load(&self.path(), "s").unwrap();
        assert_same(&ours, &theirs);
        ours
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_str().map(|word| word.parse().unwrap())
}

fn assert_number(ours: Option<f64>, theirs: &Value, what: &str) {
    let theirs = number(theirs);
    let same = ours.map(f64::to_bits) == theirs.map(f64::to_bits);
    let neither = ours.zip(theirs).is_some_and(|(a, b)| a.is_nan() && b.is_nan());
    assert!(same || neither, "{what}: {ours:?} here, {theirs:?} there");
}

/// A value with Python's name of its type.
fn assert_value(ours: &ParamValue, theirs: &Value, what: &str) {
    let (kind, word) = (theirs[0].as_str().unwrap(), theirs[1].as_str().unwrap());
    let same = match ours {
        ParamValue::Null => kind == "NoneType",
        ParamValue::Bool(truth) => kind == "bool" && word == if *truth { "True" } else { "False" },
        ParamValue::Int(number) => kind == "int" && word == number.to_string(),
        ParamValue::Float(number) => kind == "float" && word.parse() == Ok(*number),
        ParamValue::Str(text) => kind == "str" && word == text,
    };
    assert!(same, "{what}: {ours:?} here, {theirs} there");
}

fn assert_same(study: &Study, theirs: &Value) {
    assert_eq!(study.direction().to_string().to_uppercase(), theirs["direction"]);
    assert_eq!(json!(study.user_attrs()), theirs["user_attrs"]);
    assert_eq!(json!(study.best().map(|trial| trial.number)), theirs["best"]);
    let trials = theirs["trials"].as_array().unwrap();
    assert_eq!(study.trials().len(), trials.len());
    for (trial, theirs) in study.trials().iter().zip(trials) {
        let what = |field: &str| format!("{field} of trial {}", trial.number);
        assert_eq!(json!(trial.number), theirs["number"]);
        assert_eq!(trial.state.to_string(), theirs["state"], "{}", what("state"));
        assert_number(trial.value, &theirs["value"], &what("value"));
        assert_eq!(json!(trial.started), theirs["started"], "{}", what("begin"));
        assert_eq!(json!(trial.completed), theirs["completed"], "{}", what("end"));
        assert_eq!(attrs(&trial.user_attrs), attrs_of(theirs, "user_attrs"), "{}", what("user attributes"));
        assert_eq!(attrs(&trial.system_attrs), attrs_of(theirs, "system_attrs"), "{}", what("system attributes"));
        let steps = theirs["intermediate"].as_object().unwrap();
        assert_eq!(trial.intermediate.len(), steps.len());
        for (step, value) in &trial.intermediate {
            assert_number(Some(*value), &steps[&step.to_string()], &what("intermediate value"));
        }
        assert_params(trial, theirs);
    }
}

/// Attributes as text, numbers of more than 64 bits as floats on both sides.
fn attrs(attrs: &BTreeMap<String, Value>) -> String {
    serde_json::to_string(attrs).unwrap()
}

fn attrs_of(theirs: &Value, key: &str) -> String {
    attrs(&serde_json::from_value(theirs[key].clone()).unwrap())
}

fn assert_params(trial: &Trial, theirs: &Value) {
    let params = theirs["params"].as_object().unwrap();
    assert_eq!(trial.params.len(), params.len(), "parameters of trial {}", trial.number);
    for (name, param) in &trial.params {
        let what = format!("{name} of trial {}", trial.number);
        assert_value(&param.value(), &params[name], &what);
        // Infinity as a choice is not JSON; everything else is.
        let text = theirs["distributions"][name].as_str().unwrap().replace("Infinity", "\"inf\"");
        let fields: Value = serde_json::from_str(&text).unwrap();
        let attributes = &fields["attributes"];
        let (kind, same) = match &param.distribution {
            Distribution::Float { low, high, log, step } => {
                let same = *attributes == json!({"low": low, "high": high, "log": log, "step": step});
                ("FloatDistribution", same)
            }
            Distribution::Int { low, high, log, step } => {
                ("IntDistribution", *attributes == json!({"low": low, "high": high, "log": log, "step": step}))
            }
            Distribution::Categorical { choices } => {
                let choices: Vec<Value> = choices.iter().map(choice).collect();
                ("CategoricalDistribution", *attributes == json!({"choices": choices}))
            }
        };
        assert!(same && fields["name"] == kind, "{what}: {:?} here, {text} there", param.distribution);
    }
}

fn choice(value: &ParamValue) -> Value {
    match value {
        ParamValue::Null => Value::Null,
        ParamValue::Bool(truth) => json!(truth),
        ParamValue::Int(number) => json!(number),
        ParamValue::Float(number) if number.is_infinite() => json!("inf"),
        ParamValue::Float(number) => json!(number),
        ParamValue::Str(text) => json!(text),
    }
}

fn kinds() -> Distribution {
    let word = |text: &str| ParamValue::Str(text.to_owned());
    let (none, truth) = (ParamValue::Null, ParamValue::Bool(true));
    let numbers = [ParamValue::Int(2), ParamValue::Float(0.5), ParamValue::Float(f64::INFINITY)];
    Distribution::Categorical {
        choices: [word("a"), word("ü \" \\"), none, truth].into_iter().chain(numbers).collect(),
    }
}

fn rate() -> Distribution {
    Distribution::Float { low: 1e-6, high: 1e-2, log: true, step: None }
}

fn param(name: &str, distribution: Distribution, internal: f64) -> (String, Param) {
    (name.to_owned(), Param { distribution, internal })
}

/// A configuration with every kind of parameter.
fn params(rate_value: f64, kind: f64) -> BTreeMap<String, Param> {
    BTreeMap::from([
        param("rate", rate(), rate_value),
        param("dropout", Distribution::Float { low: 0.0, high: 0.5, log: false, step: Some(0.1) }, 0.3),
        param("decay", Distribution::Float { low: -1.0, high: 1.0, log: false, step: None }, -1.0 / 3.0),
        param("layers", Distribution::Int { low: 1, high: 11, log: false, step: 2 }, 3.0),
        param("batch", Distribution::Int { low: 1, high: 64, log: true, step: 1 }, 48.0),
        param("kind", kinds(), kind),
    ])
}

fn begin(study: &mut Study, params: BTreeMap<String, Param>) -> u64 {
    study.sync().unwrap();
    let number = study.trials().len() as u64;
    let attrs = BTreeMap::from([("run".to_owned(), json!(format!("runs/{number} ß\n\u{2028}")))]);
    assert_eq!(study.start_trial(number, params, attrs, Duplicates::Refuse).unwrap(), StartOutcome::Started(number));
    number
}

/// Trials of every kind and state.
fn work(study: &mut Study) {
    for (index, value) in [0.25, 1e-300, f64::INFINITY].into_iter().enumerate() {
        let number = begin(study, params(1e-5 * (study.trials().len() + 1) as f64, (2 * index) as f64));
        study.report(number, 1, 0.1 + 0.2).unwrap();
        study.report(number, 20, f64::NAN).unwrap();
        study.report(number, 3, f64::NEG_INFINITY).unwrap();
        study.set_trial_system_attr(number, "note", &json!({"a": [null, 0.1, "x"]})).unwrap();
        study.finish(number, TrialOutcome::Complete(value)).unwrap();
    }
    let number = begin(study, params(2e-5 * (study.trials().len() + 1) as f64, 1.0));
    study.report(number, 5, 0.75).unwrap();
    study.finish(number, TrialOutcome::Pruned).unwrap();
    let number = begin(study, BTreeMap::from([param("rate", rate(), 1e-3 / (study.trials().len() + 1) as f64)]));
    study.finish(number, TrialOutcome::Failed).unwrap();
    let number = study.trials().len() as u64;
    let done = params(3e-5 * (number + 1) as f64, 6.0);
    study.add_trial(number, done, BTreeMap::new(), TrialOutcome::Complete(7.0), Duplicates::Refuse).unwrap();
    let number = begin(study, params(4e-5 * (study.trials().len() + 1) as f64, 4.0));
    study.heartbeat().unwrap();
    study.report(number, 0, 1.0).unwrap();
    study.set_user_attr("data", &json!({"name": "sst5"})).unwrap();
}

#[test]
fn optuna_continues_our_study() {
    let Some(peer) = Peer::new() else { return };
    let mut study = peer.open();
    work(&mut study);
    let fixed = [("rate", ParamValue::Float(0.0078125)), ("kind", ParamValue::Null)];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value)).into();
    let queued = study.enqueue_trial(&fixed, BTreeMap::new()).unwrap();
    let before = peer.agree("read").trials().to_vec();
    assert_eq!(before[queued as usize].state, TrialState::Waiting);

    let after = peer.agree("go-on");
    assert_eq!(after.trials().len(), before.len() + 3);
    let taken = after.trial(queued).unwrap();
    assert_eq!((taken.state, taken.value), (TrialState::Complete, Some(0.5078125)));
    assert_eq!(taken.param("kind"), Some(ParamValue::Null));

    // The worker that was there all the time sees theirs, and goes on beside them.
    work(&mut study);
    assert_eq!(peer.agree("read").trials().len(), after.trials().len() + 7);
}

#[test]
fn our_program_continues_a_study_of_optuna() {
    let Some(peer) = Peer::new() else { return };
    let theirs = peer.agree("write").trials().to_vec();
    let states = |state| theirs.iter().filter(|trial| trial.state == state).count();
    assert_eq!((states(TrialState::Running), states(TrialState::Waiting), states(TrialState::Complete)), (1, 1, 5));
    let mut study = peer.open();
    // Their running trial stays theirs: nobody can tell whether they live.
    assert_eq!(study.take_over().unwrap(), None);
    let queued = study.claim().unwrap().unwrap();
    let trial = study.trial(queued).unwrap();
    let fixed = trial.fixed_params();
    assert_eq!(fixed["kind"], ParamValue::Str("a".to_owned()));
    let internal = rate().to_internal(&fixed["rate"]).unwrap();
    study.set_params(queued, &BTreeMap::from([param("rate", rate(), internal), param("kind", kinds(), 0.0)])).unwrap();
    study.report(queued, 1, 0.5).unwrap();
    study.finish(queued, TrialOutcome::Complete(-2.0)).unwrap();
    work(&mut study);
    let ours = peer.agree("read");
    assert_eq!(ours.trials().len(), theirs.len() + 7);
    let again = peer.agree("go-on");
    assert_eq!(again.trials().len(), ours.trials().len() + 3);
    work(&mut study);
    peer.agree("read");
}

#[test]
fn both_append_at_once_and_nothing_is_lost() {
    const EACH: usize = 40;
    let Some(peer) = Peer::new() else { return };
    let mut study = peer.open();
    let both: Vec<_> = ["link", "file"]
        .map(|lock| peer.command("many", &[lock, &EACH.to_string()]).stderr(Stdio::piped()).spawn().unwrap())
        .into();
    let unit = Distribution::Float { low: 0.0, high: 1.0, log: false, step: None };
    let mut begun = 0;
    while begun < EACH {
        study.sync().unwrap();
        let (number, params) = (study.trials().len() as u64, BTreeMap::from([param("rate", unit.clone(), 0.5)]));
        let attrs = BTreeMap::from([("ours".to_owned(), json!(begun))]);
        if let StartOutcome::Started(number) = study.start_trial(number, params, attrs, Duplicates::Allow).unwrap() {
            study.finish(number, TrialOutcome::Complete(begun as f64)).unwrap();
            begun += 1;
        }
    }
    for process in both {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let all = peer.agree("read");
    assert_eq!(all.trials().len(), 3 * EACH);
    assert!(all.trials().iter().all(|trial| trial.state == TrialState::Complete));
    for (key, times) in [("ours", 1), ("theirs", 2)] {
        let mut seen: Vec<_> = all.trials().iter().filter_map(|trial| trial.user_attrs.get(key)?.as_u64()).collect();
        seen.sort_unstable();
        let expected: Vec<u64> = (0..EACH as u64).flat_map(|index| std::iter::repeat_n(index, times)).collect();
        assert_eq!(seen, expected, "{key}");
    }
    assert_eq!(fs::read_dir(peer.folder.path()).unwrap().count(), 1, "a lock was left behind");
}

#[test]
fn an_unfinished_line_is_skipped_by_optuna_and_repaired_here() {
    let Some(peer) = Peer::new() else { return };
    let mut study = peer.open();
    work(&mut study);
    let append = |text: &str| fs::write(peer.path(), fs::read_to_string(peer.path()).unwrap() + text).unwrap();
    append("{\"op_code\":4,\"worker_id\":\"verdict-1\",\"stu");
    let before = peer.agree("read").trials().len();
    // Optuna appends to it, as any of its operations would, and then can't read its own journal any more once there is
    // another line.
    let line = "{\"op_code\":4,\"worker_id\":\"x-1\",\"study_id\":0,\"datetime_start\":\"2026-11-23T12:00:00.000001+00:00\"}\n";
    append(line);
    append("{\"op_code\":7,\"worker_id\":\"x-1\",\"trial_id\":");
    append(&line.replace("12:00", "13:00"));
    assert!(!peer.command("read", &[]).output().unwrap().status.success());
    assert_eq!(Study::load(&peer.path(), "s").unwrap().trials().len(), before + 2);
    // One line of ours, and it can.
    study.set_user_attr("mended", &json!(true)).unwrap();
    assert_eq!(peer.agree("read").trials().len(), before + 2);
    peer.agree("go-on");
}

#[test]
fn the_table_has_optunas_columns() {
    let Some(peer) = Peer::new() else { return };
    let study = peer.agree("write");
    let columns = String::from_utf8(peer.ask("columns")).unwrap();
    if columns.trim() == "no pandas" {
        return skipped("trials_dataframe needs pandas, which isn't beside Optuna");
    }
    let mut table = Vec::new();
    tune::export::csv(study.trials(), &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    assert_eq!(table.lines().next(), Some(columns.trim()));
}

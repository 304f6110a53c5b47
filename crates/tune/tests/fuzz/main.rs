//! Fuzz tests of journals and search spaces. `test_support::fuzz` says what must hold.

use std::collections::BTreeMap;
use std::path::Path;

use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};
use tune::sampler::SamplerKind;
use tune::space::{Space, SpaceFields};
use tune::{Distribution, Duplicates, Param, ParamValue, StartOutcome, Study, StudyDirection, TrialOutcome, TuneError};

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 256, fixed: 4 << 20 };

fn params(rate: f64, kind: f64) -> BTreeMap<String, Param> {
    let choices =
        vec![ParamValue::Null, ParamValue::Str("ö".to_owned()), ParamValue::Bool(true), ParamValue::Float(0.5)];
    let distributions = [
        ("rate", Distribution::Float { low: 1e-6, high: 1.0, log: true, step: None }, rate),
        ("layers", Distribution::Int { low: 1, high: 12, log: false, step: 1 }, 3.0),
        ("kind", Distribution::Categorical { choices }, kind),
    ];
    distributions.map(|(name, distribution, internal)| (name.to_owned(), Param { distribution, internal })).into()
}

/// A journal of ours with every operation that we write, the same every time.
fn ours(path: &Path) -> Result<Vec<u8>, TuneError> {
    let mut study = Study::open(path, "s", StudyDirection::Maximize)?;
    study.set_user_attr("note", &"x".into())?;
    for (number, value) in [(0, 0.5), (1, 0.25)] {
        study.start_trial(number, params(0.1 * value, number as f64), BTreeMap::new(), Duplicates::Refuse)?;
        study.report(number, 1, value)?;
        study.finish(number, TrialOutcome::Complete(value))?;
    }
    let number =
        study.enqueue_trial(&BTreeMap::from([("rate".to_owned(), ParamValue::Float(0.5))]), BTreeMap::new())?;
    study.claim()?;
    study.set_params(number, &params(0.5, 3.0))?;
    study.report(number, 1, f64::NAN)?;
    study.set_trial_user_attrs(number, &BTreeMap::from([("a".to_owned(), vec![1, 2].into())]))?;
    study.heartbeat()?;
    study.release(number)?;
    let mut other = Study::open(path, "s", StudyDirection::Maximize)?;
    other.take_over()?;
    let text = std::fs::read_to_string(path).expect("the journal is there");
    let mut text = text.replace(&study.worker().id, "verdict-1").replace(&other.worker().id, "verdict-2");
    let (time, word) = ("\"2026-11-23T12:00:00.000001+00:00\"", "\"x\"");
    let keys = [("datetime_start", time), ("datetime_complete", time), ("verdict:heartbeat", time)];
    for (key, value) in keys.into_iter().chain([("host", word), ("place", word), ("pid", "1"), ("start", "1")]) {
        let key = format!("\"{key}\":");
        let parts = text.split(&key).enumerate().map(|(index, part)| {
            let end = if index == 0 || part.starts_with("null") { None } else { part.find([',', '}']) };
            end.map_or_else(|| part.to_owned(), |end| format!("{value}{}", &part[end..]))
        });
        text = parts.collect::<Vec<_>>().join(&key);
    }
    Ok(text.into_bytes())
}

/// Reads a journal; one that is read must be of one piece, and go on.
fn read(path: &Path, bytes: &[u8]) -> Result<(), TuneError> {
    std::fs::write(path, bytes).expect("the mutant is written");
    let names = Study::names(path)?;
    let mut studies = names.iter().filter_map(|name| Study::load(path, name).ok());
    for study in &mut studies {
        for (index, trial) in study.trials().iter().enumerate() {
            assert_eq!(trial.number, index as u64);
            trial.params.values().for_each(|param| drop(param.value().to_string()));
            study.owner(trial.number).expect("the trial is there");
        }
        tune::export::csv(study.trials(), std::io::sink()).expect("a sink takes everything");
        tune::export::json(&study, std::io::sink()).expect("a sink takes everything");
    }
    let direction = Study::load(path, "s").map_or(StudyDirection::Maximize, |study| study.direction());
    let mut study = Study::open(path, "s", direction)?;
    let before = format!("{:?}", study.trials());
    let number = study.trials().len() as u64;
    let begun = study.start_trial(number, BTreeMap::new(), BTreeMap::new(), Duplicates::Allow).expect("it goes on");
    assert_eq!(begun, StartOutcome::Started(number));
    study.finish(number, TrialOutcome::Complete(0.5)).expect("it goes on");
    let again = Study::load(path, "s").expect("what was written is read");
    assert_eq!(again.trials().len() as u64, number + 1);
    assert_eq!(format!("{:?}", &again.trials()[..number as usize]), before, "earlier trials changed");
    Ok(())
}

#[test]
fn journals() {
    let folder = temporary_folder();
    let ours = ours(&folder.path().join("ours.jsonl")).expect("a journal of ours");
    // Made by `optuna_peer.py write tests/optuna.jsonl s`, with Optuna 5.0.0.
    let optunas = include_bytes!("../optuna.jsonl");
    let seeds = [&ours[..], optunas];
    let seeds = seeds
        .iter()
        .flat_map(|bytes| [SeedFormat::Json, SeedFormat::Lines].map(|form| SeedFile::new(form, *bytes)))
        .collect();
    let path = folder.path().join("mutant.jsonl");
    check(&FuzzTarget { package: "tune", name: "journals", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        read(&path, bytes).map_err(|error| error.to_string())
    });
}

/// Reads a space; one that is read can be sampled, and what comes of it lies within.
fn search(text: &str) -> Result<(), String> {
    let names = ["learning_rate", "batch_size", "epochs", "warmup_ratio", "optimizer", "momentum", "seed"];
    let check = |name: &str, value: &toml::Value| match (name, value) {
        ("batch_size" | "epochs" | "seed", toml::Value::Integer(_)) => Ok(()),
        ("optimizer", toml::Value::String(_)) => Ok(()),
        ("learning_rate" | "warmup_ratio" | "momentum", toml::Value::Float(_) | toml::Value::Integer(_)) => Ok(()),
        _ => Err("another kind is needed".to_owned()),
    };
    let fields = SpaceFields { names: &names, check: &check };
    let space = Space::parse(Path::new("space.toml"), text, &fields).map_err(|error| error.to_string())?;
    for kind in [SamplerKind::Random, SamplerKind::Sobol, SamplerKind::Tpe] {
        let sampled =
            kind.sampler(1).sample(&space, &[], 0, StudyDirection::Minimize).map_err(|error| error.to_string())?;
        let params = sampled.expect("an empty study leaves something to try");
        assert!(space.contains(&params), "{kind}: {params:?}");
        toml::to_string(&space.settings(&params)).expect("a configuration can be written");
    }
    Ok(())
}

#[test]
fn spaces() {
    let own = "learning_rate = { low = 1e-5, high = 3e-4, log = true, points = 5 }\nbatch_size = [16, 32]\nseed = 7\n\
               epochs = { low = 2, high = 4 }\nwarmup_ratio = { low = 0.0, high = 0.2, step = 0.05 }\n\
               optimizer = [\"adamw\", \"sgd\"]\nmomentum = { low = 0.8, high = 0.99, when = { optimizer = \"sgd\" } }\n";
    let seeds = [SeedFormat::Toml, SeedFormat::Lines].map(|form| SeedFile::new(form, own)).into();
    check(&FuzzTarget { package: "tune", name: "spaces", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        search(std::str::from_utf8(bytes).map_err(|error| error.to_string())?)
    });
}

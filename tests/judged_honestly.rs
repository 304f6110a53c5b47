//! An evaluation says how sure its figures are, what they are better than, and where the model is weak: in the terminal, in the
//! JSON and as files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Sandbox, TRAIN};

/// A run that has learned something, and one that has learned little.
fn two_runs() -> Sandbox {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("{} --output good", TRAIN.replace("--epochs 3", "--epochs 12")));
    sandbox.succeeds(&format!("{TRAIN} --max-steps 1 --output poor"));
    sandbox
}

#[test]
fn every_headline_figure_has_an_interval_and_is_held_against_baselines() {
    let sandbox = two_runs();
    let shown = sandbox.succeeds("evaluate --run good");
    let result = sandbox.json("good/evaluation-test.json");
    let judgement = &result["judgement"];
    for (name, figure) in judgement["scores"].as_object().expect("scores by name") {
        let [value, low, high] = ["value", "low", "high"].map(|key| figure[key].as_f64().expect("a number"));
        assert!(low <= value && value <= high && low < high, "{name}: {figure}");
    }
    let accuracy = &judgement["scores"]["accuracy"];
    assert_eq!(accuracy["value"], result["accuracy"]);
    let number = |key: &str| accuracy[key].as_f64().expect("a number");
    let line = format!("accuracy   {:.4}  ({:.4} to {:.4})", number("value"), number("low"), number("high"));
    assert!(shown.contains(&line), "expected {line:?} in {shown}");
    let names: Vec<&Value> =
        judgement["baselines"]["results"].as_array().expect("baselines").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["majority", "tf-idf"]);
    assert!(judgement["comparison"].is_null(), "none was asked for");
}

#[test]
fn two_runs_are_compared_on_the_same_rows() {
    let sandbox = two_runs();
    let shown = sandbox.succeeds("evaluate --run good --against poor");
    let comparison = sandbox.json("good/evaluation-test.json")["judgement"]["comparison"].clone();
    assert_eq!(comparison["verdict"], "better");
    assert!(shown.contains("Better than poor by "), "{shown}");
    let changed = comparison["changed"].as_array().expect("rows").len() as u64;
    let [here, there] = [0, 1].map(|side| comparison["discordant"][side].as_u64().expect("a count"));
    assert!(here > there && changed >= here + there, "{comparison}");

    // With two labels, every row that only one has right is one that they label differently; the other run sees the mirror image.
    assert_eq!(changed, here + there);
    sandbox.succeeds("evaluate --run poor --against good");
    let mirrored = sandbox.json("poor/evaluation-test.json")["judgement"]["comparison"].clone();
    assert_eq!(mirrored["discordant"], serde_json::json!([there, here]));
    assert_eq!(mirrored["verdict"], "worse");

    let shown = sandbox.succeeds("evaluate --run good --against good");
    assert!(shown.contains("Not distinguishable from good"), "{shown}");

    let error = sandbox.fails("evaluate --run good --against nowhere");
    assert!(error.contains("--against") && error.contains("nowhere"), "{error}");
}

#[test]
fn scores_are_split_by_a_column_of_the_file() {
    let sandbox = two_runs();
    let mut file = String::from("text,label,shop\n");
    for row in 0..60 {
        let (word, label) = if row % 2 == 0 { ("superb", "positive") } else { ("boring", "negative") };
        // In one shop the labels are the wrong way round.
        let shop = if row % 3 == 0 { "north" } else { "south" };
        let label = if shop == "south" {
            label
        } else if label == "positive" {
            "negative"
        } else {
            "positive"
        };
        file += &format!("the film is {word} a the .,{label},{shop}\n");
    }
    sandbox.write("shops.csv", &file);
    let shown = sandbox.succeeds("evaluate --run good --file shops.csv --slice-column shop --wanted-accuracy 0.5");
    let judgement = sandbox.json("good/evaluation-shops.csv.json")["judgement"].clone();
    let weakest = judgement["slices"]["weakest"].as_u64().expect("a slice that is worse than the rest") as usize;
    let weakest = &judgement["slices"]["slices"][weakest];
    assert_eq!((&weakest["group"], &weakest["name"]), (&"shop".into(), &"north".into()), "{judgement}");
    assert!(shown.contains("north"), "{shown}");
    let wanted = judgement["selective"]["thresholds"].as_array().expect("thresholds");
    assert!(wanted.iter().any(|one| one["accuracy"] == 0.5), "{wanted:?}");

    // What is likely mislabeled is a file with texts and labels, to be corrected and fed back.
    let shown = sandbox.succeeds("evaluate --run good --file good/mistakes-shops.csv --output again");
    assert!(shown.contains("examples   20\n") && shown.contains("accuracy   0.0000"), "{shown}");
    let error = sandbox.fails("evaluate --run good --slice-column shop");
    assert!(error.contains("--slice-column") && error.contains("--file"), "{error}");
    let error = sandbox.fails("evaluate --run good --file shops.csv --slice-column town");
    assert!(error.contains("town") && error.contains("shop"), "{error}");
}

#[test]
fn json_on_the_standard_output_is_alone_there() {
    let sandbox = two_runs();
    let printed = sandbox.succeeds("evaluate --run good --json -");
    let printed: Value = serde_json::from_str(&printed).expect("JSON and nothing else");
    assert_eq!(printed, sandbox.json("good/evaluation-test.json"));
}

/// Every key of an evaluation's JSON, as `judgement.slices.slices[].accuracy.low`; keys of maps by name are `*`.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    const BY_NAME: [&str; 1] = ["judgement.scores"];
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let key = if BY_NAME.contains(&at) { "*" } else { key };
                let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{at}[]"), found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_json_is_documented() {
    let sandbox = two_runs();
    sandbox.succeeds("evaluate --run good --against poor");
    let mut found = BTreeSet::new();
    paths(&sandbox.json("good/evaluation-test.json"), "", &mut found);
    let page = include_str!("../docs/evaluation-json.md");
    // The members of an estimate are described once.
    let is_estimate = |path: &str| page.contains(&format!("| `{path}` | estimate |"));
    let of_estimate = |path: &str| path.rsplit_once('.').is_some_and(|(parent, _)| is_estimate(parent));
    let documented = |path: &String| page.contains(&format!("| `{path}` |")) || of_estimate(path);
    let missing: Vec<&String> = found.iter().filter(|path| !documented(path)).collect();
    assert!(missing.is_empty(), "docs/evaluation-json.md doesn't say what these are: {missing:#?}");
    let version = sandbox.json("good/evaluation-test.json")["judgement"]["schema_version"].clone();
    assert!(page.contains(&format!("schema version {version}")), "{version}");
}

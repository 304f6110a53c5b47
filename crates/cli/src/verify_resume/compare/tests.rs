use super::*;

/// Two runs with the same content: a model, a checkpoint of step 4, figures, a log and answers.
fn two_runs() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["one", "other"].map(|name| folder.path().join(name));
    for (run, seconds) in paths.iter().zip([1, 2]) {
        let checkpoint = run.join("checkpoints/step-00000004");
        fs::create_dir_all(&checkpoint).unwrap();
        for file in [run.join(MODEL), checkpoint.join(MODEL), checkpoint.join(OPTIMIZER)] {
            write_tensors(&file, &[1.0, 2.0, 3.0]);
        }
        let trainer = format!(
            r#"{{"step": 4, "best": {{"value": 0.5}}, "logs": {{"log.jsonl": {seconds}}}, "seconds": {seconds}}}"#
        );
        fs::write(checkpoint.join(TRAINER), trainer).unwrap();
        fs::write(checkpoint.join("SHA256SUMS"), "").unwrap();
        fs::write(run.join(METRICS), format!(r#"{{"steps": 4, "seconds": {seconds}, "loss": 0.5}}"#)).unwrap();
        fs::write(run.join(LOG), log(&["0.5", "0.25"], seconds)).unwrap();
        fs::write(predictions_of(run), "a\nb\n").unwrap();
    }
    let [one, other] = paths;
    (folder, one, other)
}

fn log(losses: &[&str], seconds: u64) -> String {
    let mut text = format!("{{\"event\":\"start\",\"seconds\":{seconds}}}\n");
    for (index, loss) in losses.iter().enumerate() {
        let step = index + 1;
        let common = format!("\"step\":{step},\"epoch\":0.5,\"loss\":{loss},\"seconds\":{seconds}");
        text += &format!(
            "{{\"event\":\"step\",{common},\"total_steps\":4,\"learning_rate\":1e-5,\"gradient_norm\":2.0,\
             \"examples\":8,\"tokens\":64,\"examples_per_second\":{seconds},\"tokens_per_second\":{seconds}}}\n"
        );
        text += &format!(
            "{{\"event\":\"evaluation\",{common},\"split\":\"validation\",\"f1\":{step},\"value\":{step},\"best\":true}}\n"
        );
    }
    text
}

fn write_tensors(path: &Path, numbers: &[f32]) {
    let tensor = Tensor::from_slice(numbers);
    Tensor::write_safetensors(&[("a.weight", &tensor), ("b.weight", &tensor.zeros_like())], path).unwrap();
}

/// The differences of the two runs, each with its part.
fn found(one: &Path, other: &Path) -> Vec<(&'static str, String)> {
    let named = format!("{}: ", other.display());
    let comparisons = compare(one, &[other.to_owned()]).unwrap().into_iter();
    comparisons
        .filter(|comparison| !comparison.identical)
        .map(|comparison| (comparison.part, comparison.differences[0].strip_prefix(&named).unwrap().to_owned()))
        .collect()
}

#[test]
fn timings_are_ignored() {
    let (_folder, one, other) = two_runs();
    assert_eq!(found(&one, &other), []);
}

#[test]
fn one_bit_of_a_weight_is_found_and_both_values_are_shown() {
    let (_folder, one, other) = two_runs();
    write_tensors(&other.join(MODEL), &[1.0, 2.000_000_2, 3.0]);
    assert_eq!(
        found(&one, &other),
        [(
            "best model",
            "model.safetensors: tensor a.weight: element 1 is 2e0 and 2.000000238418579e0; 1 of 3 differ".to_owned()
        )]
    );
    write_tensors(&other.join(MODEL), &[1.0, 2.0]);
    assert!(found(&one, &other)[0].1.contains("tensor a.weight: F32 [3] and F32 [2]"));
    fs::remove_file(other.join(MODEL)).unwrap();
    assert_eq!(found(&one, &other)[0].1, "model.safetensors: present and missing");
}

#[test]
fn minus_zero_is_not_zero() {
    let (_folder, one, other) = two_runs();
    write_tensors(&one.join(MODEL), &[0.0]);
    write_tensors(&other.join(MODEL), &[-0.0]);
    assert!(found(&one, &other)[0].1.contains("element 0 is 0e0 and -0e0"), "{:?}", found(&one, &other));
}

#[test]
fn a_checkpoint_of_another_step_differs_in_all_of_it() {
    let (_folder, one, other) = two_runs();
    fs::rename(other.join("checkpoints/step-00000004"), other.join("checkpoints/step-00000003")).unwrap();
    let found = found(&one, &other);
    assert_eq!(
        found.iter().map(|(part, _)| *part).collect::<Vec<_>>(),
        PARTS[1..4].iter().map(|(part, _)| *part).collect::<Vec<_>>()
    );
    assert_eq!(found[0].1, "newest checkpoint: step 4 and step 3");
}

#[test]
fn documents_name_the_key() {
    let (_folder, one, other) = two_runs();
    fs::write(other.join(METRICS), r#"{"steps": 4, "seconds": 9, "loss": 0.5000000000000001}"#).unwrap();
    fs::write(other.join("checkpoints/step-00000004/trainer.json"), r#"{"step": 4, "best": null}"#).unwrap();
    let differences = found(&one, &other);
    assert_eq!(differences[0].1, "checkpoint of step 4, trainer.json: best.value = 0.5 and best = null");
    assert_eq!(differences[1].1, "metrics.json: loss: 0.5 and 0.5000000000000001");
    fs::write(other.join(METRICS), "{\"steps\": 4").unwrap();
    assert!(compare(&one, &[other]).is_err(), "what is not JSON is an error");
}

#[test]
fn every_scalar_has_its_path_and_its_text() {
    let document =
        r#" {"a": 0.10000000000000001, "b": {"c": [1, {"d": null}, []], "e": "x\"},y"}, "f": {}, "g":true } "#;
    let expected = [
        ("a", "0.1"),
        ("b.c[0]", "1"),
        ("b.c[1].d", "null"),
        ("b.c[2]", "[]"),
        ("b.e", r#""x\"},y""#),
        ("f", "{}"),
        ("g", "true"),
    ];
    let mut scalars = Vec::new();
    flatten(String::new(), &serde_json::from_str(document).unwrap(), &mut scalars);
    assert_eq!(scalars, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
}

#[test]
fn numbers_are_compared_bit_by_bit() {
    let differ = |one: &str, other: &str| {
        let [one, other] = [one, other].map(|text| serde_json::from_str(text).unwrap());
        values(&one, &other)
    };
    assert_eq!(differ("[0.0]", "[-0.0]").unwrap(), "[0]: 0.0 and -0.0");
    assert_eq!(differ("5e-324", "1e-323").unwrap(), ": 5e-324 and 1e-323");
    assert!(differ("18446744073709551615", "18446744073709551614").is_some());
    assert!(differ("1", "1.0").is_some() && differ("0.3", "0.30000000000000004").is_some());
    assert_eq!(differ("[0.3, 1]", "[3e-1, 1]"), None);
}

#[test]
fn log_differences_name_step_and_value() {
    let (_folder, one, other) = two_runs();
    let differs = |text: &str| {
        fs::write(other.join(LOG), text).unwrap();
        found(&one, &other).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    assert_eq!(
        differs(&log(&["0.5", "0.26"], 1)),
        ["log.jsonl, step of step 2: loss: 0.25 and 0.26", "log.jsonl, evaluation of step 2: loss: 0.25 and 0.26"]
    );
    assert_eq!(
        differs(&log(&["0.5"], 1)),
        ["log.jsonl: 2 and 1 records of the kind step", "log.jsonl: 2 and 1 records of the kind evaluation"]
    );
    let twice = log(&["0.5"], 1) + &log(&["0.5", "0.25"], 1).replace("evaluation", "start");
    assert_eq!(differs(&twice)[0], "log.jsonl: expected step 2, found step 1");
}

#[test]
fn predictions_are_compared_byte_by_byte() {
    let (_folder, one, other) = two_runs();
    let differs = |text: &str| {
        fs::write(predictions_of(&other), text).unwrap();
        found(&one, &other)
    };
    assert_eq!(differs("a\nb\n"), []);
    assert_eq!(differs("a\nc\n"), [("predictions", "one.jsonl: line 2: b and c".to_owned())]);
    assert_eq!(differs("a\n"), [("predictions", "one.jsonl: line 2: b and ".to_owned())]);
}

//! `verdict report`: a run's report again from what is kept, several runs on one page, and the model card in the run's folder, which
//! the library of Hugging Face reads.

use std::process::Command;

use serde_json::{Value, json};
use test_support::python_with;

use crate::report_in_a_browser::judge;
use crate::support::Sandbox;

fn text(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.read(name)).expect("UTF-8")
}

/// Leaves of an evaluation what an older program kept: the scores alone.
fn forget_judgement(sandbox: &Sandbox, name: &str) {
    let mut kept = sandbox.json(name);
    for part in ["judgement", "environment"] {
        kept.as_object_mut().expect("an object").remove(part);
    }
    sandbox.write(name, &kept.to_string());
}

/// A run that was trained and scored, with an invented judgement of its scores.
fn judged() -> Sandbox {
    let sandbox = Sandbox::trained(1);
    sandbox.succeeds("evaluate --run run");
    judge(&sandbox, "run");
    sandbox
}

#[test]
fn the_report_of_a_run_is_written_again_from_what_is_kept() {
    let sandbox = judged();
    let printed = sandbox.succeeds("report run");
    assert_eq!(printed, "run/report-test.html\n");
    let page = text(&sandbox, "run/report-test.html");
    for heading in ["Verdict", "Slices", "Calibration", "Audit of the data", "Hashes", "To make it again"] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    let weights = disk::sha256_file(&sandbox.path("run/model.safetensors")).expect("weights");
    assert!(
        page.contains(&weights) && page.contains("verdict train --config run/run.toml --output run-again"),
        "{page}"
    );
    assert!(page.contains("<th scope=\"row\" dir=\"auto\">labeled positive</th>"), "the audit counts labels");
    for picture in
        ["reliability-test", "slices-test", "roc-test", "precision-recall-test", "risk-coverage-test", "baselines-test"]
    {
        assert!(sandbox.read(&format!("run/{picture}.png")).starts_with(b"\x89PNG"), "{picture}");
        assert!(sandbox.read(&format!("run/{picture}.svg")).starts_with(b"<svg "), "{picture}");
    }
    sandbox.succeeds("report run --split test");
    assert_eq!(text(&sandbox, "run/report-test.html"), page, "the same again");

    // An evaluation of an older program has only scores.
    forget_judgement(&sandbox, "run/evaluation-test.json");
    let output = sandbox.run("report run");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(
        output.err.contains("only the plain scores are kept")
            && output.err.contains("verdict evaluate --run run --split test")
    );
    assert!(!text(&sandbox, "run/report-test.html").contains("<h2>Verdict</h2>"));
}

#[test]
fn runs_are_compared_on_one_page() {
    let sandbox = judged();
    sandbox.succeeds("train --data data --learning-rate 0.001 --precision fp32 --threads 1 --epochs 2 --output other");
    sandbox.succeeds("evaluate --run other");
    let mut kept = sandbox.json("other/evaluation-test.json");
    kept["judgement"] = sandbox.json("run/evaluation-test.json")["judgement"].clone();
    kept["judgement"]["comparison"]["against"] = json!("run");
    sandbox.write("other/evaluation-test.json", &kept.to_string());
    assert_eq!(sandbox.succeeds("report run other"), "report.html\n");
    let page = text(&sandbox, "report.html");
    let row = |name: &str, cells: &str| format!("<tr><th scope=\"row\" dir=\"auto\">{name}</th>{cells}</tr>");
    assert!(page.contains(&row("learning_rate", "<td>0.003</td><td>0.001</td>")), "{page}");
    assert!(
        page.contains(&row("epochs", "<td>1</td><td>2</td>")) && !page.contains(">batch_size<"),
        "only what differs"
    );
    assert!(page.contains("<td>88.00 % (86.5 to 89.5)</td>"), "a score with its interval");
    assert!(page.contains("other: Not distinguishable from run (-1.2 to 2.0 points)."));
    assert!(page.contains("verdict evaluate --run other --split test --against run"));
    assert!(!page.contains("class=\"note\""), "the rows are the same");
    for picture in ["runs-accuracy", "runs-training", "runs-reliability", "runs-risk-coverage"] {
        assert!(sandbox.read(&format!("{picture}.png")).starts_with(b"\x89PNG"), "{picture}");
    }

    // The same file prepared with another seed of the splits: other rows.
    sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32 --seed 9 --output data-9");
    sandbox.succeeds("train --data data-9 --precision fp32 --threads 1 --max-steps 2 --output elsewhere");
    sandbox.succeeds("evaluate --run elsewhere");
    forget_judgement(&sandbox, "elsewhere/evaluation-test.json");
    sandbox.write("pages/.keep", "");
    sandbox.succeeds("report run elsewhere --split test --output pages/compared.html");
    let page = text(&sandbox, "pages/compared.html");
    let notes: Vec<&str> = page.split("role=\"note\">").skip(1).filter_map(|rest| rest.split("</p>").next()).collect();
    assert!(notes.iter().any(|note| note.contains("were not scored on the same rows")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("Of elsewhere only plain scores are kept")), "{notes:?}");
    assert!(sandbox.path("pages/runs-accuracy.svg").is_file());
}

#[test]
fn what_can_not_be_reported_is_refused_with_a_hint_that_works() {
    let sandbox = Sandbox::trained(1);
    let error = sandbox.fails("report run");
    assert_eq!(error, "error: run has no evaluation-*.json (hint: verdict evaluate --run run)");
    sandbox.succeeds("evaluate --run run");
    let error = sandbox.fails("report run --split validation");
    let hint = "verdict evaluate --run run --split validation";
    assert_eq!(error, format!("error: run was not scored on \"validation\", only on test (hint: {hint})"));
    sandbox.succeeds(hint.trim_start_matches("verdict "));
    assert_eq!(sandbox.succeeds("report run --split validation"), "run/report-validation.html\n");
    assert!(sandbox.fails("report nowhere").starts_with("error: there is no folder nowhere"));
    assert!(sandbox.fails("report run ./run").contains("is named twice"));
    assert!(sandbox.fails("report run --output a.html").contains("hint: name two runs or more, or leave --output out"));
    sandbox.succeeds("train --data data --precision fp32 --threads 1 --max-steps 2 --output other");
    assert!(sandbox.fails("report run other").contains("other has no evaluation-*.json"));
    std::fs::remove_file(sandbox.path("run/evaluation-validation.json")).expect("removed");
    sandbox.succeeds("evaluate --run other --split validation");
    let error = sandbox.fails("report run other");
    assert!(error.contains("scored on nothing in common: run on test; other on validation"), "{error}");
    assert!(sandbox.fails("report run other --output no/a.html").contains("--output: the folder no does not exist"));
}

#[test]
fn a_card_that_somebody_changed_is_kept() {
    let sandbox = judged();
    sandbox.succeeds("report run");
    let card = text(&sandbox, "run/README.md");
    for part in [
        "library_name: transformers",
        "pipeline_tag: text-classification",
        "name: \"Accuracy (95 % interval 0.8651 to 0.8949)\"",
        "| Accuracy | 88.00 % | 86.5 to 89.5 |",
        "- Weakest on negation: with a negation: 79.00 %",
        "- The model is too sure of itself",
        "- It reads at most 32 tokens",
        "pipeline(\"text-classification\", model=\"run\")",
        "verdict predict --run run \"Write a text here.\"",
    ] {
        assert!(card.contains(part), "{part} in {card}");
    }
    assert!(!card.contains("runs/another"), "a run of this machine");
    let folder = sandbox.path(".").display().to_string();
    assert!(!card.contains(folder.trim_end_matches("/.")), "a card is for others: no path of this machine");
    // What the card shows can be typed.
    sandbox.succeeds("predict --run run lovely");

    // Ours is replaced by a newer one.
    sandbox.succeeds("evaluate --run run --split validation");
    sandbox.succeeds("report run");
    let newer = text(&sandbox, "run/README.md");
    assert!(newer.contains("On `validation`") && newer.contains("On `test`") && !card.contains("On `validation`"));
    // One that a person changed isn't.
    sandbox.write("run/README.md", &newer.replace("# run", "# My model"));
    let output = sandbox.run("report run");
    assert_eq!(output.code, 0);
    assert!(
        output.err.contains("run/README.md was not written by this program, or was changed since"),
        "{}",
        output.err
    );
    assert!(text(&sandbox, "run/README.md").contains("# My model"));
    std::fs::remove_file(sandbox.path("run/README.md")).expect("removed");
    sandbox.succeeds("report run");
    assert_eq!(text(&sandbox, "run/README.md"), newer);
}

#[test]
fn the_library_of_hugging_face_reads_the_card() {
    let Some(python) = python_with("huggingface_hub", "huggingface_hub", "client-venv") else { return };
    let sandbox = judged();
    sandbox.succeeds("evaluate --run run --split validation");
    forget_judgement(&sandbox, "run/evaluation-validation.json");
    sandbox.succeeds("report run");
    let script = "import json, sys\n\
        from huggingface_hub import ModelCard, metadata_load\n\
        from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results\n\
        metadata = metadata_load(sys.argv[1])\n\
        card = ModelCard.load(sys.argv[1], ignore_metadata_errors=False)\n\
        name, results = model_index_to_eval_results(metadata['model-index'])\n\
        for result in results:\n    \
            assert result.unique_identifier and result.task_type == 'text-classification', result\n\
        assert eval_results_to_model_index(name, results), 'and back'\n\
        assert len(card.data.eval_results) == len(results)\n\
        print(json.dumps({'metadata': {key: value for key, value in metadata.items() if key != 'model-index'}, 'name': name,\n    \
            'results': [[r.dataset_split, r.metric_type, r.metric_value, r.metric_name, r.metric_args] for r in results]}))\n";
    let output =
        Command::new(python).args(["-c", script]).arg(sandbox.path("run/README.md")).output().expect("Python starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let seen: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(seen["name"], "run");
    assert_eq!(seen["metadata"]["metrics"], json!(["accuracy", "f1", "precision", "recall", "matthews_correlation"]));
    assert_eq!(seen["metadata"].get("base_model"), None, "a local folder is no model of the Hub");
    let results = seen["results"].as_array().expect("results");
    assert_eq!(results.len(), 12, "six of each split");
    let kept = sandbox.json("run/evaluation-test.json");
    assert_eq!((&results[0][0], &results[0][1]), (&json!("test"), &json!("accuracy")));
    let accuracy = &kept["judgement"]["scores"]["accuracy"];
    assert_eq!(results[0][2], accuracy["value"]);
    assert_eq!(results[0][4]["confidence_interval"], json!([accuracy["low"], accuracy["high"]]));
    assert_eq!(results[6][0], "validation");
    assert_eq!(results[7][4], json!({"average": "weighted"}), "of validation no interval is kept");
}

#[test]
fn scores_of_weights_that_have_changed_since_are_called_that() {
    let sandbox = judged();
    let digest = disk::sha256_file(&sandbox.path("run/model.safetensors")).expect("weights");
    let mut kept = sandbox.json("run/evaluation-test.json");
    kept["environment"] = json!({
        "version": "0.1.0", "libtorch": null, "system": "linux", "processor": null, "gpu": null, "threads": 1,
        "instruction_set": null, "command": ["verdict", "evaluate", "--run", "run"], "weights_sha256": digest
    });
    sandbox.write("run/evaluation-test.json", &kept.to_string());
    let same = sandbox.run("report run");
    assert!(same.code == 0 && !same.err.contains("have changed"), "{}", same.err);
    std::fs::remove_file(sandbox.path("run/README.md")).expect("a card");
    sandbox.write("run/model.safetensors", "other weights");
    let other = sandbox.run("report run");
    assert!(other.err.contains("the weights of run have changed since test was scored"), "{}", other.err);
    let page = text(&sandbox, "run/report-test.html");
    assert!(
        page.contains("the weights of run have changed since") && page.contains(&digest),
        "the digest of what was scored"
    );
    assert!(!sandbox.path("run/README.md").exists(), "there is nothing to say of the present weights");
}

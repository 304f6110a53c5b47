//! Prepare, train, evaluate and predict, on data that a tiny model can learn.

use crate::support::Sandbox;

const QUICK: &str = "--data data --learning-rate 0.003 --precision fp32 --threads 1";

#[test]
fn prepare_train_and_predict_work_together() {
    let sandbox = Sandbox::prepared();
    let run = sandbox.succeeds(&format!("train {QUICK} --epochs 12 --output run --tensorboard --warmup-ratio 0.1"));
    assert_eq!(run, "run\n", "stdout carries the run's folder and nothing else");
    let metrics = sandbox.json("run/metrics.json");
    let rows = sandbox.json("data/manifest.json")["splits"]["train"]["rows"].as_u64().expect("a count");
    let steps = 12 * rows.div_ceil(16);
    assert_eq!(metrics["steps"], steps);
    assert_eq!(metrics["reason"], "finished");

    let shown = sandbox.succeeds("evaluate --run run --json figures.json");
    let figures = sandbox.json("figures.json");
    let accuracy = figures["accuracy"].as_f64().expect("a number");
    assert!(accuracy >= 0.9, "a model that learns tells these apart: {accuracy}\n{shown}");
    assert_eq!(figures["split"], "test");
    assert_eq!(figures["label_names"], serde_json::json!(["negative", "positive"]));
    // The confusion matrix, the accuracy and the number of rows agree.
    let matrix: Vec<Vec<u64>> = serde_json::from_value(figures["confusion_matrix"].clone()).expect("a matrix");
    let total: u64 = matrix.iter().flatten().sum();
    assert_eq!(Some(total), figures["examples"].as_u64());
    assert!((accuracy - (matrix[0][0] + matrix[1][1]) as f64 / total as f64).abs() < 1e-12);
    assert!(shown.contains("rows: true class, columns: predicted class"), "{shown}");
    assert_eq!(sandbox.read("run/evaluation-test.json"), sandbox.read("figures.json"));
    assert!(sandbox.read("run/confusion-test.png").starts_with(b"\x89PNG"));
    let page = String::from_utf8(sandbox.read("run/report-test.html")).expect("UTF-8");
    assert!(page.contains("<svg") && page.contains(&format!("{:.2} %", 100.0 * accuracy)), "{page}");

    let lines = std::fs::read_to_string(sandbox.path("run/log.jsonl")).expect("a log");
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |event: &str| events.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("step") as u64, count("evaluation")), (steps, 12));

    sandbox.write("texts.txt", "the film is superb, a the .\nthe film is boring, a the .\n");
    let answers = sandbox.succeeds("predict --run run --json --file texts.txt");
    let label = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["label"].clone();
    let labels: Vec<serde_json::Value> = answers.lines().map(label).collect();
    assert_eq!(labels, ["positive", "negative"], "{answers}");
}

/// What happens to the head of the model that a training begins with is said in one line, whatever it is.
#[test]
fn a_training_says_what_becomes_of_the_models_own_head() {
    let sandbox = Sandbox::prepared();
    let line_about_the_head = |model: &str, output: &str| {
        let line = format!("train --data data --model {model} --max-steps 1 --threads 1 --output {output}");
        let output = sandbox.run(&line);
        assert_eq!(output.code, 0, "{}", output.err);
        let lines: Vec<&str> =
            output.err.lines().filter(|line| line.contains("head") || line.contains("new, ")).collect();
        assert_eq!(lines.len(), 1, "{}", output.err);
        lines[0].to_owned()
    };
    let new = "new, to be learned from your data: classifier.bias, classifier.weight";
    // The tiny model's classifier has no label names.
    assert!(line_about_the_head("tiny", "run").contains(&format!("{new} (the model's own head has no label names, ")));
    assert!(
        line_about_the_head("run", "kept").ends_with("the model's own head is kept: it has the labels of your data")
    );
    let config = String::from_utf8(sandbox.read("run/config.json")).expect("UTF-8");
    let edits = [
        ("negative", "toxic", format!("{new} (the model's own head is for other labels: toxic, positive)")),
        (
            "single_label_classification",
            "multi_label_classification",
            format!("{new} (the model's own head was trained for multi_label_classification)"),
        ),
    ];
    for (at, (from, to, expected)) in edits.into_iter().enumerate() {
        sandbox.write("run/config.json", &config.replace(from, to));
        let line = line_about_the_head("run", &format!("edited-{at}"));
        assert!(line.ends_with(&expected), "{line}");
    }
    // Labels in another order, with the rows in the same order: what was negative counts as positive.
    let swapped = config.replace("negative", "x").replace("positive", "negative").replace("\"x\"", "\"positive\"");
    sandbox.write("run/config.json", &swapped);
    assert!(line_about_the_head("run", "swapped").ends_with("your data, and its rows are put in their order"));
}

#[test]
fn the_newest_data_and_run_are_the_default() {
    let sandbox = Sandbox::new();
    sandbox.write_reviews("reviews.csv", 60);
    sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32");
    let run = sandbox.succeeds("train --max-steps 2 --threads 1");
    assert!(run.starts_with("runs/") && run.trim_end().ends_with("-tiny"), "{run}");
    assert!(sandbox.succeeds("evaluate --split validation").contains("accuracy"));
    assert_eq!(sandbox.succeeds("predict lovely awful").lines().count(), 2);
    // Preparing the same data again writes nothing, and training still uses it.
    assert!(
        sandbox.succeeds("prepare --dataset reviews.csv --model tiny --max-length 32").contains("already prepared")
    );
}

#[test]
fn a_run_keeps_case_as_its_data_does() {
    let sandbox = Sandbox::new();
    sandbox.write_model("cased", &["Lovely", "Awful", "Great", "Dull"]);
    std::fs::remove_file(sandbox.path("cased/tokenizer_config.json")).expect("removes");
    sandbox.write_reviews("reviews.csv", 60);
    let prepare = "prepare --dataset reviews.csv --model cased --max-length 32";
    let lowered = sandbox.run(&format!("{prepare} --output lowered"));
    let note = "the vocabulary has capital letters, but texts are lower-cased";
    assert!(lowered.code == 0 && lowered.err.contains(note) && lowered.err.contains("--keep-case"), "{}", lowered.err);
    let kept = sandbox.run(&format!("{prepare} --output kept --keep-case"));
    assert!(kept.code == 0 && !kept.err.contains(note), "{}", kept.err);
    assert_eq!(sandbox.json("kept/manifest.json")["lower_case"], false);

    sandbox.succeeds("train --data kept --max-steps 2 --threads 1 --output run");
    assert_eq!(sandbox.json("run/tokenizer_config.json")["do_lower_case"], false);
    let answers = |data: &str| {
        let answers = sandbox.succeeds(&format!("predict --run {data} --json Lovely lovely"));
        let [first, second] = answers.lines().collect::<Vec<_>>()[..] else { panic!("{answers}") };
        let probabilities =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["probabilities"].clone();
        (probabilities(first), probabilities(second))
    };
    let (capital, small) = answers("run");
    assert!(!capital.is_null() && capital != small, "two words for this run: {capital} {small}");
    sandbox.succeeds("train --data lowered --max-steps 2 --threads 1 --output other");
    let (capital, small) = answers("other");
    assert_eq!(capital, small, "one word for this run");
    let error = sandbox.fails("train --data kept --model tiny --max-steps 2 --output none");
    assert!(error.contains("--model tiny --max-length 32 --keep-case)"), "{error}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let sandbox = Sandbox::prepared();
    for (run, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        sandbox.succeeds(&format!("train {QUICK} --epochs 1 --seed {seed} --output {run}"));
    }
    assert_eq!(sandbox.read("a/model.safetensors"), sandbox.read("b/model.safetensors"));
    assert_ne!(sandbox.read("a/model.safetensors"), sandbox.read("c/model.safetensors"));
}

#[test]
fn a_saved_configuration_trains_the_same_model_and_flags_win_over_it() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("train {QUICK} --epochs 1 --label-smoothing 0.1 --class-weights balanced --output a"));
    sandbox.succeeds("train --config a/run.toml --output b");
    assert_eq!(sandbox.read("a/model.safetensors"), sandbox.read("b/model.safetensors"));
    sandbox.succeeds("train --config a/run.toml --label-smoothing 0 --output c");
    assert_ne!(sandbox.read("a/model.safetensors"), sandbox.read("c/model.safetensors"));
}

#[test]
fn a_run_finds_its_data_from_another_directory_and_after_a_move() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("train {QUICK} --epochs 1 --save-every 2 --save-total 2 --output runs/a"));
    let score = sandbox.json("runs/a/metrics.json");
    let in_folder = |folder: &std::path::Path, line: &str| {
        let output = sandbox.command(line).current_dir(folder).output().expect("the program starts");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let elsewhere = tempfile::tempdir().expect("a folder");
    let run = sandbox.path("runs/a").display().to_string();
    in_folder(elsewhere.path(), &format!("evaluate --run {run} --split validation"));
    in_folder(elsewhere.path(), &format!("train --resume {run}"));
    assert_eq!(sandbox.json("runs/a/metrics.json")["best"], score["best"]);

    let moved = elsewhere.path().join("project");
    std::fs::create_dir(&moved).expect("a folder");
    for name in ["runs", "data", "tiny"] {
        std::fs::rename(sandbox.path(name), moved.join(name)).expect("moved");
    }
    in_folder(elsewhere.path(), "evaluate --run project/runs/a --split validation");
    in_folder(&moved, "train --resume runs/a --model tiny");
}

#[test]
fn accumulated_gradients_equal_those_of_the_larger_batch() {
    let sandbox = Sandbox::prepared();
    let common = format!("{QUICK} --epochs 1 --hidden-dropout 0 --attention-dropout 0 --classifier-dropout 0");
    sandbox.succeeds(&format!("train {common} --batch-size 32 --output whole"));
    sandbox.succeeds(&format!("train {common} --batch-size 8 --gradient-accumulation-steps 4 --output parts"));
    let losses = |run: &str| -> Vec<f64> {
        let log = std::fs::read_to_string(sandbox.path(&format!("{run}/log.jsonl"))).expect("a log");
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        lines.filter(|line| line["event"] == "step").filter_map(|line| line["loss"].as_f64()).collect()
    };
    let (whole, parts) = (losses("whole"), losses("parts"));
    assert!(whole.len() >= 5);
    assert_eq!(whole.len(), parts.len());
    for (step, (a, b)) in whole.iter().zip(&parts).enumerate() {
        assert!((a - b).abs() < 1e-4, "step {step}: {a} and {b}");
    }
}

#[test]
fn every_optimizer_schedule_and_precision_trains() {
    let sandbox = Sandbox::prepared();
    let quick = "--data data --max-steps 6 --threads 1";
    for (index, flags) in [
        "--optimizer adamw --schedule linear --warmup-steps 2 --precision bf16",
        "--optimizer adam --schedule cosine --precision fp32",
        "--optimizer sgd --momentum 0.8 --schedule constant --learning-rate 0.01",
        "--optimizer adafactor --schedule inverse-sqrt --warmup-ratio 0.5",
        "--optimizer lion --schedule polynomial --polynomial-power 2",
        "--layer-decay 0.8 --freeze-embeddings --freeze-layers 1 --group-by-length",
        "--reinit-layers 1 --max-grad-norm 0 --best-metric macro-f1 --eval-steps 2 --early-stopping-patience 1",
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.succeeds(&format!("train {quick} {flags} --output run-{index}"));
        let loss = sandbox.json(&format!("run-{index}/metrics.json"))["validation"]["loss"].as_f64().expect("a loss");
        assert!(loss.is_finite(), "{flags}: {loss}");
    }
    // Frozen parameters are unchanged; all others have changed.
    let tensors = |path: &str| {
        let list = tch::Tensor::read_safetensors(sandbox.path(path).join("model.safetensors")).expect("reads");
        list.into_iter().collect::<std::collections::HashMap<_, _>>()
    };
    let (before, after) = (tensors("tiny"), tensors("run-5"));
    for (name, tensor) in &after {
        let frozen = name.starts_with("bert.embeddings.") || name.starts_with("bert.encoder.layer.0.");
        if !name.starts_with("classifier.") && !name.ends_with("key.bias") {
            assert_eq!(tensor.equal(&before[name]), frozen, "{name}");
        }
    }
}

#[test]
fn texts_come_from_files_pipes_and_splits_too() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("train {QUICK} --max-steps 5 --output run"));
    sandbox.write("texts.txt", "the film is lovely\n\nthe plot is awful\n");
    assert_eq!(sandbox.succeeds("predict --run run --file texts.txt").lines().count(), 3, "a line for a line");
    let split = sandbox.succeeds("predict --run run --split test --json");
    let rows = sandbox.json("data/manifest.json")["splits"]["test"]["rows"].as_u64().expect("a count");
    assert_eq!(split.lines().count() as u64, rows);
}

#[test]
fn a_run_can_be_moved() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds(&format!("train {QUICK} --max-steps 5 --output run"));
    let before = sandbox.succeeds("predict --run run --json lovely");
    std::fs::rename(sandbox.path("run"), sandbox.path("elsewhere")).expect("moves");
    assert_eq!(sandbox.succeeds("predict --run elsewhere --json lovely"), before);
    assert!(sandbox.succeeds("evaluate --run elsewhere").contains("accuracy"));
}

#[test]
fn the_program_allocates_with_mimalloc() {
    let output = Sandbox::new().run_with(&[("MIMALLOC_VERBOSE", "1")], "doctor");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("mimalloc: process init"), "{}", output.err);
}

/// Nobody has to take int8's accuracy on trust: it is measured where the run is first used so, and said each time.
#[test]
fn a_run_in_int8_is_held_against_fp32_once() {
    let sandbox = Sandbox::trained(12);
    // Also where all other tests run without the kernels.
    let with_kernels = |line: &str| sandbox.run_with(&[("VERDICT_KERNELS", "on")], line);
    let comparing = "comparing int8 with fp32 on the validation split";
    let result = "rows the label of fp32";
    let first = with_kernels("predict --run run --precision int8 --json superb");
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.err.contains(comparing) && first.err.contains(result), "{}", first.err);
    let kept = sandbox.json("run/int8.json");
    let rows = sandbox.json("data/manifest.json")["splits"]["validation"]["rows"].clone();
    assert_eq!((&kept["split"], &kept["rows"]), (&"validation".into(), &rows));

    // What was kept is what the evaluation of that split finds in each format.
    for precision in ["int8", "fp32"] {
        let line = format!("evaluate --run run --split validation --precision {precision} --json {precision}.json");
        let output = with_kernels(&line);
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(!output.err.contains(comparing), "{}", output.err);
        assert_eq!((output.out + &output.err).contains(result), precision == "int8");
        let found = sandbox.json(&format!("{precision}.json"));
        assert_eq!(found["precision"], precision);
        assert_eq!(found["accuracy"], kept[format!("accuracy_{precision}")]);
    }
    let probability = |json: &str| {
        let answer: serde_json::Value = serde_json::from_str(json).expect("JSON");
        answer["probabilities"]["positive"].as_f64().expect("a number")
    };
    let fp32 = with_kernels("predict --run run --precision fp32 --json superb").out;
    let difference = (probability(&first.out) - probability(&fp32)).abs();
    assert!(difference > 0.0 && difference < 0.05, "{} {fp32}", first.out);

    // A model of other making has no validation split, which is said and no failure.
    for name in ["run.toml", "data.json", "int8.json"] {
        std::fs::remove_file(sandbox.path("run").join(name)).expect("removed");
    }
    let foreign = with_kernels("predict --run run --precision int8 superb");
    assert_eq!(foreign.code, 0, "{}", foreign.err);
    assert!(foreign.err.contains("int8 was not compared with fp32, because"), "{}", foreign.err);
    assert!(!sandbox.path("run/int8.json").exists());

    let refused = sandbox.run_with(&[("VERDICT_KERNELS", "off")], "predict --run run --precision int8 superb");
    assert!(refused.code != 0 && refused.err.contains("int8 is computed by the CPU kernels only"), "{}", refused.err);
}

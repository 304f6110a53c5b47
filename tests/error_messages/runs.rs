//! Run folders that `evaluate` and `predict` are pointed at, and what can be asked of them.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn bad_run_folders_are_refused_in_these_words() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds("train --data data --max-steps 1 --threads 1 --output run");
    sandbox.write("unlabelled.csv", "text\nthe film is lovely\n");
    sandbox.succeeds(
        "prepare --dataset reviews.csv --test-file unlabelled.csv --model tiny --max-length 32 --output open",
    );
    sandbox.write("others.csv", "text,label\n\"the film\",good\n\"a plot\",bad\n\"an actor\",good\n");
    sandbox.succeeds(
        "prepare --dataset others.csv --validation-file others.csv --test-file others.csv --allow-leakage --model tiny \
         --max-length 32 --output others",
    );
    sandbox.write("latin.txt", "fine\n");
    sandbox.write("third.csv", "text,label\nfine,neutral\n");
    sandbox.write("empty/.keep", "");
    let mut all = MessageGroup::new("runs", "Run folders, for evaluate and predict", sandbox);
    let (evaluate, predict) = ("evaluate --run run", "predict --run run lovely");

    all.fails("no such run", "evaluate --run nowhere");
    all.fails("no such run, to predict", "predict --run nowhere lovely");
    all.fails("no runs at all", "evaluate");
    all.fails("no runs at all, to predict", "predict lovely");
    all.fails("an empty folder", "evaluate --run empty");
    all.fails("a model folder", "evaluate --run tiny");
    all.fails("a model folder, to predict", "predict --run tiny lovely");
    all.fails("a prepared folder, to predict", "predict --run data lovely");
    for (name, file, edit) in [
        ("no model", "run/model.safetensors", Edit::Gone),
        ("no run.toml", "run/run.toml", Edit::Gone),
        ("a run.toml that isn't TOML", "run/run.toml", Edit::Is(b"data: data\n")),
        ("a run.toml with another key", "run/run.toml", Edit::Is(b"data = \"data\"\ncolour = \"red\"\n")),
        ("a run.toml without its data", "run/run.toml", Edit::Is(b"epochs = 3\n")),
        ("a run.toml with data that is gone", "run/run.toml", Edit::Is(b"data = \"gone\"\n")),
        ("a run.toml with other data", "run/run.toml", Edit::Is(b"data = \"others\"\n")),
        ("no data.json", "run/data.json", Edit::Gone),
        ("a data.json that is cut off", "run/data.json", Edit::Cut(50)),
        ("a data.json of another program", "run/data.json", Edit::Swap("\"format\": 2", "\"format\": 99")),
        ("a data.json without a field", "run/data.json", Edit::Swap("\"dataset\"", "\"data_set\"")),
        ("other label names in data.json", "run/data.json", Edit::Swap("\"positive\"", "\"pleasant\"")),
        ("data that was prepared anew", "run/data.json", Edit::Swap("\"fingerprint\": \"", "\"fingerprint\": \"0")),
        ("no config.json", "run/config.json", Edit::Gone),
        ("no vocab.txt", "run/vocab.txt", Edit::Gone),
        ("weights that are cut off", "run/model.safetensors", Edit::Cut(5000)),
        ("other label names in config.json", "run/config.json", Edit::Swap("\"positive\"", "\"pleasant\"")),
        (
            "label names in another order",
            "run/config.json",
            Edit::Swap(
                "\"0\": \"negative\",\n    \"1\": \"positive\"",
                "\"0\": \"positive\",\n    \"1\": \"negative\"",
            ),
        ),
    ] {
        all.with(name, file, edit, evaluate);
    }
    for (name, file, edit) in [
        ("no label names, to predict", "run/config.json", Edit::Swap("\"id2label\"", "\"names\"")),
        (
            "a gap in the label names, to predict",
            "run/config.json",
            Edit::Swap("\"1\": \"positive\"", "\"2\": \"positive\""),
        ),
        (
            "a third label name, to predict",
            "run/config.json",
            Edit::Swap("\"1\": \"positive\"", "\"1\": \"positive\", \"2\": \"neutral\""),
        ),
        (
            "a word for a label's number, to predict",
            "run/config.json",
            Edit::Swap("\"1\": \"positive\"", "\"one\": \"positive\""),
        ),
        ("no config.json, to predict", "run/config.json", Edit::Gone),
        ("no vocab.txt, to predict", "run/vocab.txt", Edit::Gone),
        (
            "no classifier, to predict",
            "run/model.safetensors",
            Edit::Is(&std::fs::read(all.sandbox().path("tiny/model.safetensors")).expect("reads")[..1000]),
        ),
        (
            "a length of 1 in data.json, to predict",
            "run/data.json",
            Edit::Swap("\"max_length\": 32", "\"max_length\": 1"),
        ),
        ("a broken data.json, to predict", "run/data.json", Edit::Cut(50)),
    ] {
        all.with(name, file, edit, predict);
    }
    for (name, line) in [
        ("a split that doesn't exist", "evaluate --run run --split dev"),
        ("a split without labels", "evaluate --run run --data open --split test"),
        ("data with other labels", "evaluate --run run --data others"),
        ("data that isn't there", "evaluate --run run --data nowhere"),
        ("an empty batch", "evaluate --run run --batch-size 0"),
        ("a JSON file in a folder that isn't there", "evaluate --run run --json no/figures.json"),
        ("no text", "predict --run run"),
        ("a text file that isn't there", "predict --run run --file no.txt"),
        ("a folder as a text file", "predict --run run --file data"),
        ("texts and a file", "predict --run run --file latin.txt lovely"),
        ("a split and a file", "predict --run run --file latin.txt --split test"),
        ("the name of a file as a text", "predict --run run lovely reviews.csv"),
        ("how a file is read, without one", "predict --run run lovely --separator ;"),
        ("no such column in a file", "predict --run run --file reviews.csv --text-column body"),
        ("an output that is the input", "predict --run run --file reviews.csv --output reviews.csv"),
        ("an output of no known format", "predict --run run --file reviews.csv --output out.xlsx"),
        ("JSON and an output", "predict --run run --file reviews.csv --output out.csv --json"),
        ("the standard input and a file", "predict --run run --file - --file reviews.csv"),
        ("data without a split", "predict --run run --data data lovely"),
        ("a split that doesn't exist, to predict", "predict --run run --split dev"),
        ("a precision that doesn't exist", "predict --run run --precision int8 lovely"),
        ("a labeled file without a label column", "evaluate --run run --file latin.txt"),
        ("a label that the model doesn't know", "evaluate --run run --file third.csv"),
        ("a map to a label that the model doesn't have", "evaluate --run run --file third.csv --label-map a=neutral"),
        ("how a file is scored, without one", "evaluate --run run --label-map a=positive"),
        ("a model folder without splits, on a file that isn't there", "evaluate --run run --file no.csv"),
        ("training into a finished run", "train --data data --output run"),
    ] {
        all.fails(name, line);
    }
    all.with("a text file in Latin-1", "latin.txt", Edit::Is(b"caf\xE9\n"), "predict --run run --file latin.txt");
    all.finish();
}

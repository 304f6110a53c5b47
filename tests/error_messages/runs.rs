//! Invalid run folders and flags of `evaluate` and `predict`.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn bad_run_folders_are_refused_in_these_words() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds("train --data data --max-steps 1 --threads 1 --output run");
    sandbox.write("unlabeled.csv", "text\nthe film is lovely\n");
    sandbox
        .succeeds("prepare --dataset reviews.csv --test-file unlabeled.csv --model tiny --max-length 32 --output open");
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

    all.fails("a missing run", "evaluate --run nowhere");
    all.fails("predict: a missing run", "predict --run nowhere lovely");
    all.fails("no --run and no runs", "evaluate");
    all.fails("predict: no --run and no runs", "predict lovely");
    all.fails("an empty folder", "evaluate --run empty");
    all.fails("a model folder", "evaluate --run tiny");
    all.fails("predict: a model folder", "predict --run tiny lovely");
    all.fails("predict: a folder of prepared data", "predict --run data lovely");
    for (name, file, edit) in [
        ("no model", "run/model.safetensors", Edit::Delete),
        ("no run.toml", "run/run.toml", Edit::Delete),
        ("a run.toml that isn't TOML", "run/run.toml", Edit::Content(b"data: data\n")),
        ("a run.toml with an unknown key", "run/run.toml", Edit::Content(b"data = \"data\"\ncolour = \"red\"\n")),
        ("a run.toml without its data", "run/run.toml", Edit::Content(b"epochs = 3\n")),
        ("a run.toml whose data no longer exists", "run/run.toml", Edit::Content(b"data = \"gone\"\n")),
        ("a run.toml with different data", "run/run.toml", Edit::Content(b"data = \"others\"\n")),
        ("no data.json", "run/data.json", Edit::Delete),
        ("a truncated data.json", "run/data.json", Edit::Truncate(50)),
        ("a data.json of an unknown format version", "run/data.json", Edit::Replace("\"format\": 2", "\"format\": 99")),
        ("a data.json without a field", "run/data.json", Edit::Replace("\"dataset\"", "\"data_set\"")),
        ("different label names in data.json", "run/data.json", Edit::Replace("\"positive\"", "\"pleasant\"")),
        (
            "data that was prepared again after training",
            "run/data.json",
            Edit::Replace("\"fingerprint\": \"", "\"fingerprint\": \"0"),
        ),
        ("no config.json", "run/config.json", Edit::Delete),
        ("no vocab.txt", "run/vocab.txt", Edit::Delete),
        ("truncated weights", "run/model.safetensors", Edit::Truncate(5000)),
        ("different label names in config.json", "run/config.json", Edit::Replace("\"positive\"", "\"pleasant\"")),
        (
            "label names in another order",
            "run/config.json",
            Edit::Replace(
                "\"0\": \"negative\",\n    \"1\": \"positive\"",
                "\"0\": \"positive\",\n    \"1\": \"negative\"",
            ),
        ),
    ] {
        all.fails_with(name, file, edit, evaluate);
    }
    for (name, file, edit) in [
        ("predict: no label names", "run/config.json", Edit::Replace("\"id2label\"", "\"names\"")),
        (
            "predict: a gap in the label names",
            "run/config.json",
            Edit::Replace("\"1\": \"positive\"", "\"2\": \"positive\""),
        ),
        (
            "predict: a third label name",
            "run/config.json",
            Edit::Replace("\"1\": \"positive\"", "\"1\": \"positive\", \"2\": \"neutral\""),
        ),
        (
            "predict: a label number that is a word",
            "run/config.json",
            Edit::Replace("\"1\": \"positive\"", "\"one\": \"positive\""),
        ),
        ("predict: no config.json", "run/config.json", Edit::Delete),
        ("predict: no vocab.txt", "run/vocab.txt", Edit::Delete),
        (
            "predict: no classifier",
            "run/model.safetensors",
            Edit::Content(&std::fs::read(all.sandbox().path("tiny/model.safetensors")).expect("reads")[..1000]),
        ),
        (
            "predict: a max_length of 1 in data.json",
            "run/data.json",
            Edit::Replace("\"max_length\": 32", "\"max_length\": 1"),
        ),
        ("predict: a truncated data.json", "run/data.json", Edit::Truncate(50)),
    ] {
        all.fails_with(name, file, edit, predict);
    }
    for (name, line) in [
        ("an unknown split", "evaluate --run run --split dev"),
        ("a split without labels", "evaluate --run run --data open --split test"),
        ("data with different labels", "evaluate --run run --data others"),
        ("a data folder that does not exist", "evaluate --run run --data nowhere"),
        ("a batch size of 0", "evaluate --run run --batch-size 0"),
        ("--json in a folder that does not exist", "evaluate --run run --json no/figures.json"),
        ("no text, file or split", "predict --run run"),
        ("a text file that does not exist", "predict --run run --file no.txt"),
        ("a folder as a text file", "predict --run run --file data"),
        ("both texts and --file", "predict --run run --file latin.txt lovely"),
        ("both --split and --file", "predict --run run --file latin.txt --split test"),
        ("--data without --split", "predict --run run --data data lovely"),
        ("predict: an unknown split", "predict --run run --split dev"),
        ("an unknown precision", "predict --run run --precision int4 lovely"),
        ("training with the folder of a finished run as output", "train --data data --output run"),
        ("a text that is the name of a file", "predict --run run lovely reviews.csv"),
        ("--separator without --file", "predict --run run lovely --separator ;"),
        ("an unknown text column", "predict --run run --file reviews.csv --text-column body"),
        ("--output that is the input", "predict --run run --file reviews.csv --output reviews.csv"),
        ("--output of an unknown format", "predict --run run --file reviews.csv --output out.xlsx"),
        ("both --json and --output", "predict --run run --file reviews.csv --output out.csv --json"),
        ("both the standard input and a file", "predict --run run --file - --file reviews.csv"),
        ("a labeled file without a label column", "evaluate --run run --file latin.txt"),
        ("a label that the model doesn't know", "evaluate --run run --file third.csv"),
        ("--label-map to an unknown label", "evaluate --run run --file third.csv --label-map a=neutral"),
        ("--label-map without --file", "evaluate --run run --label-map a=positive"),
        ("evaluate: a file that does not exist", "evaluate --run run --file no.csv"),
    ] {
        all.fails(name, line);
    }
    all.fails_with(
        "a text file in Latin-1",
        "latin.txt",
        Edit::Content(b"caf\xE9\n"),
        "predict --run run --file latin.txt",
    );
    all.finish();
}

//! `--config` files.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn bad_config_files_are_refused_in_these_words() {
    let mut all = MessageGroup::new("config_file", "Files of --config", Sandbox::prepared());
    let line = "train --data data --config a.toml";
    for (name, text) in [
        ("a misspelled key", "epochs = 3\nlearnig_rate = 2e-5\n"),
        ("a key with hyphens", "batch-size = 8\n"),
        ("an unknown key that resembles no option", "color = \"red\"\n"),
        ("a flag that a file cannot set", "config = \"b.toml\"\n"),
        ("a duplicate key", "epochs = 3\nepochs = 4\n"),
        ("a section", "[train]\nepochs = 3\n"),
        ("a string instead of a number", "epochs = \"3\"\n"),
        ("a fraction instead of an integer", "epochs = 2.5\n"),
        ("a negative integer", "batch_size = -8\n"),
        ("an integer beyond 64 bits", "seed = 99999999999999999999\n"),
        ("a number instead of a boolean", "tensorboard = 1\n"),
        ("a list instead of a number", "learning_rate = [2e-5, 3e-5]\n"),
        ("an unknown choice", "optimizer = \"adamax\"\n"),
        ("an unknown metric", "best_metric = \"auc\"\n"),
        ("class weights that are not numbers", "class_weights = \"heavy\"\n"),
        ("a value out of range", "seed = 1\n\nhidden_dropout = 1.0\n"),
        ("a value of NaN", "learning_rate = nan\n"),
        ("two mutually exclusive options", "warmup_steps = 5\nwarmup_ratio = 0.1\n"),
        ("an option that has no effect", "epochs = 3\nmomentum = 0.8\n"),
        ("layers that are both frozen and re-initialized", "freeze_layers = 2\nreinit_layers = 1\n"),
        ("a line without a value", "epochs\n"),
        ("a string without quotes", "optimizer = adamw\n"),
        ("a decimal comma", "weight_decay = 0,01\n"),
        ("YAML", "epochs: 3\nbatch_size: 16\n"),
        ("JSON", "{\"epochs\": 3}\n"),
        ("an unterminated string", "output = \"run\nepochs = 3\n"),
    ] {
        all.fails_with(name, "a.toml", Edit::Content(text.as_bytes()), line);
    }
    all.fails_with("Latin-1", "a.toml", Edit::Content(b"output = \"caf\xE9\"\n"), line);
    all.fails("a missing file", line);
    all.fails("a folder", "train --data data --config data");
    all.fails_with(
        "a flag that conflicts with the file",
        "a.toml",
        Edit::Content(b"freeze_layers = 2\n"),
        &format!("{line} --reinit-layers 1"),
    );
    all.finish();
}

//! `--config` files.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn bad_config_files_are_refused_in_these_words() {
    let mut all = MessageGroup::new("config_file", "Files of --config", Sandbox::prepared());
    let line = "train --data data --config a.toml";
    for (name, text) in [
        ("a key that doesn't exist", "epochs = 3\nlearnig_rate = 2e-5\n"),
        ("a key with hyphens", "batch-size = 8\n"),
        ("a key far from all others", "colour = \"red\"\n"),
        ("a key that is only a flag", "config = \"b.toml\"\n"),
        ("a key twice", "epochs = 3\nepochs = 4\n"),
        ("a section", "[train]\nepochs = 3\n"),
        ("a text for a number", "epochs = \"3\"\n"),
        ("a fraction for a count", "epochs = 2.5\n"),
        ("a negative count", "batch_size = -8\n"),
        ("a count beyond 64 bits", "seed = 99999999999999999999\n"),
        ("a number for a switch", "tensorboard = 1\n"),
        ("a list for a number", "learning_rate = [2e-5, 3e-5]\n"),
        ("a choice that doesn't exist", "optimizer = \"adamax\"\n"),
        ("a metric that doesn't exist", "best_metric = \"auc\"\n"),
        ("class weights in words", "class_weights = \"heavy\"\n"),
        ("a value out of range", "seed = 1\n\nhidden_dropout = 1.0\n"),
        ("a value that isn't a number", "learning_rate = nan\n"),
        ("two values that exclude each other", "warmup_steps = 5\nwarmup_ratio = 0.1\n"),
        ("a value that nothing reads", "epochs = 3\nmomentum = 0.8\n"),
        ("layers that are frozen and drawn anew", "freeze_layers = 2\nreinit_layers = 1\n"),
        ("a line without a value", "epochs\n"),
        ("a word without quotes", "optimizer = adamw\n"),
        ("a comma for a decimal point", "weight_decay = 0,01\n"),
        ("YAML", "epochs: 3\nbatch_size: 16\n"),
        ("JSON", "{\"epochs\": 3}\n"),
        ("a quote that is never closed", "output = \"run\nepochs = 3\n"),
    ] {
        all.with(name, "a.toml", Edit::Is(text.as_bytes()), line);
    }
    all.with("Latin-1", "a.toml", Edit::Is(b"output = \"caf\xE9\"\n"), line);
    all.fails("no such file", line);
    all.fails("a folder", "train --data data --config data");
    all.with(
        "a flag against the file",
        "a.toml",
        Edit::Is(b"freeze_layers = 2\n"),
        &format!("{line} --reinit-layers 1"),
    );
    all.finish();
}

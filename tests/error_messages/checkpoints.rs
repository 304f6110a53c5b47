//! `train --resume`: missing or damaged checkpoints, and options or data that differ from those of the run.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn damaged_checkpoints_are_refused_in_these_words() {
    let sandbox = Sandbox::prepared();
    let flags = "--data data --max-steps 4 --threads 1 --precision fp32 --device cpu";
    sandbox.succeeds(&format!("train {flags} --output run"));
    std::fs::remove_file(sandbox.path("run/metrics.json")).expect("removes");
    sandbox.write("other/notes.txt", "mine\n");
    sandbox.write("words.csv", "text,label\n\"the film\",good\n\"a plot\",bad\n\"an actor\",good\n");
    sandbox.write_reviews("fewer.csv", 60);
    sandbox.succeeds("prepare --dataset fewer.csv --model tiny --max-length 32 --output fewer");
    let mut all = MessageGroup::new("checkpoints", "Checkpoints, for train --resume", sandbox);
    let resume = "train --resume run";
    let step = "run/checkpoints/step-00000004";

    all.fails("an output that holds checkpoints, without --resume", &format!("train {flags} --output run"));
    all.fails("a run folder that does not exist", "train --resume nowhere");
    all.fails("a folder that is not a run", "train --resume other");
    all.fails("a folder of prepared data", "train --resume data");
    all.fails("a model folder", "train --resume tiny");
    all.fails("the checkpoints folder instead of the run", "train --resume run/checkpoints");
    all.fails("a checkpoint that does not exist", "train --resume run/checkpoints/step-00000009");
    all.fails("both --resume and --output", "train --resume run --output another");
    all.fails("--allow-change without --resume", &format!("train {flags} --allow-change --output new"));
    for name in ["model.safetensors", "optimizer.safetensors", "trainer.json", "SHA256SUMS"] {
        all.fails_with(&format!("{name} is missing"), &format!("{step}/{name}"), Edit::Delete, resume);
    }
    all.fails_with("an invalid SHA256SUMS", &format!("{step}/SHA256SUMS"), Edit::Content(b"sums\n"), resume);
    all.fails_with("an empty SHA256SUMS", &format!("{step}/SHA256SUMS"), Edit::Content(b""), resume);
    all.fails_with(
        "a damaged checkpoint given by its own path",
        &format!("{step}/SHA256SUMS"),
        Edit::Truncate(100),
        &format!("train --resume {step}"),
    );
    all.fails("a different learning rate", "train --resume run --learning-rate 0.5");
    all.fails("two different options", "train --resume run --batch-size 8 --weight-decay 0");
    all.fails("more steps than before", "train --resume run --max-steps 8");
    all.fails("a different number of threads", "train --resume run --threads 2");
    all.fails("different data", "train --resume run --data fewer");
    all.fails("a different precision", "train --resume run --precision bf16");
    all.fails("a checkpoint every 0 steps", &format!("train {flags} --save-every 0 --output new"));
    all.fails("0 checkpoints kept", &format!("train {flags} --save-total 0 --output new"));
    all.finish();
}

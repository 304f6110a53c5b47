//! What stands between `--resume` and going on.

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

    all.fails("checkpoints, and no word of resuming", &format!("train {flags} --output run"));
    all.fails("nothing there", "train --resume nowhere");
    all.fails("somebody else's folder", "train --resume other");
    all.fails("a prepared folder", "train --resume data");
    all.fails("a model folder", "train --resume tiny");
    all.fails("the folder of all checkpoints", "train --resume run/checkpoints");
    all.fails("a checkpoint that isn't there", "train --resume run/checkpoints/step-00000009");
    all.fails("two folders at once", "train --resume run --output another");
    all.fails("changes allowed to nothing", &format!("train {flags} --allow-change --output new"));
    for name in ["model.safetensors", "optimizer.safetensors", "trainer.json", "SHA256SUMS"] {
        all.with(&format!("without its {name}"), &format!("{step}/{name}"), Edit::Gone, resume);
    }
    all.with("sums of something else", &format!("{step}/SHA256SUMS"), Edit::Is(b"sums\n"), resume);
    all.with("sums that are empty", &format!("{step}/SHA256SUMS"), Edit::Is(b""), resume);
    all.with(
        "named itself, and damaged",
        &format!("{step}/SHA256SUMS"),
        Edit::Cut(100),
        &format!("train --resume {step}"),
    );
    all.fails("another learning rate", "train --resume run --learning-rate 0.5");
    all.fails("two other values", "train --resume run --batch-size 8 --weight-decay 0");
    all.fails("longer than it was to be", "train --resume run --max-steps 8");
    all.fails("another number of threads", "train --resume run --threads 2");
    all.fails("other data", "train --resume run --data fewer");
    all.fails("another precision", "train --resume run --precision bf16");
    all.fails("no checkpoint every zero steps", &format!("train {flags} --save-every 0 --output new"));
    all.fails("no checkpoint kept", &format!("train {flags} --save-total 0 --output new"));
    all.finish();
}

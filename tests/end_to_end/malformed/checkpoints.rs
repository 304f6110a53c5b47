//! What stands between `--resume` and going on.

use super::{Catalogue, Edit};
use crate::house::House;

#[test]
fn checkpoints() {
    let house = House::prepared();
    let flags = "--data data --max-steps 4 --threads 1 --precision fp32 --device cpu";
    house.done(&format!("train {flags} --output run"));
    std::fs::remove_file(house.path("run/metrics.json")).expect("removes");
    house.write("other/notes.txt", "mine\n");
    house.write("words.csv", "text,label\n\"the film\",good\n\"a plot\",bad\n\"an actor\",good\n");
    house.write_reviews("fewer.csv", 60);
    house.done("prepare --dataset fewer.csv --model tiny --max-length 32 --output fewer");
    let mut all = Catalogue::new("checkpoints", "Checkpoints, for train --resume", house);
    let resume = "train --resume run";
    let step = "run/checkpoints/step-00000004";

    all.refused("checkpoints, and no word of resuming", &format!("train {flags} --output run"));
    all.refused("nothing there", "train --resume nowhere");
    all.refused("somebody else's folder", "train --resume other");
    all.refused("a prepared folder", "train --resume data");
    all.refused("a model folder", "train --resume tiny");
    all.refused("the folder of all checkpoints", "train --resume run/checkpoints");
    all.refused("a checkpoint that isn't there", "train --resume run/checkpoints/step-00000009");
    all.refused("two folders at once", "train --resume run --output another");
    all.refused("changes allowed to nothing", &format!("train {flags} --allow-change --output new"));
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
    all.refused("another learning rate", "train --resume run --learning-rate 0.5");
    all.refused("two other values", "train --resume run --batch-size 8 --weight-decay 0");
    all.refused("longer than it was to be", "train --resume run --max-steps 8");
    all.refused("another number of threads", "train --resume run --threads 2");
    all.refused("other data", "train --resume run --data fewer");
    all.refused("another precision", "train --resume run --precision bf16");
    all.refused("no checkpoint every zero steps", &format!("train {flags} --save-every 0 --output new"));
    all.refused("no checkpoint kept", &format!("train {flags} --save-total 0 --output new"));
    all.finish();
}

//! Flags and folders of groups of runs: `train --seeds`, `train --folds`, and what opens a group.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

#[test]
fn bad_groups_of_runs_are_refused_in_these_words() {
    let sandbox = Sandbox::prepared();
    sandbox.succeeds("train --data data --max-steps 1 --threads 1 --output run");
    sandbox.succeeds("train --data data --max-steps 1 --threads 1 --seeds 2 --output group");
    let rows: String = (0..20).map(|row| format!("a {row} film,{}\n", ["fine", "bad"][row % 2])).collect();
    sandbox.write(
        "rare.csv",
        &format!("text,label\n{rare}", rare = rows.clone() + "a plot,odd\nan actor,odd\nthe ending,odd\n"),
    );
    sandbox.write("held.csv", &format!("text,label\n{}", rows.replace("film", "story")));
    sandbox.write("once.csv", &format!("text,label\n{rows}a plot,odd\n"));
    for name in ["rare", "once"] {
        sandbox.succeeds(&format!(
            "prepare --dataset {name}.csv --validation-file held.csv --test-file held.csv --allow-leakage --model tiny \
             --max-length 32 --max-unknown 1 --output {name}"
        ));
    }
    // A group of which no run is finished.
    sandbox.fails("train --data data --threads 1 --seeds 2 --batch-size 500 --output begun");
    let mut all = MessageGroup::new("run_groups", "Groups of runs", sandbox);
    for (name, flags) in [
        ("no seed", "--seeds 0"),
        ("one seed", "--seeds 1"),
        ("a number of seeds that is none", "--seeds many"),
        ("one fold", "--folds 1"),
        ("seeds and folds", "--seeds 5 --folds 5"),
        ("workers without a group", "--workers 2"),
        ("no workers", "--seeds 3 --workers 0"),
        ("a first seed without others after it", "--seed 9223372036854775807 --seeds 2"),
        ("seeds for a single run that is resumed", "--seeds 3 --resume run"),
        ("folds for a single run that is resumed", "--folds 3 --resume run"),
        ("seeds for a folder that isn't there", "--seeds 3 --resume nowhere"),
        ("a group in the folder of a run", "--seeds 3 --output run"),
        ("a group in a folder with other files", "--seeds 3 --output tiny"),
        ("a run in the folder of a group", "--output group"),
        ("another number of seeds", "--max-steps 1 --threads 1 --seeds 3 --output group"),
        ("folds for a group of seeds", "--max-steps 1 --threads 1 --folds 2 --output group"),
        ("other options", "--max-steps 1 --threads 1 --seeds 2 --output group --learning-rate 0.5 --seed 7"),
        ("other options of a group that is resumed", "--resume group --batch-size 8"),
        ("other data of a group that is resumed", "--resume group --data rare"),
        ("a group that is resumed into another folder", "--resume group --output run"),
        ("a change that a group allows", "--resume group --allow-change"),
        ("a fold without a group", "--held-out 1"),
        ("a batch that no run of the group can fill", "--threads 1 --seeds 2 --batch-size 500 --output begun"),
    ] {
        let data = if flags.contains("--data") { "" } else { "--data data " };
        all.fails(name, &format!("train {data}{flags}"));
    }
    all.fails("more folds than a class has texts", "train --data rare --folds 5");
    all.fails("folds of a class with one text", "train --data once --folds 2");
    all.fails_with(
        "seeds in a file",
        "a.toml",
        Edit::Content(b"epochs = 1\nseeds = 3\n"),
        "train --data data --config a.toml",
    );
    all.fails("predict: a group without a finished run", "predict --run begun lovely");
    let group = "group/group.json";
    all.fails_with("predict: a truncated group.json", group, Edit::Truncate(50), "predict --run group lovely");
    all.fails_with(
        "predict: a group without kind",
        group,
        Edit::Replace("\"kind\"", "\"sort\""),
        "predict --run group lovely",
    );
    all.fails_with(
        "train: a group with an unknown number format",
        group,
        Edit::Replace("\"precision\": \"fp32\"", "\"precision\": \"fp8\""),
        "train --resume group",
    );
    all.finish();
}

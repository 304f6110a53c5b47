//! A damaged checkpoint is skipped with a warning that names it; damaged prepared data is refused.

use std::fs;

use crate::support::{Sandbox, names};

#[test]
fn a_damaged_checkpoint_is_skipped_and_named() {
    let sandbox = Sandbox::with_uninterrupted_run();
    for file in ["model.safetensors", "optimizer.safetensors", "trainer.json", "SHA256SUMS"] {
        for missing in [false, true] {
            sandbox.copy_run("whole", "damaged", 6);
            let path = sandbox.path("damaged/checkpoints/step-00000020").join(file);
            if missing {
                fs::remove_file(&path).expect("removes");
            } else {
                let mut bytes = fs::read(&path).expect("reads");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&path, bytes).expect("writes");
            }
            let output = sandbox.run("train --resume damaged");
            assert_eq!(output.code, 0, "{file}: {}", output.err);
            let warning = output.err.lines().find(|line| line.contains("WARN")).unwrap_or_default();
            assert!(warning.contains("damaged/checkpoints/step-00000020/"), "{file}, {missing}: {}", output.err);
            assert!(warning.contains(file), "{file}, missing: {missing}: {}", output.err);
            assert!(warning.contains("continuing from damaged/checkpoints/step-00000016"), "{}", output.err);
            sandbox.assert_same("whole", "damaged");
            fs::remove_dir_all(sandbox.path("damaged")).expect("removes");
        }
    }
}

#[test]
fn an_unfinished_checkpoint_is_ignored_and_only_damaged_ones_are_refused() {
    let sandbox = Sandbox::with_uninterrupted_run();
    sandbox.copy_run("whole", "run", 5);
    sandbox.write("run/checkpoints/.unfinished-step-00000020/model.safetensors", "half");
    let output = sandbox.run("train --resume run");
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains(".unfinished-step-00000020") && output.err.contains("step-00000016"), "{}", output.err);
    sandbox.assert_same("whole", "run");
    assert!(!names(&sandbox.path("run/checkpoints")).iter().any(|name| name.starts_with('.')));

    sandbox.copy_run("whole", "lost", 2);
    for name in sandbox.checkpoints("lost") {
        sandbox.write(&format!("lost/checkpoints/{name}/trainer.json"), "{}");
    }
    let error = sandbox.fails("train --resume lost");
    assert!(error.contains("step-00000004") && error.contains("step-00000008") && error.contains("hint:"), "{error}");
    assert_eq!(sandbox.checkpoints("lost").len(), 2, "what may still be of use to somebody stays");
}

#[test]
fn damaged_prepared_data_is_refused() {
    let sandbox = Sandbox::prepared();
    let arrow = sandbox.read("data/train.arrow");
    std::fs::write(sandbox.path("data/train.arrow"), &arrow[..arrow.len() - 1]).expect("writes");
    let error = sandbox.fails("train --data data");
    assert!(error.contains("train.arrow") && error.contains("prepare the data again"), "{error}");
    let error = sandbox.fails("train --data nowhere");
    assert!(error.contains("nowhere: doesn't exist") && error.contains("prepare-data"), "{error}");
}

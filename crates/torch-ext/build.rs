//! The build script of this package: what every package that links libtorch needs, and the C++ in `cpp/`.

use std::env;
use std::path::{Path, PathBuf};

#[path = "../../build/libtorch.rs"]
mod libtorch;

/// c10d's header of Gloo includes headers of Gloo that libtorch doesn't ship. These declare what it needs of them.
const GLOO_DECLARATIONS: &str = "cpp/gloo-declarations";

fn main() {
    libtorch::main();
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=VERDICT_NCCL_INCLUDE");
    println!("cargo::rustc-check-cfg=cfg(nccl)");
    // The folder that torch-sys has found, whichever way.
    let Some(lib) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo::error=torch-sys does not say where libtorch is");
        return;
    };
    let include = lib.with_file_name("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").pic(true).warnings(false).include(GLOO_DECLARATIONS);
    build.include(&include).include(include.join("torch/csrc/api/include"));
    build.file("cpp/device_memory.cpp").file("cpp/store.cpp").file("cpp/process_group.cpp").file("cpp/gloo.cpp");
    if lib.join("libtorch_cuda.so").exists() {
        match nccl_includes(&include) {
            Some(folders) => {
                println!("cargo::rustc-cfg=nccl");
                build.includes(folders).file("cpp/nccl.cpp");
            }
            None => println!(
                "cargo::warning=nccl.h and cuda_runtime.h were not found, so that several GPUs exchange gradients \
                 through Gloo (hint: VERDICT_NCCL_INCLUDE=FOLDER:FOLDER says where they are)"
            ),
        }
    }
    build.compile("torch_ext");
}

/// The folders of the headers of NCCL and of the CUDA runtime: where `VERDICT_NCCL_INCLUDE` says, beside libtorch, in CUDA's
/// own folder.
fn nccl_includes(libtorch: &Path) -> Option<Vec<PathBuf>> {
    let given = env::var_os("VERDICT_NCCL_INCLUDE");
    let given: Vec<PathBuf> = given.iter().flat_map(env::split_paths).collect();
    let cuda = env::var_os("CUDA_HOME").map_or_else(|| PathBuf::from("/usr/local/cuda"), PathBuf::from);
    let folders: Vec<PathBuf> =
        given.iter().cloned().chain([libtorch.to_owned(), cuda.join("include"), "/usr/include".into()]).collect();
    let with = |header: &str| folders.iter().find(|folder| folder.join(header).is_file()).cloned();
    // Parts of CUDA's headers may be in further folders.
    Some([with("nccl.h")?, with("cuda_runtime.h")?].into_iter().chain(given).collect())
}

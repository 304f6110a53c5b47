//! The build script of this package: what every package that links libtorch needs, and `src/device_memory.cpp`.

use std::env;
use std::path::PathBuf;

#[path = "../../build/libtorch.rs"]
mod libtorch;

fn main() {
    libtorch::main();
    const SOURCE: &str = "src/device_memory.cpp";
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    // The folder that torch-sys has found, whichever way.
    let Some(lib) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo::error=torch-sys does not say where libtorch is");
        return;
    };
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").pic(true).warnings(false).file(SOURCE);
    build.include(lib.with_file_name("include"));
    build.compile("model_device_memory");
}

//! The build script of every package that links libtorch: tells the linker where the binary will find it.
//!
//! Rpaths could also be set for all crates at once through `rustflags`, but then moving libtorch rebuilds every
//! dependency and xtask itself, a person's own RUSTFLAGS silently takes the rpath away, and build scripts and
//! procedural macros are linked against libtorch too. A build script's link arguments reach exactly this package's
//! binaries, tests, examples and doc tests.

use std::path::Path;

pub(crate) fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        let elsewhere =
            std::env::var_os("LIBTORCH_USE_PYTORCH").is_some() || Path::new("/usr/lib/libtorch.so").exists();
        if !elsewhere {
            println!("cargo::error=libtorch is not set up in this checkout (hint: cargo xtask setup)");
        }
        return;
    };
    println!("cargo::rustc-link-arg=-Wl,-rpath,{libtorch}/lib");

    // The GPU half of libtorch registers itself when it is loaded and no symbol of it is called by name. A linker that
    // keeps only what is needed by name drops it, and the program then finds no GPU.
    let cuda = Path::new(&libtorch).join("lib/libtorch_cuda.so");
    if cuda.exists() {
        println!("cargo::rustc-link-arg=-Wl,--push-state,--no-as-needed");
        println!("cargo::rustc-link-arg={}", cuda.display());
        println!("cargo::rustc-link-arg=-Wl,--pop-state");
    }
}

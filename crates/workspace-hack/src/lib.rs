//! Holds no code: its `Cargo.toml` names the features that third-party crates have in this workspace.
//!
//! Cargo gives a crate the features that the packages of one command ask for, and so `cargo run -p train` and
//! `cargo test --workspace` might build the same crate twice, and everything above it. A package that would ask for less
//! than all of them together depends on this one. [cargo-hakari](https://docs.rs/cargo-hakari) coined the name.

//! The rules of the house, as tests: what ARCHITECTURE.md calls an invariant and a compiler does not see.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{cargo, root};

/// Who may import whom among our own packages. A package that is missing here fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("disk", &[]),
    ("fetch", &["disk"]),
    ("table", &["disk"]),
    ("tokenize", &["disk"]),
    ("data", &["disk", "fetch", "table", "tokenize"]),
    ("kernels", &[]),
    ("model", &["disk", "kernels"]),
    ("metrics", &[]),
    ("run", &["disk", "metrics"]),
    ("report", &[]),
    ("tune", &["disk"]),
    ("train", &["data", "disk", "fetch", "kernels", "metrics", "model", "run", "tokenize"]),
    ("predict", &["disk", "model", "run", "tokenize"]),
    (
        "cli",
        &[
            "data", "disk", "fetch", "metrics", "model", "predict", "report", "run", "table", "tokenize", "train",
            "tune",
        ],
    ),
    ("xtask", &[]),
];

/// Packages that build and test without libtorch.
const WITHOUT_LIBTORCH: [&str; 11] =
    ["disk", "fetch", "table", "tokenize", "data", "kernels", "metrics", "report", "run", "tune", "xtask"];

const MOST_LINES: usize = 450;

fn metadata() -> Value {
    let output = cargo(None)
        .args(["metadata", "--format-version=1", "--offline", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Each package of the workspace with the names of what it imports directly; with `tests`, what its tests import too.
fn imports(tests: bool) -> BTreeMap<String, BTreeSet<String>> {
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let imported = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|other| tests || other["kind"] != "dev").map(name).collect()
    };
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (name(package), imported(package))).collect()
}

#[test]
fn packages_import_only_what_lies_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let imports = imports(false);
    for (package, imported) in &imports {
        let Some(allowed) = allowed.get(package.as_str()) else {
            panic!("package {package} has no line in MAY_IMPORT of xtask/src/tidy.rs: decide where it stands");
        };
        for other in imported.iter().filter(|other| imports.contains_key(*other)) {
            assert!(allowed.contains(&other.as_str()), "{package} imports {other}, against the house's directions");
        }
    }
}

#[test]
fn packages_without_tensors_stay_without_libtorch() {
    let imports = imports(true);
    for package in WITHOUT_LIBTORCH {
        let mut reached = BTreeSet::from([package.to_owned()]);
        let mut open = vec![package.to_owned()];
        while let Some(next) = open.pop() {
            for other in imports.get(&next).into_iter().flatten() {
                if reached.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        let bound = reached.iter().find(|name| ["tch", "torch-sys"].contains(&name.as_str()));
        assert_eq!(bound, None, "{package} must build without libtorch");
    }
}

#[test]
fn packages_with_libtorch_tell_the_linker_where_it_lies() {
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let targets = package["targets"].as_array().unwrap();
        let script = targets.iter().find(|target| target["kind"][0] == "custom-build");
        let script = script.map(|target| target["src_path"].as_str().unwrap());
        let links = !WITHOUT_LIBTORCH.contains(&name);
        let tells = script.is_some_and(|path| Path::new(path).ends_with("build/libtorch.rs"));
        assert_eq!(links, tells, "{name}: `build = \"../../build/libtorch.rs\"` goes with libtorch, and only with it");
    }
}

/// A package's third-party crates, each with its features, as `cargo run -p PACKAGE` builds them.
fn built(package: &str) -> BTreeSet<String> {
    let mut tree = cargo(None);
    tree.args(["tree", "--offline", "--edges=no-dev", "--prefix=none", "--format={p} {f}", "--package", package]);
    let output = tree.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    let ours = root().display().to_string();
    let lines = listing.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
    lines.filter(|line| !line.contains(&ours)).collect()
}

#[test]
fn the_promised_commands_share_what_they_build() {
    let (train, cli) = (built("train"), built("cli"));
    let again: Vec<_> = train.difference(&cli).collect();
    assert!(
        again.is_empty(),
        "`cargo run -p train` would build these again, with other features than `verdict` has; \
         add the features in crates/train/Cargo.toml: {again:#?}"
    );
}

/// Our Rust files.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["crates", "xtask", "tests", "build"].map(|folder| root().join(folder)).into();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (lines, stem) = (text.lines().count(), path.file_stem().unwrap());
        if lines > MOST_LINES {
            faults.push(format!("{} has {lines} lines, and {MOST_LINES} is the most", path.display()));
        }
        if !text.starts_with("//!") && stem != "tests" {
            faults.push(format!("{} does not begin with a `//!` that says what it is", path.display()));
        }
        if ["utils", "util", "common", "helpers", "misc"].iter().any(|name| stem == *name) {
            faults.push(format!("{} is named after nothing that it holds", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

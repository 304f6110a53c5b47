//! The dependencies between our own packages, and which of them link libtorch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::printed;
use crate::command::cargo;

/// Our own packages, and which of them each may import. A package that is missing here fails the test.
const MAY_IMPORT: [(&str, &str); 25] = [
    ("disk", ""),
    ("fetch", "disk"),
    ("table", "disk"),
    ("tokenize", "disk"),
    ("data", "disk fetch table tokenize"),
    ("kernels", ""),
    ("torch-ext", ""),
    ("collective", "disk torch-ext"),
    ("allocator", ""),
    ("model", "disk kernels"),
    ("metrics", ""),
    ("judge", "metrics"),
    ("run", "disk judge metrics"),
    ("report", ""),
    ("tune", "disk"),
    ("train", "allocator collective data disk fetch kernels metrics model run tokenize torch-ext"),
    ("predict", "disk model run tokenize"),
    ("explain", "judge model predict tokenize"),
    ("label", "data table"),
    ("serve", "disk judge label run table tokenize"),
    (
        "cli",
        "allocator collective data disk explain judge label metrics model predict report run serve table tokenize train tune",
    ),
    ("bench", "data disk fetch run"),
    ("test-support", ""),
    ("workspace-hack", ""),
    ("xtask", ""),
];

/// Imported by many for the features of its dependencies; it holds no code.
const WITHOUT_CODE: &str = "workspace-hack";

/// Packages that link libtorch; all others build and test without it.
const WITH_LIBTORCH: [&str; 7] = ["cli", "collective", "explain", "model", "predict", "torch-ext", "train"];

pub(super) fn metadata() -> Value {
    let printed = printed(cargo(None).args(["metadata", "--format-version=1", "--offline", "--no-deps"]));
    serde_json::from_str(&printed).unwrap()
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
    let imports = imports(false);
    let ours: BTreeSet<&str> = MAY_IMPORT.iter().map(|(package, _)| *package).collect();
    assert_eq!(ours, imports.keys().map(String::as_str).collect(), "MAY_IMPORT and the packages of the workspace");
    for (package, allowed) in MAY_IMPORT {
        for other in imports[package].iter().filter(|other| ours.contains(other.as_str()) && *other != WITHOUT_CODE) {
            assert!(allowed.split(' ').any(|name| name == other), "{package} must not import {other}");
        }
    }
}

#[test]
fn packages_without_tensors_stay_without_libtorch() {
    let imports = imports(true);
    for package in imports.keys().filter(|package| !WITH_LIBTORCH.contains(&package.as_str())) {
        let (mut reached, mut open) = (BTreeSet::new(), vec![package]);
        while let Some(next) = open.pop() {
            open.extend(imports.get(next).into_iter().flatten().filter(|other| reached.insert(other.as_str())));
        }
        let bound = reached.iter().find(|name| ["tch", "torch-sys"].contains(*name));
        assert_eq!(bound, None, "{package} must build without libtorch");
    }
}

#[test]
fn packages_with_libtorch_tell_the_linker_where_it_is() {
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let targets = package["targets"].as_array().unwrap();
        let script = targets.iter().find(|target| target["kind"][0] == "custom-build");
        let script = script.map(|target| target["src_path"].as_str().unwrap());
        let links = WITH_LIBTORCH.contains(&name);
        // The script of `torch-ext` includes the other one.
        let scripts = ["build/libtorch.rs", "torch-ext/build.rs"];
        let tells = script.is_some_and(|path| scripts.iter().any(|script| Path::new(path).ends_with(script)));
        assert_eq!(links, tells, "{name}: `build = \"../../build/libtorch.rs\"` goes with libtorch, and only with it");
    }
}

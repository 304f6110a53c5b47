//! Who imports whom among our own packages, and who links libtorch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::printed;
use crate::command::cargo;

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
    ("bench", &["data", "disk", "fetch", "run"]),
    ("workspace-hack", &[]),
    ("xtask", &[]),
];

/// Imported by many for the features of its dependencies; it holds no code.
const WITHOUT_CODE: &str = "workspace-hack";

/// Packages that build and test without libtorch.
const WITHOUT_LIBTORCH: [&str; 13] = [
    "disk",
    "fetch",
    "table",
    "tokenize",
    "data",
    "kernels",
    "metrics",
    "report",
    "run",
    "tune",
    "bench",
    "workspace-hack",
    "xtask",
];

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
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let imports = imports(false);
    for (package, imported) in &imports {
        let Some(allowed) = allowed.get(package.as_str()) else {
            panic!("package {package} has no line in MAY_IMPORT of xtask/src/tidy/packages.rs: decide where it stands");
        };
        for other in imported.iter().filter(|other| imports.contains_key(*other) && *other != WITHOUT_CODE) {
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

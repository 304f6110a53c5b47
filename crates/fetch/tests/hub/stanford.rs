//! The treebank's archive, from a server that is not Stanford's.

use std::fs;
use std::io::{Cursor, Write};

use disk::sha256_hex;
use fetch::stanford::treebank_from;
use fetch::{FetchError, PinnedFile};

use crate::TestHub;
use test_support::{COMMIT, HubBehavior};

const TREES: [(&str, &str); 4] = [
    ("trees/train.txt", "(3 (2 A) (2 film))\n"),
    ("trees/dev.txt", "(2 fine)\n"),
    ("trees/test.txt", "(4 good)\n"),
    ("trees/readme", "what nobody asked for"),
];

/// The three files with their digests.
fn files() -> [PinnedFile; 3] {
    [0, 1, 2].map(|at| (&TREES[at].0["trees/".len()..], &*sha256_hex(TREES[at].1).leak()))
}

fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn test_hub(content: &[u8], behavior: HubBehavior) -> (TestHub, String) {
    let test_hub = TestHub::new("models/x", "main", &[("trees.zip", content)], behavior);
    let url = format!("{}/x/resolve/{COMMIT}/trees.zip", test_hub.server.endpoint);
    (test_hub, url)
}

#[test]
fn the_treebank_is_fetched_once() {
    let (test_hub, url) = test_hub(&zip(&TREES), HubBehavior { cut_after: Some((100, 1)), ..HubBehavior::default() });
    let folder = treebank_from(&url, &files(), test_hub.cache.path()).unwrap();
    for (member, content) in &TREES[..3] {
        let name = member.strip_prefix("trees/").unwrap();
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), *content);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    test_hub.server.seen();
    assert_eq!(treebank_from(&url, &files(), test_hub.cache.path()).unwrap(), folder);
    assert!(test_hub.server.seen().is_empty());

    // What is kept with other content is not used.
    fs::write(folder.join("dev.txt"), "(2 changed)\n").unwrap();
    assert_eq!(treebank_from(&url, &files(), test_hub.cache.path()).unwrap(), folder);
    assert_eq!(fs::read_to_string(folder.join("dev.txt")).unwrap(), TREES[1].1);
}

#[test]
fn another_content_than_the_known_one_is_refused() {
    let mut changed = TREES;
    changed[1].1 = "(2 changed)\n";
    let (test_hub, url) = test_hub(&zip(&changed), HubBehavior::default());
    for _ in 0..2 {
        let error = treebank_from(&url, &files(), test_hub.cache.path()).unwrap_err();
        assert!(matches!(error, FetchError::WrongDigest { .. }) && !error.is_unreachable(), "{error}");
        assert!(
            error.to_string().starts_with(&format!("dev.txt in {url}: expected sha256 {}", files()[1].1)),
            "{error}"
        );
        assert_nothing_kept(&test_hub);
    }
}

fn assert_nothing_kept(test_hub: &TestHub) {
    let entries = fs::read_dir(test_hub.cache.path().join("stanford")).unwrap();
    let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
}

#[test]
fn an_archive_without_the_treebank_leaves_no_files() {
    let mut hostile = TREES.to_vec();
    hostile.push(("../../evil", "(2 x)"));
    let mut cut = zip(&TREES);
    cut.truncate(200);
    for (content, reason) in [
        (zip(&TREES[..2]), "\"trees/test.txt\" is missing"),
        (zip(&hostile), "points outside"),
        (cut, "not a readable zip"),
    ] {
        let (test_hub, url) = test_hub(&content, HubBehavior::default());
        let error = treebank_from(&url, &files(), test_hub.cache.path()).unwrap_err();
        assert!(matches!(error, FetchError::Archive { .. }) && !error.is_unreachable(), "{error}");
        assert!(error.to_string().contains(reason), "{reason} is not in: {error}");
        assert_nothing_kept(&test_hub);
    }
}

#[test]
fn a_web_page_and_a_missing_archive_are_named() {
    let (page, url) = test_hub(&zip(&TREES), HubBehavior { web_page: true, ..HubBehavior::default() });
    let error = treebank_from(&url, &files(), page.cache.path()).unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }), "{error}");
    let (absent, _) = test_hub(&zip(&TREES), HubBehavior::default());
    let url = format!("{}/nothing.zip", absent.server.endpoint);
    let error = treebank_from(&url, &files(), absent.cache.path()).unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("nothing.zip"), "{error}");
}

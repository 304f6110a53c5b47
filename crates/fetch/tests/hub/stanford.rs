//! The treebank's archive, from a server that is not Stanford's.

use std::fs;
use std::io::{Cursor, Write};

use fetch::FetchError;
use fetch::stanford::treebank_from;

use crate::TestHub;
use test_support::{COMMIT, HubBehavior};

const TREES: [(&str, &str); 4] = [
    ("trees/train.txt", "(3 (2 A) (2 film))\n"),
    ("trees/dev.txt", "(2 fine)\n"),
    ("trees/test.txt", "(4 good)\n"),
    ("trees/readme", "what nobody asked for"),
];

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
    let folder = treebank_from(&url, test_hub.cache.path()).unwrap();
    for (member, content) in &TREES[..3] {
        let name = member.strip_prefix("trees/").unwrap();
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), *content);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    test_hub.server.seen();
    assert_eq!(treebank_from(&url, test_hub.cache.path()).unwrap(), folder);
    assert!(test_hub.server.seen().is_empty());
}

#[test]
fn an_archive_without_the_treebank_leaves_no_files() {
    let mut text = TREES;
    text[1].1 = "just a sentence\n";
    let mut hostile = TREES.to_vec();
    hostile.push(("../../evil", "(2 x)"));
    let mut cut = zip(&TREES);
    cut.truncate(200);
    for (content, reason) in [
        (zip(&text), "dev.txt is not a bracketed tree"),
        (zip(&TREES[..2]), "\"trees/test.txt\" is missing"),
        (zip(&hostile), "points outside"),
        (cut, "not a readable zip"),
    ] {
        let (test_hub, url) = test_hub(&content, HubBehavior::default());
        let error = treebank_from(&url, test_hub.cache.path()).unwrap_err();
        assert!(matches!(error, FetchError::Archive { .. }) && !error.is_unreachable(), "{error}");
        assert!(error.to_string().contains(reason), "{reason} is not in: {error}");
        let left: Vec<_> = fs::read_dir(test_hub.cache.path().join("stanford"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
    }
}

#[test]
fn a_web_page_and_a_missing_archive_are_named() {
    let (page, url) = test_hub(&zip(&TREES), HubBehavior { web_page: true, ..HubBehavior::default() });
    let error = treebank_from(&url, page.cache.path()).unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }), "{error}");
    let (absent, _) = test_hub(&zip(&TREES), HubBehavior::default());
    let url = format!("{}/nothing.zip", absent.server.endpoint);
    let error = treebank_from(&url, absent.cache.path()).unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("nothing.zip"), "{error}");
}

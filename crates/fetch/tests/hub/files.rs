//! Successful downloads, and the layout of the cache.

use std::fs;
use std::path::Path;

use disk::sha256_hex;
use fetch::hub::{HubToken, Listing};
use fetch::{FetchError, RepoRef};

use crate::{TestHub, long_content, unfinished};
use test_support::{COMMIT, HubBehavior, NEXT_COMMIT, git_sha1};

#[test]
fn a_small_file_lies_as_python_would_put_it() {
    let test_hub = TestHub::new("models/owner/name", "main", &[("config.json", b"{}")], HubBehavior::default());
    let repo = RepoRef::model("owner/name").unwrap();
    let path = test_hub.hub.file(&repo, "config.json").unwrap();

    let folder = test_hub.cache.path().join("models--owner--name");
    assert_eq!(path, folder.join("snapshots").join(COMMIT).join("config.json"));
    assert_eq!(fs::read(&path).unwrap(), b"{}");
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    let blob = format!("blobs/{}", git_sha1(b"{}"));
    assert!(folder.join(&blob).is_file());
    #[cfg(unix)]
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("../..").join(blob));
    assert_eq!(test_hub.hub.commit(&repo).unwrap(), COMMIT);
}

#[test]
fn a_second_run_sends_no_request() {
    let files: [(&str, &[u8]); 2] = [("a.txt", b"a"), ("b.txt", b"b")];
    let test_hub = TestHub::new("models/name", "main", &files, HubBehavior::default());
    let repo = RepoRef::model("name").unwrap();
    test_hub.hub.file(&repo, "a.txt").unwrap();
    assert_eq!(test_hub.hub.optional_file(&repo, "absent.txt").unwrap(), None);
    // The commit is asked for once, each file once.
    assert_eq!(test_hub.server.seen().len(), 3);

    let again = test_hub.hub_with(|_| ());
    again.file(&repo, "a.txt").unwrap();
    assert_eq!(again.optional_file(&repo, "absent.txt").unwrap(), None);
    assert!(test_hub.server.seen().is_empty());
    assert!(test_hub.cache.path().join("models--name/.no_exist").join(COMMIT).join("absent.txt").is_file());
}

#[test]
fn a_large_file_comes_from_the_storage_without_the_token() {
    let content = long_content();
    let behavior = HubBehavior { large: ".safetensors", token: Some("hf_right"), ..HubBehavior::default() };
    let test_hub = TestHub::new("models/owner/name", "main", &[("model.safetensors", &content)], behavior);
    let hub = test_hub.hub_with(|settings| settings.token = Some(HubToken::new("hf_right", "a test")));
    let path = hub.file(&RepoRef::model("owner/name").unwrap(), "model.safetensors").unwrap();

    assert_eq!(fs::read(&path).unwrap(), content);
    let blob = test_hub.cache.path().join("models--owner--name/blobs").join(sha256_hex(&content));
    assert!(blob.is_file(), "the blob is not named by the linked digest");
    for seen in test_hub.server.seen() {
        let expected = (!seen.storage).then(|| "Bearer hf_right".to_owned());
        assert_eq!(seen.authorization, expected, "{}", seen.path);
    }
}

#[test]
fn a_relative_redirect_is_followed() {
    let behavior = HubBehavior { relative_redirect: true, ..HubBehavior::default() };
    let test_hub = TestHub::new("models/name", "main", &[("vocab.txt", b"[PAD]")], behavior);
    let path = test_hub.hub.file(&RepoRef::model("name").unwrap(), "vocab.txt").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"[PAD]");
}

#[test]
fn a_data_set_at_a_revision_with_slashes() {
    let files: [(&str, &[u8]); 2] = [("ptb/train/0000.parquet", b"PAR1"), ("ptb/odd name.txt", b"odd")];
    let test_hub = TestHub::new("datasets/stanfordnlp/sst", "refs/convert/parquet", &files, HubBehavior::default());
    let repo = RepoRef::dataset("stanfordnlp/sst@refs/convert/parquet").unwrap();
    let path = test_hub.hub.file(&repo, "ptb/train/0000.parquet").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"PAR1");
    assert_eq!(fs::read(test_hub.hub.file(&repo, "ptb/odd name.txt").unwrap()).unwrap(), b"odd");

    let folder = test_hub.cache.path().join("datasets--stanfordnlp--sst");
    assert_eq!(fs::read_to_string(folder.join("refs/refs/convert/parquet")).unwrap(), COMMIT);
    assert!(path.ends_with(format!("snapshots/{COMMIT}/ptb/train/0000.parquet")));
    assert_eq!(test_hub.hub.list(&repo).unwrap(), ["ptb/odd name.txt", "ptb/train/0000.parquet"]);
}

#[test]
fn a_listing_is_remembered_and_stays_whole_offline() {
    let files: [(&str, &[u8]); 2] = [("a/0000.parquet", b"PAR1"), ("a/0001.parquet", b"PAR1")];
    let test_hub = TestHub::new("datasets/owner/name", "refs/convert/parquet", &files, HubBehavior::default());
    let repo = RepoRef::dataset("owner/name@refs/convert/parquet").unwrap();
    let listing = test_hub.hub.listing(&repo).unwrap();
    let paths = ["a/0000.parquet", "a/0001.parquet"].map(str::to_owned);
    assert_eq!(listing, Listing { commit: COMMIT.to_owned(), files: paths.to_vec() });
    let pinned = repo.at(&listing.commit).unwrap();
    test_hub.hub.file(&pinned, "a/0000.parquet").unwrap();
    test_hub.server.seen();
    assert_eq!(test_hub.hub.listing(&repo).unwrap(), listing);
    let offline = test_hub.hub_with(|settings| settings.offline = true);
    assert_eq!(offline.listing(&repo).unwrap(), listing, "a list of the cache's files lacks one");
    assert!(test_hub.server.seen().is_empty());

    // The branch moves on, and the Hub drops the old commit.
    test_hub.server.change(|behavior| {
        behavior.commit = NEXT_COMMIT.to_owned();
        behavior.repos[0].2.remove("a/0001.parquet");
    });
    let error = test_hub.hub.file(&pinned, "a/0001.parquet").unwrap_err();
    assert!(matches!(error, FetchError::NoSuchFile { .. }), "a file of another commit: {error}");
    let current = test_hub.hub.current_listing(&repo).unwrap();
    assert_eq!((current.commit.as_str(), current.files.len()), (NEXT_COMMIT, 1));
    assert_eq!(test_hub.hub.listing(&repo).unwrap(), current);
}

#[test]
fn a_commit_as_revision_needs_no_question() {
    let test_hub = TestHub::new("models/name", "main", &[("a.txt", b"a")], HubBehavior::default());
    let repo = RepoRef::model(&format!("name@{COMMIT}")).unwrap();
    test_hub.hub.file(&repo, "a.txt").unwrap();
    assert_eq!(test_hub.server.seen().len(), 1);
    assert!(!test_hub.cache.path().join("models--name/refs").exists());
}

#[test]
fn a_branch_that_moved_on_is_asked_for_again_when_a_file_is_missing() {
    let test_hub = TestHub::new("models/name", "main", &[("old.txt", b"old")], HubBehavior::default());
    let repo = RepoRef::model("name").unwrap();
    test_hub.hub.file(&repo, "old.txt").unwrap();
    test_hub.server.change(|behavior| {
        behavior.commit = NEXT_COMMIT.to_owned();
        behavior.repos[0].2.insert("new.txt".to_owned(), b"new".to_vec());
    });
    let path = test_hub.hub.file(&repo, "new.txt").unwrap();
    assert!(path.ends_with(format!("{NEXT_COMMIT}/new.txt")));
    assert_eq!(test_hub.hub.commit(&repo).unwrap(), NEXT_COMMIT);
}

#[test]
fn offline_uses_the_cache_and_nothing_else() {
    let test_hub = TestHub::new("models/name", "main", &[("a.txt", b"a"), ("b.txt", b"b")], HubBehavior::default());
    let repo = RepoRef::model("name").unwrap();
    test_hub.hub.file(&repo, "a.txt").unwrap();
    test_hub.server.seen();

    let offline = test_hub.hub_with(|settings| settings.offline = true);
    assert_eq!(fs::read(offline.file(&repo, "a.txt").unwrap()).unwrap(), b"a");
    assert_eq!(offline.list(&repo).unwrap(), ["a.txt"]);
    let error = offline.file(&repo, "b.txt").unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }) && error.is_unreachable());
    let message = error.to_string();
    for part in ["b.txt", "name", "main", "HF_HUB_OFFLINE", test_hub.cache.path().to_str().unwrap()] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(test_hub.server.seen().is_empty());
}

#[test]
fn two_at_once_fetch_a_file_once() {
    let content = long_content();
    let behavior = HubBehavior { large: ".safetensors", ..HubBehavior::default() };
    let test_hub = TestHub::new("models/name", "main", &[("model.safetensors", &content)], behavior);
    let repo = RepoRef::model("name").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
                assert_eq!(fs::read(path).unwrap(), content);
            });
        }
    });
    assert_eq!(unfinished(test_hub.cache.path()), [""; 0]);
}

#[test]
fn paths_that_leave_the_repository_are_refused() {
    let test_hub = TestHub::new("models/name", "main", &[("a.txt", b"a")], HubBehavior::default());
    let repo = RepoRef::model("name").unwrap();
    for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "."] {
        let error = test_hub.hub.file(&repo, path).expect_err(path);
        assert!(matches!(error, FetchError::BadName { .. }), "{path}: {error}");
    }
    assert!(test_hub.server.seen().is_empty());
}

//! Downloads that fail: interrupted, answered by a proxy, corrupted, refused.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use disk::sha256_hex;
use fetch::hub::HubToken;
use fetch::{FetchError, RepoRef};

use crate::{TestHub, hub, long_content, unfinished};
use test_support::HubBehavior;

const LARGE: HubBehavior = HubBehavior {
    repos: Vec::new(),
    commit: String::new(),
    large: ".safetensors",
    relative_redirect: false,
    cut_after: None,
    no_ranges: false,
    corrupt: 0,
    token: None,
    forbidden: false,
    web_page: false,
    busy: 0,
};

fn hub_with_large_file(behavior: HubBehavior) -> (TestHub, RepoRef, Vec<u8>) {
    let content = long_content();
    let test_hub = TestHub::new("models/name", "main", &[("model.safetensors", &content)], behavior);
    (test_hub, RepoRef::model("name").unwrap(), content)
}

/// Nothing may look as if it were there.
fn assert_nothing_ready(test_hub: &TestHub) {
    let folder = test_hub.cache.path().join("models--name");
    let blobs = fs::read_dir(folder.join("blobs")).into_iter().flatten().flatten();
    let ready: Vec<_> =
        blobs.map(|entry| entry.file_name()).filter(|name| !name.to_string_lossy().ends_with(".incomplete")).collect();
    assert!(ready.is_empty(), "{ready:?}");
    assert!(!folder.join("snapshots").exists());
}

#[test]
fn a_body_that_is_cut_off_is_continued() {
    let (test_hub, repo, content) = hub_with_large_file(HubBehavior { cut_after: Some((150_000, 2)), ..LARGE });
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
    let ranges: Vec<_> =
        test_hub.server.seen().into_iter().filter(|seen| seen.storage).map(|seen| seen.range).collect();
    let range = |start: u32| Some(format!("bytes={start}-"));
    assert_eq!(ranges, [None, range(150_000), range(300_000)]);
    assert_eq!(unfinished(test_hub.cache.path()), [""; 0]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let (test_hub, repo, content) =
        hub_with_large_file(HubBehavior { cut_after: Some((150_000, 2)), no_ranges: true, ..LARGE });
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
}

#[test]
fn a_small_file_that_is_cut_off_is_continued_too() {
    let behavior = HubBehavior { cut_after: Some((3, 1)), ..HubBehavior::default() };
    let test_hub = TestHub::new("models/name", "main", &[("vocab.txt", b"[PAD]\n[UNK]\n")], behavior);
    let path = test_hub.hub.file(&RepoRef::model("name").unwrap(), "vocab.txt").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"[PAD]\n[UNK]\n");
}

#[test]
fn a_stalled_download_fails_and_the_next_run_continues_it() {
    let (test_hub, repo, content) = hub_with_large_file(HubBehavior { cut_after: Some((0, 100)), ..LARGE });
    let error = test_hub.hub.file(&repo, "model.safetensors").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::CutOff { received: 0, .. }), "{message}");
    assert!(message.contains("0 of 400000 bytes") && message.contains("hint"), "{message}");
    assert_nothing_ready(&test_hub);

    let partial = test_hub.cache.path().join("models--name/blobs").join(format!("{}.incomplete", sha256_hex(&content)));
    fs::write(&partial, &content[..250_000]).unwrap();
    test_hub.server.change(|behavior| behavior.cut_after = None);
    test_hub.server.seen();
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
    let last = test_hub.server.seen().pop().unwrap();
    assert_eq!((last.storage, last.range.as_deref()), (true, Some("bytes=250000-")));
}

#[test]
fn corrupt_bytes_are_fetched_again_and_then_refused() {
    let (test_hub, repo, content) = hub_with_large_file(HubBehavior { corrupt: 1, ..LARGE });
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);

    let (test_hub, repo, content) = hub_with_large_file(HubBehavior { corrupt: 100, ..LARGE });
    let error = test_hub.hub.file(&repo, "model.safetensors").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::WrongDigest { .. }) && !error.is_unreachable(), "{message}");
    assert!(message.contains("sha256") && message.contains(&sha256_hex(&content)), "{message}");
    assert_nothing_ready(&test_hub);
    assert_eq!(unfinished(test_hub.cache.path()), [""; 0]);
}

#[test]
fn a_small_file_is_checked_against_the_git_digest() {
    let behavior = HubBehavior { corrupt: 100, ..HubBehavior::default() };
    let test_hub = TestHub::new("models/name", "main", &[("config.json", b"{}")], behavior);
    let error = test_hub.hub.file(&RepoRef::model("name").unwrap(), "config.json").unwrap_err().to_string();
    assert!(error.contains("git sha1"), "{error}");
    assert_nothing_ready(&test_hub);
}

#[test]
fn a_corrupt_partial_download_is_detected() {
    let (test_hub, repo, content) = hub_with_large_file(LARGE);
    let blobs = test_hub.cache.path().join("models--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256_hex(&content))), [7; 5000]).unwrap();
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
}

#[test]
fn a_web_page_is_not_a_file() {
    let (test_hub, repo, _) = hub_with_large_file(HubBehavior { web_page: true, ..LARGE });
    let error = test_hub.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }) && error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("proxy"), "{error}");
    // The proxy may also wake up after the API's answer.
    test_hub.server.change(|behavior| behavior.web_page = false);
    test_hub.hub.commit(&repo).unwrap();
    test_hub.server.change(|behavior| behavior.web_page = true);
    let error = test_hub.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }), "{error}");
    assert_nothing_ready(&test_hub);
}

#[test]
fn refusals_say_how_to_get_in() {
    let (test_hub, repo, _) = hub_with_large_file(HubBehavior { token: Some("hf_right"), ..LARGE });
    let message = test_hub.hub.file(&repo, "model.safetensors").unwrap_err().to_string();
    for part in ["401", "no token was sent", "set HF_TOKEN", "a public repository needs no token"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }

    let token = || Some(HubToken::new("hf_wrong", "the file /home/me/token"));
    let wrong = test_hub.hub_with(|settings| settings.token = token());
    let message = wrong.file(&repo, "model.safetensors").unwrap_err().to_string();
    let expected =
        "(status 401): the token in the file /home/me/token is not valid; it may be expired, revoked or mistyped";
    assert!(message.contains(expected) && message.contains("a public repository needs no token"), "{message}");
    assert!(!message.contains("hf_wrong"), "{message}");

    test_hub.server.change(|behavior| (behavior.token, behavior.forbidden) = (None, true));
    let message = wrong.file(&repo, "model.safetensors").unwrap_err().to_string();
    let expected =
        "(status 403): the token in the file /home/me/token has no access (hint: accept the conditions at http";
    assert!(message.contains(expected), "{message}");

    test_hub.server.change(|behavior| behavior.forbidden = false);
    let message = wrong.file(&RepoRef::model("private").unwrap(), "config.json").unwrap_err().to_string();
    assert!(message.contains("if it is private, the token in the file /home/me/token has no access"), "{message}");
}

/// A file in the place of a folder above the cache: that can't be written by any user.
#[test]
fn a_cache_that_cannot_be_written_names_the_variables_that_move_it() {
    let (test_hub, repo, _) = hub_with_large_file(LARGE);
    let home = tempfile::NamedTempFile::new().unwrap();
    let hub = test_hub.hub_with(|settings| settings.cache = home.path().join("huggingface/hub"));
    for error in [hub.file(&repo, "model.safetensors").unwrap_err(), hub.commit(&repo).unwrap_err()] {
        let message = error.to_string();
        assert!(matches!(error, FetchError::UnwritableCache { .. }), "{message}");
        assert!(message.contains("set HF_HOME to a folder") && message.contains("VERDICT_CACHE"), "{message}");
    }
    // The hint: another place.
    let elsewhere = tempfile::tempdir().unwrap();
    test_hub.hub_with(|settings| settings.cache = elsewhere.path().into()).file(&repo, "model.safetensors").unwrap();
}

#[test]
fn what_does_not_exist_is_named() {
    let (test_hub, repo, _) = hub_with_large_file(LARGE);
    let error = test_hub.hub.file(&repo, "model.bin").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::NoSuchFile { .. }), "{message}");
    for part in ["name", "main", "model.bin", &test_hub.server.endpoint] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let error = test_hub.hub.file(&RepoRef::model("nobody/nothing").unwrap(), "config.json").unwrap_err();
    assert!(matches!(error, FetchError::NoSuchRepo { .. }) && error.to_string().contains("nobody/nothing"), "{error}");
    let error = test_hub.hub.file(&RepoRef::model("name@no-such-branch").unwrap(), "config.json").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::NoSuchRevision { .. }), "{message}");
    assert!(message.starts_with("name on http") && message.contains("has no revision no-such-branch"), "{message}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let (test_hub, repo, content) = hub_with_large_file(HubBehavior { busy: 2, ..LARGE });
    let path = test_hub.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);

    let (test_hub, repo, _) = hub_with_large_file(HubBehavior { busy: 100, ..LARGE });
    let error = test_hub.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 503, .. }) && error.is_unreachable(), "{error}");
}

#[test]
fn an_unreachable_endpoint_is_tried_only_once() {
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cache = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let dead = hub(&format!("http://127.0.0.1:{port}"), cache.path(), |_| ());
    let error = dead.file(&RepoRef::model("name").unwrap(), "config.json").unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
    // Another Hub object, another file: the same process doesn't wait again.
    let again = hub(&format!("http://127.0.0.1:{port}"), cache.path(), |_| ());
    let error = again.reach().unwrap_err();
    assert!(error.to_string().contains("tried before"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_name_that_no_server_knows_is_unreachable() {
    let cache = tempfile::tempdir().unwrap();
    let nowhere = hub("http://no-such-host.invalid", cache.path(), |_| ());
    let start = Instant::now();
    assert!(nowhere.reach().unwrap_err().is_unreachable());
    assert!(start.elapsed() < Duration::from_secs(8));
}

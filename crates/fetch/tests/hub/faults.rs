//! Downloads that go wrong: cut off, proxied, turned, refused.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use disk::sha256_hex;
use fetch::hub::HubToken;
use fetch::{FetchError, RepoRef};

use crate::{World, hub, long_content, unfinished};
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

fn large_world(behavior: HubBehavior) -> (World, RepoRef, Vec<u8>) {
    let content = long_content();
    let world = World::new("models/name", "main", &[("model.safetensors", &content)], behavior);
    (world, RepoRef::model("name").unwrap(), content)
}

/// Nothing may look as if it were there.
fn assert_nothing_ready(world: &World) {
    let folder = world.cache.path().join("models--name");
    let blobs = fs::read_dir(folder.join("blobs")).into_iter().flatten().flatten();
    let ready: Vec<_> =
        blobs.map(|entry| entry.file_name()).filter(|name| !name.to_string_lossy().ends_with(".incomplete")).collect();
    assert!(ready.is_empty(), "{ready:?}");
    assert!(!folder.join("snapshots").exists());
}

#[test]
fn a_body_that_is_cut_off_is_continued() {
    let (world, repo, content) = large_world(HubBehavior { cut_after: Some((150_000, 2)), ..LARGE });
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
    let ranges: Vec<_> = world.server.seen().into_iter().filter(|seen| seen.storage).map(|seen| seen.range).collect();
    let range = |start: u32| Some(format!("bytes={start}-"));
    assert_eq!(ranges, [None, range(150_000), range(300_000)]);
    assert_eq!(unfinished(world.cache.path()), [""; 0]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let (world, repo, content) = large_world(HubBehavior { cut_after: Some((150_000, 2)), no_ranges: true, ..LARGE });
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
}

#[test]
fn a_small_file_that_is_cut_off_is_continued_too() {
    let behavior = HubBehavior { cut_after: Some((3, 1)), ..HubBehavior::default() };
    let world = World::new("models/name", "main", &[("vocab.txt", b"[PAD]\n[UNK]\n")], behavior);
    let path = world.hub.file(&RepoRef::model("name").unwrap(), "vocab.txt").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"[PAD]\n[UNK]\n");
}

#[test]
fn a_download_that_never_gets_on_is_given_up_and_the_next_run_goes_on() {
    let (world, repo, content) = large_world(HubBehavior { cut_after: Some((0, 100)), ..LARGE });
    let error = world.hub.file(&repo, "model.safetensors").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::CutOff { received: 0, .. }), "{message}");
    assert!(message.contains("0 of 400000 bytes") && message.contains("hint"), "{message}");
    assert_nothing_ready(&world);

    let partial = world.cache.path().join("models--name/blobs").join(format!("{}.incomplete", sha256_hex(&content)));
    fs::write(&partial, &content[..250_000]).unwrap();
    world.server.change(|behavior| behavior.cut_after = None);
    world.server.seen();
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
    let last = world.server.seen().pop().unwrap();
    assert_eq!((last.storage, last.range.as_deref()), (true, Some("bytes=250000-")));
}

#[test]
fn turned_bytes_are_fetched_again_and_then_refused() {
    let (world, repo, content) = large_world(HubBehavior { corrupt: 1, ..LARGE });
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);

    let (world, repo, content) = large_world(HubBehavior { corrupt: 100, ..LARGE });
    let error = world.hub.file(&repo, "model.safetensors").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::WrongDigest { .. }) && !error.is_unreachable(), "{message}");
    assert!(message.contains("sha256") && message.contains(&sha256_hex(&content)), "{message}");
    assert_nothing_ready(&world);
    assert_eq!(unfinished(world.cache.path()), [""; 0]);
}

#[test]
fn a_small_file_is_held_against_gits_digest() {
    let behavior = HubBehavior { corrupt: 100, ..HubBehavior::default() };
    let world = World::new("models/name", "main", &[("config.json", b"{}")], behavior);
    let error = world.hub.file(&RepoRef::model("name").unwrap(), "config.json").unwrap_err().to_string();
    assert!(error.contains("git sha1"), "{error}");
    assert_nothing_ready(&world);
}

#[test]
fn a_spoiled_beginning_of_an_earlier_run_is_found_out() {
    let (world, repo, content) = large_world(LARGE);
    let blobs = world.cache.path().join("models--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256_hex(&content))), [7; 5000]).unwrap();
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);
}

#[test]
fn a_web_page_is_not_a_file() {
    let (world, repo, _) = large_world(HubBehavior { web_page: true, ..LARGE });
    let error = world.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }) && error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("proxy"), "{error}");
    // The proxy may also wake up after the API's answer.
    world.server.change(|behavior| behavior.web_page = false);
    world.hub.commit(&repo).unwrap();
    world.server.change(|behavior| behavior.web_page = true);
    let error = world.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::WebPage { .. }), "{error}");
    assert_nothing_ready(&world);
}

#[test]
fn refusals_say_how_to_get_in() {
    let (world, repo, _) = large_world(HubBehavior { token: Some("hf_right"), ..LARGE });
    let message = world.hub.file(&repo, "model.safetensors").unwrap_err().to_string();
    for part in ["401", "no token was sent", "set HF_TOKEN", "a public repository needs no token"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }

    let token = || Some(HubToken::new("hf_wrong", "the file /home/me/token"));
    let wrong = world.hub_with(|settings| settings.token = token());
    let message = wrong.file(&repo, "model.safetensors").unwrap_err().to_string();
    let expected =
        "(status 401): the token in the file /home/me/token is not valid; it may be expired, revoked or mistyped";
    assert!(message.contains(expected) && message.contains("a public repository needs no token"), "{message}");
    assert!(!message.contains("hf_wrong"), "{message}");

    world.server.change(|behavior| (behavior.token, behavior.forbidden) = (None, true));
    let message = wrong.file(&repo, "model.safetensors").unwrap_err().to_string();
    let expected =
        "(status 403): the token in the file /home/me/token has no access (hint: accept the conditions at http";
    assert!(message.contains(expected), "{message}");

    world.server.change(|behavior| behavior.forbidden = false);
    let message = wrong.file(&RepoRef::model("private").unwrap(), "config.json").unwrap_err().to_string();
    assert!(message.contains("if it is private, the token in the file /home/me/token has no access"), "{message}");
}

#[test]
fn what_does_not_exist_is_named() {
    let (world, repo, _) = large_world(LARGE);
    let error = world.hub.file(&repo, "model.bin").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::NoSuchFile { .. }), "{message}");
    for part in ["name", "main", "model.bin", &world.server.endpoint] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let error = world.hub.file(&RepoRef::model("nobody/nothing").unwrap(), "config.json").unwrap_err();
    assert!(matches!(error, FetchError::NoSuchRepo { .. }) && error.to_string().contains("nobody/nothing"), "{error}");
    let error = world.hub.file(&RepoRef::model("name@no-such-branch").unwrap(), "config.json").unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FetchError::NoSuchRevision { .. }), "{message}");
    assert!(message.starts_with("name on http") && message.contains("has no revision no-such-branch"), "{message}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let (world, repo, content) = large_world(HubBehavior { busy: 2, ..LARGE });
    let path = world.hub.file(&repo, "model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), content);

    let (world, repo, _) = large_world(HubBehavior { busy: 100, ..LARGE });
    let error = world.hub.file(&repo, "model.safetensors").unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 503, .. }) && error.is_unreachable(), "{error}");
}

#[test]
fn a_dead_endpoint_is_asked_once_and_given_up_soon() {
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

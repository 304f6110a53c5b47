//! Model folders from the Hub.

use fetch::pretrained_model::hub_model;
use fetch::{FetchError, ModelOrigin};

use crate::TestHub;
use test_support::{COMMIT, HubBehavior, TestProcess};

const MODEL: [(&str, &[u8]); 5] = [
    ("config.json", b"{}"),
    ("model.safetensors", b"weights"),
    ("pytorch_model.bin", b"pickle"),
    ("tokenizer.json", b"{\"model\":{}}"),
    ("vocab.txt", b"[PAD]\n"),
];

#[test]
fn a_model_brings_what_it_has_and_no_pickle() {
    let test_hub = TestHub::new("models/owner/tiny", "main", &MODEL, HubBehavior::default());
    let found = hub_model(&test_hub.hub, "owner/tiny").unwrap();
    assert_eq!(found.name, "owner/tiny");
    assert_eq!(found.origin, ModelOrigin::Hub { revision: COMMIT.to_owned() });
    assert_eq!(found.note, None);
    let mut files: Vec<_> = std::fs::read_dir(&found.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]);

    test_hub.server.seen();
    assert_eq!(hub_model(&test_hub.hub, "owner/tiny").unwrap(), found);
    assert!(test_hub.server.seen().is_empty(), "the second run asked the network");
    let offline = test_hub.hub_with(|settings| settings.offline = true);
    assert_eq!(hub_model(&offline, "owner/tiny").unwrap(), found);
}

#[test]
fn a_revision_is_honored() {
    let test_hub = TestHub::new("models/owner/tiny", "refs/pr/3", &MODEL, HubBehavior::default());
    hub_model(&test_hub.hub, "owner/tiny@refs/pr/3").unwrap();
    let error = hub_model(&test_hub.hub, "owner/tiny").unwrap_err();
    assert!(matches!(error, FetchError::NoSuchRevision { .. }), "{error}");
}

#[test]
fn pickle_and_shards_are_refused_before_anything_large_is_fetched() {
    let files: [(&str, &[u8]); 3] = [("config.json", b"{}"), ("pytorch_model.bin", b"x"), ("vocab.txt", b"x")];
    let test_hub = TestHub::new("models/owner/old", "main", &files, HubBehavior::default());
    let error = hub_model(&test_hub.hub, "owner/old").unwrap_err().to_string();
    for part in ["owner/old", "pytorch_model.bin", "save_pretrained", "NAME@REVISION"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(test_hub.server.seen().iter().all(|seen| !seen.path.contains("pytorch_model.bin")));

    let files: [(&str, &[u8]); 3] = [("config.json", b"{}"), ("model.safetensors.index.json", b"{}"), ("a", b"x")];
    let test_hub = TestHub::new("models/owner/big", "main", &files, HubBehavior::default());
    let error = hub_model(&test_hub.hub, "owner/big").unwrap_err();
    assert!(matches!(error, FetchError::Sharded { .. }), "{error}");

    let test_hub = TestHub::new("models/owner/bare", "main", &MODEL[..2], HubBehavior::default());
    let error = hub_model(&test_hub.hub, "owner/bare").unwrap_err().to_string();
    assert!(error.contains("tokenizer.json (or vocab.txt) missing"), "{error}");
}

/// The part of a process whose environment is the point.
fn fetch_by_the_environment() {
    let found = fetch::pretrained_model(Some("owner/tiny")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.origin, ModelOrigin::Hub { revision: COMMIT.to_owned() });
    println!("FOLDER {}", found.folder.display());
}

#[test]
fn the_environment_leads_to_the_server_and_the_cache() {
    if TestProcess::is_this() {
        return fetch_by_the_environment();
    }
    let behavior = HubBehavior { token: Some("hf_right"), large: ".safetensors", ..HubBehavior::default() };
    let test_hub = TestHub::new("models/owner/tiny", "main", &MODEL, behavior);
    let hf_home = test_hub.cache.path().join("hf-home");
    let run = |offline: &str| {
        let output = TestProcess::command()
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .env("HF_ENDPOINT", &test_hub.server.endpoint)
            .env("HF_HOME", &hf_home)
            .env("HF_TOKEN", "hf_right")
            .env("HF_HUB_OFFLINE", offline)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (success, text) = run("1");
    assert!(!success && text.contains("HF_HUB_OFFLINE is set"), "{text}");
    assert!(test_hub.server.seen().is_empty());
    let (success, text) = run("0");
    let folder = hf_home.join("hub/models--owner--tiny/snapshots").join(COMMIT);
    assert!(success && text.contains(&format!("FOLDER {}", folder.display())), "{text}");
    assert!(!test_hub.server.seen().is_empty());
    let (success, text) = run("1");
    assert!(success, "{text}");
    assert!(test_hub.server.seen().is_empty());
}

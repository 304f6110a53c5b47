//! The Hub's client against a server on this machine that speaks the Hub's API.

mod faults;
mod files;
mod pretrained_model;
mod stanford;

use std::collections::BTreeMap;
use std::path::Path;

use fetch::Hub;
use fetch::hub::HubSettings;
use test_support::{HubBehavior, HubServer};

/// A Hub with one repository, whose cache is a temporary folder.
struct TestHub {
    server: HubServer,
    hub: Hub,
    cache: tempfile::TempDir,
}

impl TestHub {
    /// `repo` is `models/NAME` or `datasets/NAME`.
    fn new(repo: &str, revision: &str, files: &[(&str, &[u8])], behavior: HubBehavior) -> Self {
        let files: BTreeMap<_, _> =
            files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
        let repos = vec![(repo.to_owned(), revision.to_owned(), files)];
        let server = HubServer::start(HubBehavior { repos, ..behavior });
        let cache = tempfile::tempdir().unwrap();
        let hub = hub(&server.endpoint, cache.path(), |_| ());
        Self { server, hub, cache }
    }

    fn hub_with(&self, change: impl FnOnce(&mut HubSettings)) -> Hub {
        hub(&self.server.endpoint, self.cache.path(), change)
    }
}

fn hub(endpoint: &str, cache: &Path, change: impl FnOnce(&mut HubSettings)) -> Hub {
    let mut settings = HubSettings { endpoint: endpoint.to_owned(), ..HubSettings::with_cache(cache) };
    change(&mut settings);
    Hub::new(settings).unwrap()
}

/// Content that no two places of which are alike.
fn long_content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// The names of everything under a folder that is not finished.
fn unfinished(cache: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if name.ends_with(".incomplete") || name.starts_with(disk::UNFINISHED) {
                found.push(name);
            }
        }
    }
    found
}

//! The page of `verdict serve` in a real browser: typed texts are answered, a file comes back labeled, all of it by keyboard
//! too, with nothing from another server, nothing on the console and nothing that axe-core calls serious.
//!
//! The browser is Chromium, driven by Python's playwright (`page_in_a_browser/browser.py`). Both are looked for: playwright in
//! the virtual environment that `VERDICT_PEERS` names, in `target/peers/venv`, `target/venv` and `target/browser-venv`;
//! Chromium on the `PATH`. Where one isn't, the test says so and ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_support::{python_with, skipped};

use crate::support::{HttpServer, Sandbox};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const KEY: &str = "a-key-of-this-test";

/// A Python with playwright and axe-core, and a Chromium.
pub(crate) fn browser() -> Option<(PathBuf, PathBuf)> {
    let python =
        python_with("playwright.sync_api, axe_playwright_python", "playwright axe-playwright-python", "browser-venv")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        |name: &&str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    let chromium = BROWSERS.iter().find_map(in_path);
    if chromium.is_none() {
        skipped("no Chromium on the PATH (`apt-get install chromium` on Debian)");
    }
    Some((python, chromium?))
}

/// What the script saw: it ends with an error at the first thing that isn't as it should be.
fn visit(part: &str, server: &HttpServer, folder: &Path) -> Option<Value> {
    let (python, chromium) = browser()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/page_in_a_browser/browser.py");
    let mut command = Command::new(python);
    command.arg(script).arg(part).arg(server.address()).arg(chromium).arg(folder).env("VERDICT_API_KEY", KEY);
    let output = command.output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{part}: {said}");
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{part}: {error}\n{said}")))
}

/// A folder with a trained run and an evaluation of it.
fn trained() -> Sandbox {
    let sandbox = Sandbox::trained(12);
    sandbox.succeeds("evaluate --run run");
    sandbox
}

#[test]
fn typed_texts_and_files_are_labeled_with_mouse_and_keyboard() {
    if browser().is_none() {
        return;
    }
    let sandbox = trained();
    let server = HttpServer::start(&sandbox, "--run run", &[]);
    sandbox.write("browser/new.csv", "id,Review,stars\n007,the film is superb,5\n8,the plot is awful,1\n9,  ,3\n");
    sandbox.write("browser/columns.csv", "one,two\nthe film is superb,x\n");
    let folder = sandbox.path("browser");
    visit("mouse", &server, &folder).expect("a browser");
    // What the browser has downloaded is what the command writes.
    sandbox.succeeds("predict --run run --file browser/new.csv --output expected.csv");
    let text = |name: &str| String::from_utf8(sandbox.read(name)).expect("UTF-8");
    assert_eq!(text("browser/new-labeled.csv"), text("expected.csv"));

    let keyboard = visit("keyboard", &server, &folder).expect("a browser");
    assert_eq!(text("browser/new-labeled-by-keyboard.csv"), text("expected.csv"));
    assert!(keyboard["stops"].as_u64() > Some(8), "{keyboard}");

    let looks = visit("looks", &server, &folder).expect("a browser");
    assert_eq!(looks["serious"], serde_json::json!([]), "axe-core");
}

#[test]
fn a_page_asks_for_the_key_of_its_server_and_says_what_is_not_known() {
    if browser().is_none() {
        return;
    }
    let sandbox = trained();
    // What a folder from elsewhere doesn't have.
    for name in ["metrics.json", "evaluation-test.json"] {
        std::fs::remove_file(sandbox.path("run").join(name)).expect(name);
    }
    let server = HttpServer::start(&sandbox, "--run run", &[("VERDICT_API_KEY", KEY)]);
    visit("key", &server, &sandbox.path("run"));
}

//! What people bring, by the rows of the list of faults, and the exact words they get.

mod faults;
mod hub;
mod named;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::load;
use crate::dataset::{Dataset, Loaded, SourceChoice};
use crate::load_options::DatasetOptions;
use crate::record::Record;

/// A folder for one test's files.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(&path, content).expect("a written file");
        path
    }

    /// Loads a file, or the folder itself for an empty name.
    fn load(&self, name: &str, options: &DatasetOptions) -> Result<Loaded, String> {
        let path = if name.is_empty() { self.path().to_path_buf() } else { self.path().join(name) };
        load(&Dataset::File(path), &SourceChoice::Auto, options).map_err(|error| self.plain(&error.to_string()))
    }

    /// A message without this machine's folder in it.
    fn plain(&self, message: &str) -> String {
        let folder = self.path().display().to_string();
        message.replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")
    }

    /// The error of loading `content` as the training file `name` beside a sound validation file.
    fn refusal(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let (options, name) = (self.beside_validation(), self.write(name, content));
        let name = name.file_name().expect("a name").to_string_lossy().into_owned();
        self.load(&name, &options).map(|loaded| format!("{loaded:?}")).expect_err("a refusal")
    }

    /// The data set of `content` as the training file `name` beside a sound validation file.
    fn accepted(&self, name: &str, content: impl AsRef<[u8]>) -> Loaded {
        let options = self.beside_validation();
        self.write(name, content);
        self.load(name, &options).expect("accepted")
    }

    fn beside_validation(&self) -> DatasetOptions {
        let file = self.write("other/validation.csv", "text,label\nquite good,pos\nquite bad,neg\n");
        DatasetOptions { validation_file: Some(file), ..DatasetOptions::default() }
    }
}

fn texts(records: &[Record]) -> Vec<(&str, Option<u32>)> {
    records.iter().map(|record| (record.text.as_str(), record.label)).collect()
}

//! Whether two preparations have the same inputs.

use disk::Sha256Hasher;
use tokenize::Tokenizer;

use crate::loaded::Loaded;
use crate::manifest::ModelSource;

/// The form of the splits' files. It isn't the manifest's: a run stays tied to its data while only what is told about
/// the data changes.
const SPLIT_FILE_FORMAT: u32 = 1;

/// sha256 over everything that decides about the prepared directory, each part with its length before it.
pub(super) fn fingerprint(loaded: &Loaded, model: &ModelSource, tokenizer: &Tokenizer) -> String {
    let mut hasher = Sha256Hasher::default();
    let mut add = |part: &str| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(&format!("format {SPLIT_FILE_FORMAT} version {}", env!("CARGO_PKG_VERSION")));
    add(&format!("{:?} {} {}", model.origin, tokenizer.sha256(), tokenizer.max_length()));
    for part in [&loaded.dataset, &loaded.variant, &loaded.source, &loaded.license, &model.name] {
        add(part);
    }
    loaded.source_sha256.iter().for_each(|(name, sha256)| add(&format!("{name}\n{sha256}")));
    add(&loaded.label_names.len().to_string());
    loaded.label_names.iter().for_each(|name| add(name));
    for (name, records) in loaded.splits() {
        add(&format!("{} {}", name.name(), records.len()));
        for record in records {
            add(&record.text);
            add(&record.label.map_or(String::new(), |label| label.to_string()));
        }
    }
    hasher.finish()
}

//! Damaged files before every reader of this package. What must hold is in `tests/mutation/mod.rs`.

#[path = "../../../../tests/mutation/mod.rs"]
mod mutation;
mod prepared;
mod tables;
mod tokenizers;
mod trees;

#[global_allocator]
static ALLOCATOR: mutation::Counting = mutation::Counting;

/// A record's label is one of the data set's, or none.
fn assert_sound(loaded: &data::Loaded) {
    let labels = loaded.label_names.len();
    for record in [&loaded.train, &loaded.validation, &loaded.test].into_iter().flatten() {
        assert!(record.label.is_none_or(|label| (label as usize) < labels), "{record:?} with {labels} labels");
        assert!(!data::record::is_blank(&record.text), "a blank text");
    }
}

//! Fuzz tests of every reader of this package. `test_support::fuzz` says what must hold.

mod label_maps;
mod own_files;
mod prepared;
mod trees;

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

/// A record's label is one of the data set's, or none.
fn assert_sound(loaded: &data::Loaded) {
    let labels = loaded.label_names.len();
    for record in [&loaded.train, &loaded.validation, &loaded.test].into_iter().flatten() {
        assert!(record.label.is_none_or(|label| (label as usize) < labels), "{record:?} with {labels} labels");
        assert!(!data::is_blank(&record.text), "a blank text");
    }
}

//! Whether runs were scored on the same rows: only then their scores can be held against each other.

use super::compared_run::ComparedRun;
use crate::run_report::{is_of, wording::rows};

/// How the rows of two runs relate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowRelation {
    /// The same rows in the same order.
    Same,
    /// The same by everything that is kept, but prepared twice: for another tokenizer, or with other options.
    PreparedTwice,
    /// Other rows, and in what they differ.
    Other(String),
}

/// What the reader must know of the rows of `runs`, held against those of the first; empty where all are the same.
pub(super) fn notes(runs: &[ComparedRun]) -> Vec<String> {
    let Some((first, others)) = runs.split_first() else { return Vec::new() };
    let note = |other: &ComparedRun| match relation(first, other) {
        RowRelation::Same => None,
        RowRelation::PreparedTwice => Some(format!(
            "{} and {} were scored on data that was prepared separately. Source, split and labels agree, so the rows should be \
             the same; that they are is not checked.",
            first.name, other.name
        )),
        RowRelation::Other(what) => Some(format!(
            "{} and {} were not scored on the same rows: {what}. A difference of their scores says nothing of the models.",
            first.name, other.name
        )),
    };
    others.iter().filter_map(note).collect()
}

/// How the rows of two runs relate, by everything that is kept of them.
pub(super) fn relation(one: &ComparedRun, other: &ComparedRun) -> RowRelation {
    let (a, b) = (&one.result, &other.result);
    if a.label_names != b.label_names {
        return RowRelation::Other(format!("labels {} and {}", a.label_names.join(", "), b.label_names.join(", ")));
    }
    if a.dataset != b.dataset || a.split != b.split {
        return RowRelation::Other(format!("{} of {} and {} of {}", a.split, a.dataset, b.split, b.dataset));
    }
    let counts =
        |run: &ComparedRun| -> Vec<u64> { run.result.report.per_class.iter().map(|class| class.support).collect() };
    if counts(one) != counts(other) {
        let (a, b) = (rows(a.report.examples), rows(b.report.examples));
        return RowRelation::Other(format!("{a} and {b}, in other shares of the labels or another number"));
    }
    if a.source != b.source {
        return RowRelation::Other(format!("from {} and from {}", a.source, b.source));
    }
    let own = |run: &ComparedRun| run.manifest.clone().filter(|manifest| is_of(manifest, &run.result));
    match (own(one), own(other)) {
        (Some(x), Some(y)) if x.fingerprint == y.fingerprint => RowRelation::Same,
        (Some(x), Some(y)) if x.source_sha256 != y.source_sha256 => {
            RowRelation::Other("the source files have other content".to_owned())
        }
        _ => RowRelation::PreparedTwice,
    }
}

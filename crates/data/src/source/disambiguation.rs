//! What tells each data set from those it is taken for.
//!
//! "SST-2" alone means at least three data sets in papers, and their scores can't be compared. So whoever prepares one
//! is told which it is, in words, wherever its figures stand.

use crate::treebank::Classes;

pub(super) const GLUE: &str = "This is GLUE's SST-2: 67,349 phrases to train on, whole sentences only in validation \
    (872) and test (1,821), and the test labels are hidden, so scores are on validation. It is not the treebank's own \
    two-class form (sst2: 6,920 training sentences, test labels public), nor the five-class SST-5 (sst5: 8,544 training \
    sentences). Its scores don't compare with theirs.";

pub(super) const REVIEWS: &str = "This is not the Stanford Sentiment Treebank, although most of its sentences are \
    sentences of it: the ratings are other people's and the splits are made here by hash. Don't score a model trained \
    on the one with the other, and don't hold its scores against SST's.";

/// The treebank's roots in `classes` classes, with or without the phrases of the training trees.
pub(super) fn treebank(classes: Classes, phrases: bool) -> String {
    let form = match (classes, phrases) {
        (Classes::Two, false) => {
            "This is SST-2 as whole sentences (6,920 to train on; neutral ones left out; test labels public). It is \
             not GLUE's SST-2 (glue-sst2), which trains on 67,349 phrases and hides its test labels, nor SST-5 (sst5), \
             which has 8,544 training sentences in five classes. Scores on them don't compare."
        }
        (Classes::Two, true) => {
            "This is SST-2 with phrases: 6,920 sentences and every other labelled phrase of their trees; validation \
             and test are whole sentences. It is not GLUE's SST-2 (glue-sst2), whose 67,349 phrases are another choice \
             and whose test labels are hidden, nor the 6,920 sentences alone (sst2 without --phrases)."
        }
        (Classes::Three, _) => {
            "This is the treebank with its five classes folded into three (8,544 training sentences, neutral ones \
             kept). Papers report two or five classes: their SST-2 (6,920 sentences, or GLUE's 67,349 phrases) and \
             SST-5 scores don't compare with it."
        }
        (Classes::Five, _) => {
            "This is SST-5, the fine-grained form: 8,544 training sentences in five classes. It is not SST-2, which \
             has two classes and 6,920 sentences (sst2) or 67,349 phrases (glue-sst2); five classes are much the harder \
             task, so an accuracy here is far below an equally good model's there."
        }
    };
    if phrases && classes != Classes::Two {
        format!("{form} The phrases of the training trees are added to train; validation and test are whole sentences.")
    } else {
        form.into()
    }
}

//! Deals the rows of a table without splits: by the hash of each text, or by its rank among the texts of a label.

use std::collections::{BTreeMap, BTreeSet};

use crate::labels::{Classes, SplitRows};
use crate::record::{Split, SplitHash};

/// How rows are dealt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deal {
    pub(crate) seed: u64,
    /// The shares of validation and test.
    pub(crate) validation: f64,
    pub(crate) test: f64,
    /// Each label by the ranks of its texts' hashes, so that every label has these shares.
    pub(crate) stratify: bool,
}

impl Deal {
    /// Deals the rows of train. The rows of a label that none would be left of in train all stay there; a note names
    /// these labels.
    pub(crate) fn run(&self, split_rows: &mut SplitRows, classes: &Classes) -> Option<String> {
        let rows = split_rows.split(Split::Train);
        let texts: Vec<SplitHash> =
            rows.iter().map(|row| SplitHash::new(row.text.as_deref().unwrap_or_default(), self.seed)).collect();
        let labels: Vec<Option<u32>> = rows.iter().map(|row| classes.class_of(row)).collect();
        let mut dealt: Vec<Split> = if self.stratify {
            let by_text = self.ranked(&texts, &labels);
            texts.iter().map(|text| by_text[text]).collect()
        } else {
            texts.iter().map(|text| Split::of(*text, self.validation, self.test)).collect()
        };
        let in_train: BTreeSet<u32> = labels_in(Split::Train, &labels, &dealt);
        let all: BTreeSet<u32> = labels.iter().flatten().copied().collect();
        for (split, label) in dealt.iter_mut().zip(&labels) {
            if label.is_some_and(|label| !in_train.contains(&label)) {
                *split = Split::Train;
            }
        }
        let mut parts = vec![Split::Validation];
        parts.extend((self.test > 0.0).then_some(Split::Test));
        let found: Vec<BTreeSet<u32>> = parts.iter().map(|split| labels_in(*split, &labels, &dealt)).collect();
        let rare: Vec<u32> =
            all.iter().copied().filter(|label| !found.iter().any(|found| found.contains(label))).collect();
        let note = (!rare.is_empty()).then(|| {
            let rows_of = |label: &u32| labels.iter().filter(|found| **found == Some(*label)).count();
            let named = |label: &u32| {
                let rows = rows_of(label);
                format!("{:?} ({rows} {})", classes.name(*label), if rows == 1 { "row" } else { "rows" })
            };
            let names: Vec<String> = rare.iter().map(named).collect();
            let splits: Vec<&str> = parts.iter().map(|split| split.name()).collect();
            let has_a_share = |label: &u32| (rows_of(label) as f64 * self.validation).round() >= 1.0;
            let hint = match !self.stratify && rare.iter().any(has_a_share) {
                true => " (hint: --stratify gives each label its share of every split)",
                false => "",
            };
            format!("no row in {}, all in train: {}{hint}", splits.join(" or "), names.join(", "))
        });
        split_rows.resplit_train(&dealt);
        note
    }

    /// The split of each text: the lowest ranks among the texts of a label are test, the next ones validation. A text
    /// with several labels counts for the first of them.
    fn ranked(&self, texts: &[SplitHash], labels: &[Option<u32>]) -> BTreeMap<SplitHash, Split> {
        let mut label_of: BTreeMap<SplitHash, Option<u32>> = BTreeMap::new();
        for (text, label) in texts.iter().zip(labels) {
            let known = label_of.entry(*text).or_insert(*label);
            *known = (*known).min(*label);
        }
        let mut of_label: BTreeMap<Option<u32>, Vec<SplitHash>> = BTreeMap::new();
        label_of.into_iter().for_each(|(text, label)| of_label.entry(label).or_default().push(text));
        let mut dealt = BTreeMap::new();
        for texts in of_label.into_values() {
            // One text at least stays in train.
            let most = texts.len() - 1;
            let count = |share: f64| (texts.len() as f64 * share).round() as usize;
            let test = count(self.test).min(most);
            let validation = count(self.validation).min(most - test);
            for (rank, text) in texts.into_iter().enumerate() {
                let split = match rank {
                    _ if rank < test => Split::Test,
                    _ if rank < test + validation => Split::Validation,
                    _ => Split::Train,
                };
                dealt.insert(text, split);
            }
        }
        dealt
    }
}

fn labels_in(split: Split, labels: &[Option<u32>], dealt: &[Split]) -> BTreeSet<u32> {
    labels.iter().zip(dealt).filter(|(_, of)| **of == split).filter_map(|(label, _)| *label).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::load_options::DatasetOptions;
    use crate::loaded::Loaded;
    use crate::source::tests::TempDataset;

    fn rows(counts: &[(&str, usize)]) -> String {
        let row = |label: &str, row: usize| format!("{label} text number {row},{label}\n");
        counts.iter().flat_map(|(label, count)| (0..*count).map(|at| row(label, at))).collect()
    }

    /// How many rows of each label the splits have.
    fn counts(loaded: &Loaded) -> BTreeMap<&str, [usize; 3]> {
        let mut found = BTreeMap::new();
        for (at, (_, records)) in loaded.splits().into_iter().enumerate() {
            for label in records.iter().filter_map(|record| record.label) {
                found.entry(loaded.label_names[label as usize].as_str()).or_insert([0; 3])[at] += 1;
            }
        }
        found
    }

    #[test]
    fn a_label_without_a_training_row_moves_to_train_and_all_of_them_are_said_once() {
        let temp = TempDataset::new();
        temp.write(
            "rare.csv",
            format!("text,label\n{}", rows(&[("pos", 90), ("neg", 90), ("refund", 2), ("late", 1)])),
        );
        for seed in 0..12 {
            let options = DatasetOptions { seed: Some(seed), ..DatasetOptions::default() };
            let loaded = temp.load("rare.csv", &options).expect("whatever the seed");
            let found = counts(&loaded);
            assert!(found.values().all(|[train, ..]| *train > 0), "{seed}: {found:?}");
            let said: Vec<&String> = loaded.notes.iter().filter(|note| note.contains("all in train")).collect();
            let expected: Vec<&str> =
                ["late", "refund"].into_iter().filter(|label| found[label][1..] == [0, 0]).collect();
            assert_eq!(said.len(), usize::from(!expected.is_empty()));
            assert!(expected.iter().all(|label| said[0].contains(&format!("{label:?} ("))), "{said:?}");
            assert!(expected.contains(&"late"), "a single row is in train");
        }
    }

    #[test]
    fn a_stratified_split_has_each_label_in_its_share_and_equal_texts_together() {
        let temp = TempDataset::new();
        temp.write("a.csv", format!("text,label\n{}", rows(&[("pos", 200), ("neg", 50), ("rare", 10), ("one", 1)])));
        let options = DatasetOptions { stratify: true, ..DatasetOptions::default() };
        let loaded = temp.load("a.csv", &options).expect("a data set");
        let expected = [("neg", [40, 5, 5]), ("one", [1, 0, 0]), ("pos", [160, 20, 20]), ("rare", [8, 1, 1])];
        assert_eq!(counts(&loaded), expected.into());
        assert!(loaded.notes.contains(&"no row in validation or test, all in train: \"one\" (1 row)".to_owned()));
        assert!(loaded.variant.contains("stratified"), "{}", loaded.variant);
        // The order of the rows decides nothing.
        let text = std::fs::read_to_string(temp.path().join("a.csv")).expect("read");
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.reverse();
        temp.write("a.csv", format!("text,label\n{}\n", lines.join("\n")));
        let reversed = temp.load("a.csv", &options).expect("a data set");
        assert!(loaded.test.iter().all(|record| reversed.test.contains(record)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Whatever rows there are, equal texts share a split, and every label has a training row.
        #[test]
        fn every_row_is_dealt(
            labels in prop::collection::vec(0..4_usize, 40..90), texts in 10..80_usize, stratify in any::<bool>(),
        ) {
            let temp = TempDataset::new();
            let row = |(at, label): (usize, &usize)| format!("Text {},{}\n", at % texts, ["a", "b", "c", "d"][*label]);
            temp.write("a.csv", format!("text,label\n{}", labels.iter().enumerate().map(row).collect::<String>()));
            let options = DatasetOptions { stratify, split_ratio: Some(0.3), ..DatasetOptions::default() };
            if let Ok(loaded) = temp.load("a.csv", &options) {
                prop_assert_eq!(loaded.splits().iter().map(|(_, records)| records.len()).sum::<usize>(), labels.len());
                prop_assert!(counts(&loaded).values().all(|[train, ..]| *train > 0));
                if texts >= labels.len() {
                    let texts = |at: usize| loaded.splits()[at].1.iter().map(|record| &record.text).collect::<Vec<_>>();
                    prop_assert!(texts(1).iter().all(|text| !texts(0).contains(text) && !texts(2).contains(text)));
                }
            }
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use disk::faults::power_cuts;

use super::*;
use crate::prepare::tests::TempWorkspace;

/// Prepared data of three classes with 39, 19 and 6 texts, of which some stand there twice.
fn prepared() -> (TempWorkspace, Prepared) {
    let workspace = TempWorkspace::new();
    let texts = (0..64).map(|row| {
        let label = match row % 10 {
            0 if row > 0 => "rare",
            1 | 4 | 7 => "neg",
            _ => "pos",
        };
        (format!("film number{row}"), label)
    });
    let mut rows: Vec<String> = texts.map(|(text, label)| format!("{text},{label}\n")).collect();
    // The same text, but for case and space, with the same label and with another one.
    rows.insert(9, "FILM  number2,pos\n".to_owned());
    rows.push("film number40 ,rare\n".to_owned());
    rows.push("film number1,pos\n".to_owned());
    fs::write(workspace.path("data/train.csv"), "text,label\n".to_owned() + &rows.concat()).unwrap();
    for (split, number) in [("validation", 20), ("test", 21)] {
        let row = |(at, label): (usize, &str)| format!("good number{number}{at},{label}\n");
        let rows: String = ["pos", "neg", "rare"].into_iter().enumerate().map(row).collect();
        fs::write(workspace.path(&format!("data/{split}.csv")), "text,label\n".to_owned() + &rows).unwrap();
    }
    let summary = workspace.prepare(&["--allow-leakage", "--max-length", "16"]).unwrap();
    (workspace, summary.prepared)
}

#[test]
fn each_row_is_held_out_once_and_classes_are_spread_evenly() {
    let (_workspace, prepared) = prepared();
    let train = prepared.split("train").unwrap();
    assert_eq!(train.len(), 67);
    for count in 2..=6 {
        let folds = Folds::deal(&prepared, count, 42).unwrap();
        let mut seen: Vec<usize> = (1..=count).flat_map(|fold| folds.held_out(fold)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..67).collect::<Vec<_>>());
        // Texts of a class, each counted once and for the first of its labels.
        let mut of_class: BTreeMap<u32, BTreeMap<u32, BTreeSet<String>>> = BTreeMap::new();
        let normal = |row: usize| crate::record::normalized(train.text(row).unwrap());
        for row in 0..train.len() {
            let same: Vec<usize> = (0..train.len()).filter(|&other| normal(other) == normal(row)).collect();
            assert!(same.iter().all(|&other| folds.fold_of_row[other] == folds.fold_of_row[row]), "row {row}");
            let class = same.iter().filter_map(|&other| train.label(other)).min().unwrap();
            of_class.entry(class).or_default().entry(folds.fold_of_row[row]).or_default().insert(normal(row));
        }
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        for (class, of_fold) in &of_class {
            let counts: Vec<usize> = (1..=count).map(|fold| of_fold.get(&fold).map_or(0, BTreeSet::len)).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(*least > 0 && most - least <= 1, "class {class} in {count} folds: {counts:?}");
            (1..).zip(&counts).for_each(|(fold, texts)| *sizes.entry(fold).or_default() += texts);
        }
        assert!(sizes.values().max().unwrap() - sizes.values().min().unwrap() <= 1, "{sizes:?}");
    }
    let seeds: BTreeSet<Vec<u32>> = (0..5).map(|seed| Folds::deal(&prepared, 5, seed).unwrap().fold_of_row).collect();
    assert_eq!(seeds.len(), 5, "the seed decides");
    let again = || Folds::deal(&prepared, 5, 3).unwrap();
    assert_eq!(again(), again());
}

#[test]
fn the_data_of_a_fold_is_prepared_data_that_holds_what_it_says() {
    let (workspace, prepared) = prepared();
    let folder = workspace.path("folds");
    let folds = Folds::deal(&prepared, 3, 7).unwrap();
    assert_eq!(Folds::read(&folder).unwrap(), None);
    folds.write(&prepared, &folder).unwrap();
    assert_eq!(Folds::read(&folder).unwrap().as_ref(), Some(&folds));
    let whole = prepared.split("train").unwrap();
    let row = |examples: &Examples, row: usize| {
        let ids = examples.input_ids(row).unwrap().to_vec();
        (examples.text(row).unwrap().to_owned(), examples.label(row), ids)
    };
    let mut fingerprints = BTreeSet::from([prepared.manifest.fingerprint.clone()]);
    for fold in 1..=3 {
        let data = Prepared::open(&Folds::data(&folder, fold)).unwrap();
        data.verify().unwrap();
        assert_eq!(data.audit().unwrap(), prepared.audit().unwrap());
        let (train, held_out) = (data.split("train").unwrap(), data.split("validation").unwrap());
        let rows = folds.held_out(fold);
        let others: Vec<usize> = (0..whole.len()).filter(|row| !rows.contains(row)).collect();
        for (split, rows) in [(&train, &others), (&held_out, &rows)] {
            assert_eq!(split.len(), rows.len());
            assert!((0..split.len()).all(|at| row(split, at) == row(&whole, rows[at])), "fold {fold}");
        }
        for (name, split) in [("train", &train), ("validation", &held_out)] {
            let counts = &data.manifest.splits[name].label_counts;
            let count = |class: u32| (0..split.len()).filter(|&row| split.label(row) == Some(class)).count();
            assert_eq!(*counts, (0..3).map(count).collect::<Vec<_>>());
        }
        assert_eq!(data.manifest.splits["test"], prepared.manifest.splits["test"]);
        let of_test = |data: &Prepared| fs::read(data.dir.join("test.arrow")).unwrap();
        assert!(of_test(&data) == of_test(&prepared), "the test split is the original");
        assert!(data.manifest.variant.ends_with(&format!("fold {fold} of 3 (seed 7)")), "{}", data.manifest.variant);
        let note = data.manifest.notes.last().unwrap();
        assert!(note.contains(&format!("{} rows", rows.len())) && note.contains("takes no part"), "{note}");
        fingerprints.insert(data.manifest.fingerprint);
    }
    assert_eq!(fingerprints.len(), 4, "no fold is taken for another one, or for the whole");
}

#[test]
fn more_folds_than_a_class_has_texts_are_refused_with_the_number_that_works() {
    let (_workspace, prepared) = prepared();
    let message = Folds::deal(&prepared, 7, 42).unwrap_err().to_string();
    assert!(message.contains("the class \"rare\" has 6 different texts") && message.contains("--folds 6"), "{message}");
    assert!(Folds::deal(&prepared, 6, 42).is_ok(), "the hint works");
}

#[test]
fn folds_are_whole_or_written_again_after_a_power_cut() {
    let (workspace, prepared) = prepared();
    let folder = workspace.path("cut");
    fs::create_dir(&folder).unwrap();
    let folds = Folds::deal(&prepared, 2, 42).unwrap();
    let write = || folds.write(&prepared, &folder);
    power_cuts(
        &folder,
        || {},
        write,
        |written, state| {
            if written.is_ok() || Folds::read(&folder).is_ok_and(|found| found.is_some()) {
                assert_eq!(Folds::read(&folder).unwrap().as_ref(), Some(&folds), "{state}");
                (1..=2).for_each(|fold| Prepared::open(&Folds::data(&folder, fold)).unwrap().verify().unwrap());
            }
        },
    );
}

#[test]
fn a_damaged_list_of_folds_is_named() {
    let (workspace, prepared) = prepared();
    let folder = workspace.path("folds");
    Folds::deal(&prepared, 2, 42).unwrap().write(&prepared, &folder).unwrap();
    let text = fs::read_to_string(folder.join(FOLDS)).unwrap();
    for (damaged, words) in
        [(text.replace("\"count\":2", "\"count\":1"), "found 2"), (text[..30].to_owned(), "not a list")]
    {
        fs::write(folder.join(FOLDS), damaged).unwrap();
        let message = Folds::read(&folder).unwrap_err().to_string();
        assert!(message.contains(FOLDS) && message.contains(words), "{message}");
    }
}

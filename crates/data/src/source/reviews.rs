//! 10,605 movie-review sentences, each rated by about 20 people from -4 (very negative) to 4 (very positive).
//!
//! The file is `movieReviewSnippets_GroundTruth.txt` of Hutto & Gilbert 2014: id TAB mean rating TAB text, UTF-8, lines
//! ended by CRLF. How a mean rating `r` becomes a class:
//!
//! | classes | rule | sentences |
//! | --- | --- | --- |
//! | 2 | negative `r <= -0.5`, positive `r >= 0.5`; the 533 between are left out | 5,076 / 4,996 |
//! | 3 | negative `r <= -1`, neutral between, positive `r >= 1` | 4,575 / 1,432 / 4,598 |
//! | 5 | very negative `r <= -2`, negative `r <= -1`, neutral between, positive `r >= 1`, very positive `r >= 2` | 2,052 / 2,523 / 1,432 / 2,411 / 2,187 |
//!
//! The file has no splits. They are made by hash of the text in lower case (see [`crate::record::Split::of`], seed 0): 80 %
//! train, 10 % validation, 10 % test, the same on every machine, and equal texts stay together. Accents count here, so that
//! results on these splits stay comparable.

use std::path::{Path, PathBuf};

use table::{Lines, TableError, quoted};

use super::choice::Source;
use super::named::{FolderFiles, NamedDataset};
use super::{FIVE_CLASSES, THREE_CLASSES, TWO_CLASSES, digests};
use crate::error::DataError;
use crate::loaded::Loaded;
use crate::record::{Record, Split, SplitHash, is_blank, lower_case};
use crate::thousands::{grouped, listed_sizes};

pub(super) static DATASETS: [NamedDataset; 3] = [
    NamedDataset {
        name: "reviews",
        about: "packaged film-review sentences, rated by people",
        label_names: TWO_CLASSES,
        rows: [8_016, 1_056, 1_000],
        ..REVIEWS
    },
    NamedDataset { name: "reviews3", about: "the reviews in three classes", label_names: THREE_CLASSES, ..REVIEWS },
    NamedDataset { name: "reviews5", about: "the reviews in five classes", label_names: FIVE_CLASSES, ..REVIEWS },
];

/// What the data sets made of the reviews have in common.
const REVIEWS: NamedDataset = NamedDataset {
    name: "",
    about: "",
    label_names: &[],
    rows: [8_438, 1_116, 1_051],
    license: "MIT (Hutto & Gilbert 2014)",
    flags: &["--classes"],
    downloads: &[(Source::Packaged, |request| packaged(request.dataset))],
    folder: Some(FolderFiles { files: &[FILE], load: |folder, request| from_folder(folder, request.dataset) }),
};

const DISAMBIGUATION: &str = "This is not the Stanford Sentiment Treebank, although most of its sentences are \
    sentences of it: the ratings are other people's and the splits are made here by hash. Don't score a model trained \
    on the one with the other, and don't hold its scores against SST's.";

const FILE: &str = "movieReviewSnippets_GroundTruth.txt";
/// The longest line has 277 bytes.
const MAX_LINE: usize = 64 * 1024;

/// The form of the reviews that has the same labels as `other`.
pub(super) fn with_labels_of(other: &NamedDataset) -> &'static NamedDataset {
    DATASETS.iter().find(|dataset| dataset.label_names == other.label_names).unwrap_or(&DATASETS[0])
}

/// Reads the sentences from the package that `pip` downloads.
pub(super) fn packaged(dataset: &NamedDataset) -> Result<Loaded, DataError> {
    let path = fetch::packaged::reviews().map_err(|source| DataError::Fetch { source_name: "packaged", source })?;
    read(&path, dataset, "packaged with vaderSentiment 0.5".into())
}

fn from_folder(folder: &Path, dataset: &NamedDataset) -> Result<Loaded, DataError> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Err(DataError::content(folder, format!("{FILE} is not in this folder (hint: --source packaged)")));
    }
    read(&path, dataset, format!("folder {}", folder.display()))
}

fn read(path: &Path, dataset: &NamedDataset, source: String) -> Result<Loaded, DataError> {
    let classes = dataset.label_names.len();
    let mut splits: [Vec<Record>; 3] = Default::default();
    let mut left_out = 0_usize;
    for line in Lines::open(path, MAX_LINE)? {
        let (number, line) = line?;
        if line.trim().is_empty() {
            continue;
        }
        let (rating, text) =
            fields(&line).map_err(|reason| TableError::Line { path: path.into(), line: number, reason })?;
        match class(rating, classes) {
            Some(label) => {
                let split = Split::of(SplitHash::of_form(&lower_case(text), 0), 0.1, 0.1) as usize;
                splits[split].push(Record::labeled(text, label));
            }
            None => left_out += 1,
        }
    }
    let [train, validation, test] = splits;
    let sizes = listed_sizes([train.len(), validation.len(), test.len()]);
    let notes = match left_out {
        0 => Vec::new(),
        _ => vec![format!("{} sentences rated between -0.5 and 0.5 are left out as neutral", grouped(left_out))],
    };
    Ok(Loaded {
        dataset: dataset.name.into(),
        variant: format!("movie-review sentences rated by people, {classes} classes: {sizes} by hash of the text"),
        disambiguation: Some(DISAMBIGUATION.into()),
        source,
        license: dataset.license.into(),
        source_sha256: digests(&[PathBuf::from(path)])?,
        label_names: dataset.label_names.iter().map(|name| name.to_string()).collect(),
        train,
        validation,
        test,
        notes,
        ..Loaded::default()
    })
}

fn fields(line: &str) -> Result<(f64, &str), String> {
    let mut parts = line.splitn(3, '\t');
    let (Some(_id), Some(rating), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("{} is not id TAB rating TAB text", quoted(line)));
    };
    let rating = rating
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|rating| (-4.0..=4.0).contains(rating))
        .ok_or_else(|| format!("rating {} is not a number from -4 to 4", quoted(rating)))?;
    let text = text.trim();
    if is_blank(text) { Err("no text behind the rating".into()) } else { Ok((rating, text)) }
}

/// The class of a mean rating; `None` where it is left out.
fn class(rating: f64, classes: usize) -> Option<u32> {
    let steps: &[f64] = match classes {
        2 if rating.abs() < 0.5 => return None,
        2 => &[0.0],
        3 => &[-1.0, 1.0],
        _ => &[-2.0, -1.0, 1.0, 2.0],
    };
    // A rating on a step belongs to the side away from neutral.
    Some(steps.iter().filter(|step| if **step > 0.0 { rating >= **step } else { rating > **step }).count() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_options::DatasetOptions;
    use crate::source::tests::{TempDataset, dataset};
    use crate::source::{Dataset, SourceChoice, load};

    #[test]
    fn reviews_are_classified_by_rating_and_split_by_hash() {
        let temp = TempDataset::new();
        let ratings = [-4.0, -2.0, -1.9, -1.0, -0.9, -0.5, -0.4, 0.4, 0.5, 0.9, 1.0, 1.9, 2.0, 4.0];
        let line = |(id, rating): (usize, &f64)| format!("{id}\t{rating}\tsentence number {id}\r\n");
        temp.write("movieReviewSnippets_GroundTruth.txt", ratings.iter().enumerate().map(line).collect::<String>());
        let labels = |classes: usize| {
            let dataset =
                Dataset::Named(DATASETS.iter().find(|known| known.label_names.len() == classes).expect("a form"));
            let loaded =
                load(&dataset, &SourceChoice::Folder(temp.path().into()), &DatasetOptions::default()).expect("reviews");
            assert_eq!(loaded.label_names.len(), classes);
            let all = loaded.train.iter().chain(&loaded.validation).chain(&loaded.test);
            let mut rows: Vec<(usize, u32)> = all
                .map(|record| {
                    (
                        record.text.trim_start_matches("sentence number ").parse().expect("an id"),
                        record.label.expect("a label"),
                    )
                })
                .collect();
            rows.sort();
            rows.into_iter().map(|(_, label)| label).collect::<Vec<u32>>()
        };
        assert_eq!(labels(2), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(labels(3), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(labels(5), [0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4]);
        temp.write("movieReviewSnippets_GroundTruth.txt", "1\t0.7\tgood\n2\t5\tbad\n");
        let folder = SourceChoice::Folder(temp.path().into());
        let error = load(&dataset("reviews"), &folder, &DatasetOptions::default()).expect_err("a rating of 5");
        assert_eq!(
            temp.plain(&error.to_string()),
            "movieReviewSnippets_GroundTruth.txt: line 2: rating \"5\" is not a number from -4 to 4"
        );
    }
}

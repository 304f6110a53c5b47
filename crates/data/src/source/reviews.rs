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
//! There is no split of old. Ours is by hash of the text (see [`crate::record::Split::of`], seed 0): 80 % train, 10 %
//! validation, 10 % test, the same on every machine, and equal texts stay together.

use std::path::{Path, PathBuf};

use table::{Lines, TableError, quoted};

use super::digests;
use crate::dataset::{Dataset, Loaded, Places};
use crate::error::DataError;
use crate::record::{Record, Split, is_blank};
use crate::thousands::{grouped, listed_sizes};

const FILE: &str = "movieReviewSnippets_GroundTruth.txt";
/// The longest line has 277 bytes.
const MAX_LINE: usize = 64 * 1024;

/// Reads the sentences that `pip` brings, where nothing else can be reached.
pub(super) fn packaged(classes: u32) -> Result<Loaded, DataError> {
    let path = fetch::packaged::reviews().map_err(|source| DataError::Fetch { source_name: "packaged", source })?;
    read(&path, classes, "packaged with vaderSentiment 0.5".into())
}

pub(super) fn from_folder(folder: &Path, classes: u32) -> Result<Loaded, DataError> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Err(DataError::content(folder, format!("{FILE} is not in this folder (hint: --source packaged)")));
    }
    read(&path, classes, format!("folder {}", folder.display()))
}

fn read(path: &Path, classes: u32, source: String) -> Result<Loaded, DataError> {
    let label_names: &[&str] = match classes {
        2 => &["negative", "positive"],
        3 => &["negative", "neutral", "positive"],
        5 => &["very negative", "negative", "neutral", "positive", "very positive"],
        other => {
            return Err(DataError::Request(format!("reviews with {other} classes: choose 2, 3 or 5")));
        }
    };
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
                let split = Split::of(text, 0, 0.1, 0.1) as usize;
                splits[split].push(Record::labelled(text, label));
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
        dataset: Dataset::Reviews { classes }.name(),
        variant: format!("movie-review sentences rated by people, {classes} classes: {sizes} by hash of the text"),
        disambiguation: Some(super::disambiguation::REVIEWS.into()),
        source,
        licence: "MIT (Hutto & Gilbert 2014)".into(),
        source_sha256: digests(&[PathBuf::from(path)])?,
        label_names: label_names.iter().map(|name| name.to_string()).collect(),
        train,
        validation,
        test,
        places: Places::default(),
        empty_dropped: 0,
        notes,
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
fn class(rating: f64, classes: u32) -> Option<u32> {
    let steps: &[f64] = match classes {
        2 if rating.abs() < 0.5 => return None,
        2 => &[0.0],
        3 => &[-1.0, 1.0],
        _ => &[-2.0, -1.0, 1.0, 2.0],
    };
    // A rating on a step belongs to the side away from neutral.
    Some(steps.iter().filter(|step| if **step > 0.0 { rating >= **step } else { rating > **step }).count() as u32)
}

//! The places a data set can come from, and the order in which they are tried.

mod disambiguation;
mod hub;
mod own_files;
mod reviews;
mod trees;

use std::collections::BTreeMap;
use std::path::PathBuf;

use disk::sha256_file;

use crate::dataset::{Dataset, Loaded, SourceChoice};
use crate::error::DataError;
use crate::load_options::DatasetOptions;
use crate::treebank::Classes;

/// Reads `dataset` from `source`.
///
/// # Errors
/// A data set that the source doesn't have or that can't be read, and options that mean nothing for it.
pub fn load(dataset: &Dataset, source: &SourceChoice, options: &DatasetOptions) -> Result<Loaded, DataError> {
    refuse_misplaced(dataset, options)?;
    match dataset {
        Dataset::Sst2 => treebank(Classes::Two, source, options),
        Dataset::Sst3 => treebank(Classes::Three, source, options),
        Dataset::Sst5 => treebank(Classes::Five, source, options),
        Dataset::GlueSst2 => match source {
            SourceChoice::Auto | SourceChoice::Hub => hub::glue(options.drop_empty),
            _ => Err(DataError::Request(
                "--dataset glue-sst2 is only on the Hub (hint: --source hub; or --dataset sst2 --phrases, which is \
                 made from the treebank)"
                    .into(),
            )),
        },
        Dataset::Reviews { classes } => match source {
            SourceChoice::Auto | SourceChoice::Packaged => reviews::packaged(*classes),
            SourceChoice::Folder(folder) => reviews::from_folder(folder, *classes),
            SourceChoice::Hub | SourceChoice::Stanford => Err(DataError::Request(
                "--dataset reviews comes packaged (hint: --source packaged, or --source DIR with \
                 movieReviewSnippets_GroundTruth.txt in it)"
                    .into(),
            )),
        },
        Dataset::File(path) => match source {
            SourceChoice::Auto => own_files::read(path, options),
            _ => Err(DataError::Request(format!(
                "--source is for data sets with a name, and --dataset {} is a path (hint: leave --source out)",
                path.display()
            ))),
        },
    }
}

/// Flags that mean nothing for this data set are a misunderstanding, and are said to be one.
fn refuse_misplaced(dataset: &Dataset, options: &DatasetOptions) -> Result<(), DataError> {
    let treebank = matches!(dataset, Dataset::Sst2 | Dataset::Sst3 | Dataset::Sst5);
    let file = matches!(dataset, Dataset::File(_));
    let tables = file || matches!(dataset, Dataset::GlueSst2);
    let misplaced = [
        ("--phrases", options.phrases && !treebank, "is for the treebank: sst2, sst3, sst5"),
        ("--text-column", options.text_column.is_some() && !file, "is for files of your own"),
        ("--label-column", options.label_column.is_some() && !file, "is for files of your own"),
        ("--label-map", options.label_map.is_some() && !file, "is for files of your own"),
        ("--validation-file", options.validation_file.is_some() && !file, "is for files of your own"),
        ("--test-file", options.test_file.is_some() && !file, "is for files of your own"),
        ("--split-ratio", options.split_ratio.is_some() && !file, "is for files of your own"),
        ("--seed", options.seed.is_some() && !file, "is for files of your own"),
        ("--drop-empty", options.drop_empty && !tables, "is for files of your own and glue-sst2"),
    ];
    match misplaced.iter().find(|(_, found, _)| *found) {
        Some((flag, _, what)) => {
            Err(DataError::Request(format!("{flag} {what}, not for --dataset {} (hint: leave it out)", dataset.name())))
        }
        None => Ok(()),
    }
}

type Attempt = fn() -> Result<trees::Trees, DataError>;

/// The treebank from the first source that has it; where none is in reach, the packaged reviews, said loudly.
fn treebank(classes: Classes, source: &SourceChoice, options: &DatasetOptions) -> Result<Loaded, DataError> {
    let mut notes = Vec::new();
    let attempts: &[(&str, Attempt)] = match source {
        SourceChoice::Folder(folder) => {
            return trees::from_folder(folder)?.load(classes, options, notes);
        }
        SourceChoice::Packaged => &[],
        SourceChoice::Hub => return hub::treebank()?.load(classes, options, notes),
        SourceChoice::Stanford => return trees::from_stanford()?.load(classes, options, notes),
        SourceChoice::Auto => &[("the Hub", hub::treebank), ("Stanford", trees::from_stanford)],
    };
    for (name, attempt) in attempts {
        match attempt() {
            Ok(trees) => return trees.load(classes, options, notes),
            Err(error) if unreachable(&error) => notes.push(format!("{name} can't be reached: {error}")),
            Err(error) => return Err(error),
        }
    }
    if options.phrases {
        let reasons = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        return Err(DataError::Request(format!(
            "--phrases needs the treebank's trees, and the packaged reviews have none{reasons} (hint: --source DIR \
             with train.txt, dev.txt and test.txt in it)"
        )));
    }
    let count = classes.names().len() as u32;
    notes.push(format!(
        "NOT THE TREEBANK: the packaged movie reviews with {count} classes stand in for it. Most are sentences of the \
         treebank under another split, so don't score a model trained on the one with the other"
    ));
    let mut loaded = reviews::packaged(count)?;
    notes.append(&mut loaded.notes);
    Ok(Loaded { notes, ..loaded })
}

fn unreachable(error: &DataError) -> bool {
    matches!(error, DataError::Fetch { source, .. } if source.is_unreachable())
}

/// Lower-case hex sha256 of each file, by its name.
fn digests(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, DataError> {
    let mut found = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        // Two shards of different folders may share a name; then the whole path tells them apart.
        let name = if found.contains_key(&name) { path.display().to_string() } else { name };
        found.insert(name, sha256_file(path)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;

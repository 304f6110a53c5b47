//! What an evaluation leaves behind: its scores as JSON, the report and its pictures.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use disk::write_atomic;
use judge::Mistakes;
use run::EvaluationResult;
use table::{Cell, Column, TableWriter};

use crate::run_report::model_card::{self, ModelCard};
use crate::run_report::{self, ReportInput};

/// Writes the scores and the report into `output`, or else into the folder of the run; returns their paths. A run's folder
/// that can't be written to, as on a shared disk, costs no scores: that is said, and nothing is written.
///
/// # Errors
/// A full disk; an `output` that can't be written to.
pub(super) fn write(output: Option<&Path>, run: &Path, json: &str, report: &ReportInput<'_>) -> Result<Vec<PathBuf>> {
    if let Some(output) = output {
        disk::create_folder_all(output)
            .map_err(|error| error.source)
            .with_context(|| format!("--output: failed to create {}", output.display()))?;
        return write_into(output, json, report);
    }
    match write_into(run, json, report).and_then(|paths| with_card(run, paths)) {
        Err(error) if is_read_only(&error) => {
            let folder = run.display();
            disk::print_message(format!(
                "note: {folder} can't be written to, so nothing was kept (hint: --output DIR)"
            ));
            Ok(Vec::new())
        }
        outcome => outcome,
    }
}

/// Writes the model card too, unless a person wrote the one that is there.
fn with_card(run: &Path, mut paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    match model_card::write(run)? {
        ModelCard::Written(path) => paths.push(path),
        ModelCard::Kept(why) => disk::print_message(format!("note: {why}")),
        ModelCard::NotARun => {}
    }
    Ok(paths)
}

/// Says what was written: each file, and of pictures their number.
pub(super) fn say(paths: &[PathBuf]) {
    let is_picture = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "svg" || ending == "png");
    let (pictures, files): (Vec<_>, Vec<_>) = paths.iter().partition(is_picture);
    files.iter().for_each(|path| disk::print_message(format!("wrote {}", path.display())));
    if let Some(folder) = pictures.first().and_then(|path| path.parent()) {
        disk::print_message(format!(
            "wrote {} pictures to {}, each as SVG and PNG",
            pictures.len() / 2,
            folder.display()
        ));
    }
}

fn write_into(folder: &Path, json: &str, report: &ReportInput<'_>) -> Result<Vec<PathBuf>> {
    let scores = EvaluationResult::path(folder, &report.result.split);
    write_atomic(&scores, json)?;
    let mut paths = vec![scores];
    if let Some(judgement) = report.judgement() {
        let split = report.result.split.trim_end_matches(".csv");
        let mistakes = folder.join(format!("mistakes-{split}.csv"));
        write_mistakes(&mistakes, &judgement.mistakes)?;
        paths.push(mistakes);
    }
    paths.extend(run_report::write(report, folder)?);
    Ok(paths)
}

/// The mistakes as a file that a person corrects and `prepare` reads.
pub(super) fn write_mistakes(path: &Path, mistakes: &Mistakes) -> Result<()> {
    let column = |name: &&str| Column { name: (*name).to_owned(), declared: None };
    let mut table = TableWriter::create(path, &Mistakes::COLUMNS.iter().map(column).collect::<Vec<_>>())?;
    for row in mistakes.table() {
        table.write(&row.map(Cell::Text))?;
    }
    Ok(table.finish()?)
}

/// Whether writing failed because it isn't allowed, rather than for want of space.
pub(crate) fn is_read_only(error: &Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
}

#[cfg(test)]
mod tests {
    use std::io;

    use disk::DiskError;

    use super::*;

    #[test]
    fn a_folder_that_is_read_only_is_told_from_a_full_disk() {
        let failed = |errno| Error::from(DiskError::at("write", "run/a.json")(io::Error::from_raw_os_error(errno)));
        assert!(is_read_only(&failed(13)) && is_read_only(&failed(30)), "EACCES, EROFS");
        assert!(!is_read_only(&failed(28)) && !is_read_only(&failed(2)), "ENOSPC, ENOENT");
    }
}

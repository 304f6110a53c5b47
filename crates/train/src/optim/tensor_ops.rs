//! Updates with libtorch's operations: one span after another, in pieces of a bounded size, each tried twice.

use model::{Gradient, catch_out_of_memory};
use tch::{TchError, Tensor};

use super::table_rows::TableRows;
use super::{SpanState, Update, Weight};
use crate::error::{MemoryShortage, Result, TrainError};

/// Weights that one update with libtorch's operations changes at most, in a span: temporary tensors of this size are 32
/// MiB each, and smaller ones would take more launches.
pub(super) const PIECE: i64 = 8 << 20;

/// Updates one span after another, see [`update_with_tensor_ops`].
pub(super) fn update_each(updates: &mut [Update], step: impl Fn(&mut Update) -> Result<()>) -> Result<()> {
    let mut updates = updates.iter_mut().enumerate();
    updates.try_for_each(|(index, update)| update_with_tensor_ops(update, index > 0, &step))
}

/// The same for a step in which no weight depends on another: a longer span than [`PIECE`] is updated in pieces, so that
/// the temporary memory of an update is bounded. (The row gradient of a table is not divided.)
pub(super) fn update_each_in_pieces(updates: &mut [Update], step: impl Fn(&mut Update) -> Result<()>) -> Result<()> {
    let mut others_updated = false;
    for update in updates {
        let weights = update.weight.master.numel() as i64;
        match update.gradient {
            Gradient::Dense(gradient) if weights > PIECE => {
                for start in (0..weights).step_by(PIECE as usize) {
                    let part = |tensor: &Tensor| tensor.f_view(-1)?.f_narrow(0, start, PIECE.min(weights - start));
                    update_piece(update, gradient, part, others_updated, &step)?;
                    others_updated = true;
                }
            }
            _ => update_with_tensor_ops(update, others_updated, &step)?,
        }
        others_updated = true;
    }
    Ok(())
}

/// Updates the piece of a span that `part` returns of each of its tensors.
fn update_piece(
    update: &Update,
    gradient: &Tensor,
    part: impl Fn(&Tensor) -> std::result::Result<Tensor, TchError>,
    others_updated: bool,
    step: impl Fn(&mut Update) -> Result<()>,
) -> Result<()> {
    let Update { weight, learning_rate, gradient_scale, backend, .. } = *update;
    let (master, compute) = (part(weight.master)?, weight.compute.map(&part).transpose()?);
    let mut state = SpanState {
        name: update.state.name.clone(),
        tensors: update.state.tensors.iter().map(&part).collect::<std::result::Result<_, _>>()?,
        rows: TableRows::new(&[]),
        ..*update.state
    };
    let mut piece = Update {
        weight: Weight { name: weight.name, master: &master, compute: compute.as_ref() },
        gradient: &Gradient::Dense(part(gradient)?),
        state: &mut state,
        learning_rate,
        gradient_scale,
        backend,
    };
    update_with_tensor_ops(&mut piece, others_updated, step)
}

/// Updates a span, or a piece of one, by a `step` that changes nothing if it fails. It is tried twice.
///
/// # Errors
/// Too little memory; `others_updated` says whether other weights have been updated before.
fn update_with_tensor_ops(
    update: &mut Update,
    others_updated: bool,
    step: impl Fn(&mut Update) -> Result<()>,
) -> Result<()> {
    let shortage = MemoryShortage::before_changes("an update of the weights", update.weight.master.device());
    let updated = twice_if_out_of_memory(|| step(update))?;
    updated.ok_or(TrainError::OutOfMemory(MemoryShortage { partly_updated: others_updated, ..shortage }))
}

/// The result of an operation that can be tried again if memory is too small; `None` if it is too small twice. Between
/// the two, another program may have freed memory.
pub(crate) fn twice_if_out_of_memory<T>(mut operation: impl FnMut() -> Result<T>) -> Result<Option<T>> {
    match catch_out_of_memory(&mut operation)? {
        Some(value) => Ok(Some(value)),
        None => catch_out_of_memory(operation),
    }
}

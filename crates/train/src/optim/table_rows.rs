//! Rows of an embedding table that are updated later, by Adam's and AdamW's kernel.
//!
//! A batch uses a few hundred rows of a table of thirty thousand. The others have no gradient in that step, but weight decay
//! changes them, and so do their averages. Updating all of them in each step would read and write the whole table and its
//! averages. Instead, a row misses steps until it is used again, and then has all of them at once, in order, each with
//! that step's coefficients: the same operations on the same values, so the same bits, while the row is in the cache.
//!
//! Whoever reads the table must bring the rows that it reads up to date before: see
//! [`Optimizer::catch_up`](super::Optimizer::catch_up). A row that has never had a gradient has averages of zero; with
//! decoupled decay only the weight is read and written.

use kernels::isa::Isa;
use kernels::parallel;
use model::ModelError;
use tch::{Device, Tensor};

use super::adam_kernel::{self, Fp32Coefficients, RowsJob, WeightChunk};
use crate::error::{Result, TrainError};

/// Steps that a row can miss. Then all rows are brought up to date, so that this never takes long: half a second of two
/// processors for BERT-base.
const MAX_MISSED_STEPS: usize = 256;

/// Rows of a job. Frequent words are neighbors in a vocabulary, so jobs of more rows would differ too much.
const ROWS_PER_JOB: usize = 32;

/// What each row of a table has had. Other parameters have no rows.
#[derive(Debug, Clone, Default)]
pub(super) struct TableRows {
    /// For each row, whether it has had a gradient, so that its averages may differ from zero.
    seen: Vec<bool>,
    /// For each row, the steps of the history that it has had.
    steps_done: Vec<u32>,
    /// The coefficients of the steps that some rows have missed.
    history: Vec<Fp32Coefficients>,
}

impl TableRows {
    /// No row of a table with this shape has had a gradient.
    pub(super) fn new(shape: &[i64]) -> Self {
        let rows = if let [rows, _] = shape { usize::try_from(*rows).unwrap_or(0) } else { 0 };
        Self::all_done(vec![false; rows])
    }

    /// Every row is up to date; those in which an average differs from zero have been seen.
    pub(super) fn from_averages(averages: &[Tensor]) -> Result<Self> {
        let mut seen = Vec::new();
        for average in averages.iter().filter(|average| average.dim() == 2) {
            let nonzero: Vec<bool> = average.f_ne(0.0)?.f_any_dim(1, false)?.f_to_device(Device::Cpu)?.try_into()?;
            seen.resize(nonzero.len(), false);
            seen.iter_mut().zip(nonzero).for_each(|(seen, nonzero)| *seen |= nonzero);
        }
        Ok(Self::all_done(seen))
    }

    fn all_done(seen: Vec<bool>) -> Self {
        Self { steps_done: vec![0; seen.len()], seen, history: Vec::new() }
    }

    /// Whether no row has missed a step.
    pub(super) fn are_up_to_date(&self) -> bool {
        self.history.is_empty()
    }

    /// Whether a row that has missed a step must be brought up to date before the next one.
    pub(super) fn are_far_behind(&self) -> bool {
        self.history.len() >= MAX_MISSED_STEPS
    }

    /// Every row gets a gradient, in a step of the whole table.
    pub(super) fn mark_all(&mut self) {
        self.seen.fill(true);
    }

    /// A step in which rows `ids` have the gradients `values`: they are updated, and all others miss it.
    pub(super) fn step(
        &mut self,
        table: WeightChunk,
        ids: &[i64],
        values: &[f32],
        coefficients: Fp32Coefficients,
        name: &str,
    ) -> Result<()> {
        check_ids(ids, self.seen.len(), name)?;
        self.history.push(coefficients);
        self.run(table, ids, Some(values));
        Ok(())
    }

    /// Updates rows `ids` by the steps that they have missed.
    pub(super) fn catch_up(&mut self, table: WeightChunk, ids: &[i64], name: &str) -> Result<()> {
        check_ids(ids, self.seen.len(), name)?;
        self.run(table, ids, None);
        Ok(())
    }

    /// Updates every row by the steps that it has missed, and forgets these.
    pub(super) fn catch_up_all(&mut self, table: WeightChunk) {
        let all: Vec<i64> = (0..self.seen.len() as i64).collect();
        self.run(table, &all, None);
        self.history.clear();
        self.steps_done.fill(0);
    }

    fn run(&mut self, mut table: WeightChunk, ids: &[i64], values: Option<&[f32]>) {
        let width = table.master.len() / self.seen.len().max(1);
        let (mut jobs, mut start) = (Vec::new(), 0);
        let rows = self.seen.chunks_mut(ROWS_PER_JOB).zip(self.steps_done.chunks_mut(ROWS_PER_JOB));
        for (index, (seen, steps_done)) in rows.enumerate() {
            let first = index * ROWS_PER_JOB;
            let chunk = table.split_off(seen.len() * width);
            let end = start + ids[start..].partition_point(|id| *id < (first + seen.len()) as i64);
            if end > start {
                let values = values.map(|values| &values[start * width..end * width]);
                let (ids, history) = (&ids[start..end], self.history.as_slice());
                jobs.push(RowsJob { chunk, first, width, ids, values, seen, steps_done, history });
            }
            start = end;
        }
        let isa = Isa::selected();
        parallel::for_each(jobs, |job| adam_kernel::run_rows(job, isa));
    }
}

/// Checks that row numbers are strictly ascending and below `rows`.
fn check_ids(ids: &[i64], rows: usize, name: &str) -> Result<()> {
    let ascending = ids.windows(2).all(|pair| pair[0] < pair[1]);
    let in_range = ids.first().is_none_or(|id| *id >= 0) && ids.last().is_none_or(|id| *id < rows as i64);
    if ascending && in_range {
        return Ok(());
    }
    Err(TrainError::Model(ModelError::UnfitTensor {
        name: name.to_owned(),
        found: "row numbers that repeat, decrease or are outside the table".to_owned(),
        needed: format!("ascending, distinct row numbers from 0 to {}", rows.saturating_sub(1)),
    }))
}

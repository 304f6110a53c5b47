//! A model's predictions on a split, and their scores.

use std::time::Instant;

use collective::Collective;
use data::store::Examples;
use metrics::{ClassificationReport, ConfusionMatrix, Metric, ReportOptions};
use model::{Inputs, SequenceClassifier, catch_out_of_memory};
use tch::Kind;
use tokenize::{Batch, sequential_batches};

use crate::error::{MemoryShortage, Result, TrainError};
#[cfg(test)]
use crate::memory_faults::{self, Place};
use crate::setup;
use crate::signals;

/// The predictions for a whole split, in the order of its rows.
#[derive(Debug)]
pub struct Evaluation {
    /// For each row the probability of each class.
    pub probabilities: Vec<Vec<f32>>,
    /// For each row the class with the highest probability.
    pub predictions: Vec<u32>,
    /// Counts of true and predicted classes.
    pub confusion: ConfusionMatrix,
    pub report: ClassificationReport,
    /// Mean cross-entropy, without smoothing or class weights.
    pub loss: f64,
    /// Seconds taken by the forward passes.
    pub seconds: f64,
    /// Seconds taken by the first batch, which includes one-time startup costs.
    pub first_batch_seconds: f64,
    /// The batch size, or the number of examples that memory was large enough for.
    pub batch_size: usize,
}

impl Evaluation {
    pub fn value(&self, metric: Metric) -> f64 {
        metric.value(&self.report, self.loss)
    }

    /// The scores displayed for a split, by name: accuracy, precision, recall and f1 first.
    pub fn scores(&self) -> Vec<(String, f64)> {
        self.report.headline().map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// Predicts every row of a split, batching sentences of similar length, and scores the predictions. Where memory is too
/// small for a batch, it is halved until it fits, and later ones are not larger. Several processes deal out the batches, and
/// all have the whole result, which is that of one process.
///
/// # Errors
/// Rows without a label, which can't be scored; too little memory for one example; [`TrainError::Stopped`] if a signal
/// recorded by [`signals`] arrived before the end, in any of the processes; a process that is lost.
pub fn evaluate(
    model: &SequenceClassifier,
    examples: &Examples,
    split: &str,
    label_names: &[String],
    batch_size: usize,
    ranks: &dyn Collective,
) -> Result<Evaluation> {
    let truth = labels(examples, split)?;
    let start = Instant::now();
    let (mut own, mut first_batch) = (vec![None; examples.len()], None);
    let mut at_once = batch_size;
    let batches = sequential_batches(&examples.token_counts(), batch_size);
    let dealt = batches.iter().skip(ranks.rank()).step_by(ranks.world());
    for rows in dealt.take_while(|_| signals::requested().is_none()) {
        let log_p = in_parts(rows, &mut at_once, model, examples)?;
        rows.iter().zip(log_p).for_each(|(row, log_p)| own[*row] = Some(log_p));
        first_batch.get_or_insert_with(|| start.elapsed().as_secs_f64());
    }
    if let Some(signal) = signals::from_counts(&ranks.sum_numbers(&signals::counts())?) {
        return Err(TrainError::Stopped(signal));
    }
    let log_probabilities = ranks.complete_rows(own, label_names.len())?;
    if ranks.world() > 1 {
        // Where memory was too small for one process, the next evaluation has smaller batches for all: they are dealt out.
        let sizes = ranks.gather(&(at_once as u64).to_le_bytes())?;
        let sizes = sizes.into_iter().filter_map(|size| size.try_into().ok().map(u64::from_le_bytes));
        at_once = sizes.min().map_or(at_once, |size| size as usize);
    }
    // In the order of the batches, so that the sum has the same bits however they were dealt out.
    let mut loss = 0f64;
    batches.iter().flatten().for_each(|&row| loss -= f64::from(log_probabilities[row][truth[row] as usize]));
    let exp = |log_p: Vec<f32>| log_p.into_iter().map(f32::exp).collect();
    let probabilities: Vec<Vec<f32>> = log_probabilities.into_iter().map(exp).collect();
    let seconds = start.elapsed().as_secs_f64();
    let predictions: Vec<u32> = probabilities.iter().map(|row| argmax(row)).collect();
    let confusion = ConfusionMatrix::from_pairs(&truth, &predictions, label_names.len())?;
    let report = ClassificationReport::new(&confusion, label_names, ReportOptions::default())?;
    let loss = loss / truth.len() as f64;
    let first_batch_seconds = first_batch.unwrap_or(seconds);
    Ok(Evaluation {
        probabilities,
        predictions,
        confusion,
        report,
        loss,
        seconds,
        first_batch_seconds,
        batch_size: at_once,
    })
}

/// [`log_probabilities`] of each row of a batch, of at most `at_once` examples at a time, which is halved if memory is
/// too small.
fn in_parts(
    rows: &[usize],
    at_once: &mut usize,
    model: &SequenceClassifier,
    examples: &Examples,
) -> Result<Vec<Vec<f32>>> {
    let mut done = Vec::with_capacity(rows.len());
    while done.len() < rows.len() {
        let part = &rows[done.len()..rows.len().min(done.len() + *at_once)];
        let batch = examples.batch(part)?;
        match catch_out_of_memory(|| log_probabilities(model, &batch))? {
            Some(log_p) => done.extend(log_p),
            None if part.len() == 1 => {
                let (task, device) = ("the evaluation of one example at a time", model.parameters().device());
                return Err(TrainError::OutOfMemory(MemoryShortage::before_changes(task, device)));
            }
            None => {
                *at_once = part.len() / 2;
                tracing::warn!("evaluation: out of memory; from here on {at_once} examples at a time");
            }
        }
    }
    Ok(done)
}

/// `log softmax` of the logits of each sentence of a batch.
fn log_probabilities(model: &SequenceClassifier, batch: &Batch) -> Result<Vec<Vec<f32>>> {
    #[cfg(test)]
    memory_faults::allocate(Place::Evaluation, batch.len())?;
    let inputs = Inputs::new(&batch.input_ids, &batch.cu_seqlens, model.parameters().device());
    let log_p = model.forward(&inputs).log_softmax(-1, Kind::Float);
    Ok(Vec::<Vec<f32>>::try_from(&log_p.to_device(tch::Device::Cpu))?)
}

fn labels(examples: &Examples, split: &str) -> Result<Vec<u32>> {
    let unlabeled = (0..examples.len()).filter(|&row| examples.label(row).is_none()).count();
    if unlabeled > 0 || examples.is_empty() {
        return Err(setup::unlabeled(split, examples.len(), unlabeled));
    }
    Ok((0..examples.len()).filter_map(|row| examples.label(row)).collect())
}

/// The index of the largest value; the lowest index wins ties, as in NumPy.
fn argmax(row: &[f32]) -> u32 {
    let mut best = 0;
    for (class, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = class;
        }
    }
    best as u32
}

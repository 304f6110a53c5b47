//! One optimizer step, from batches to updated weights. It has no access to folders, logs or signals; the
//! trainer decides when to take a step and handles its result.

use std::path::Path;

use data::store::Examples;
use model::profile::{Phase, timed};
use model::{DropoutStream, Gradients, Inputs, ModelError, Parameters, SequenceClassifier, catch_out_of_memory};
use tch::Tensor;
use tokenize::Batch;

use crate::error::{MemoryShortage, Result, TrainError};
use crate::loss::Loss;
#[cfg(test)]
use crate::memory_faults::{self, Place};
use crate::micro_batches;
use crate::optim::{Optimizer, StepScale, clip, twice_if_out_of_memory};
use crate::options::TrainConfig;

/// Everything that a step reads and changes.
pub(crate) struct TrainStep {
    model: SequenceClassifier,
    optimizer: Optimizer,
    loss: Loss,
    seed: u64,
    batch_size: usize,
    gradient_accumulation_steps: usize,
    max_grad_norm: f64,
    /// Into how many parts each micro-batch is split because of limited memory.
    pub(crate) micro_batch_parts: usize,
    /// The memory for a pass's gradients, from the first pass on.
    gradients: Option<Gradients>,
    /// The memory for their sums, from the first step of several micro-batches on.
    sums: Option<Gradients>,
}

pub(crate) enum StepOutcome {
    Done(StepResult),
    /// The loss or the gradient's norm is no longer finite; no weight was updated with it.
    NotFinite {
        loss: f64,
        gradient_norm: f64,
    },
}

/// The result of one optimizer step.
pub(crate) struct StepResult {
    pub(crate) loss: f64,
    pub(crate) gradient_norm: f64,
    pub(crate) examples: u64,
    pub(crate) tokens: u64,
}

impl TrainStep {
    pub(crate) fn new(
        config: &TrainConfig,
        model: SequenceClassifier,
        class_weights: Option<Vec<f64>>,
    ) -> Result<Self> {
        Ok(Self {
            loss: Loss::new(class_weights, config.regularization.label_smoothing),
            optimizer: Optimizer::new(model.parameters(), &config.optimizer.settings())?,
            model,
            seed: config.seed,
            batch_size: config.batch_size,
            gradient_accumulation_steps: config.gradient_accumulation_steps,
            max_grad_norm: config.optimizer.max_grad_norm,
            micro_batch_parts: 1,
            gradients: None,
            sums: None,
        })
    }

    /// Takes the step after `done` earlier ones over the rows of these batches: gradients, norm, clipping, update. If
    /// memory is too small for the gradients' pass, the batches are halved until they fit; the gradients remain the same
    /// sum. Smaller batches don't help the norm and the update, which need memory only when the pass has freed its own:
    /// each is tried twice.
    ///
    /// # Errors
    /// Too little memory for one example, for the norm or for the update; nothing has changed then, unless the
    /// [shortage](MemoryShortage) says so.
    pub(crate) fn take(
        &mut self,
        examples: &Examples,
        batches: &[Vec<usize>],
        done: u64,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        let parts = self.micro_batch_parts;
        let (micro_batches, loss) = loop {
            let micro_batches = gather(examples, &micro_batches::split(batches, self.micro_batch_parts))?;
            let used = used_ids(&micro_batches);
            timed(Phase::Optimizer, || self.optimizer.catch_up(self.model.parameters_mut(), Some(&used)))?;
            if let Some(loss) = catch_out_of_memory(|| self.compute_gradients(&micro_batches, done))? {
                break (micro_batches, loss);
            }
            if !self.halve_micro_batches(done + 1) {
                // A resumed run begins where this step did, and may have more memory.
                self.micro_batch_parts = parts;
                return Err(self.shortage("one example at a time"));
            }
        };
        let gradients = if micro_batches.len() > 1 { &self.sums } else { &self.gradients };
        let gradients = gradients.as_ref().expect("they were computed above");
        let gradient_norm = self.norm(gradients)?;
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            return Ok(StepOutcome::NotFinite { loss, gradient_norm });
        }
        let gradient_scale = match self.max_grad_norm {
            0.0 => 1.0,
            max_norm => clip::coefficient(gradient_norm, max_norm),
        };
        let scale = StepScale { learning_rate, gradient_scale };
        timed(Phase::Optimizer, || self.optimizer.step_used_rows(self.model.parameters_mut(), gradients, &scale))?;
        let examples = micro_batches.iter().map(|batch| batch.len() as u64).sum();
        let tokens = micro_batches.iter().map(|batch| batch.tokens() as u64).sum();
        Ok(StepOutcome::Done(StepResult { loss, gradient_norm, examples, tokens }))
    }

    /// The model's parameters, to be counted and described. Of the word embeddings, rows may have missed steps.
    pub(crate) fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    /// The model and the optimizer after the last step, to be evaluated or saved.
    pub(crate) fn up_to_date(&mut self) -> Result<(&SequenceClassifier, &Optimizer)> {
        self.optimizer.catch_up(self.model.parameters_mut(), None)?;
        Ok((&self.model, &self.optimizer))
    }

    /// Restores weights and optimizer state that were saved after `steps` steps; `path` is for messages.
    pub(crate) fn restore(
        &mut self,
        steps: u64,
        weights: &[(String, Tensor)],
        state: &[(String, Tensor)],
        path: &Path,
    ) -> Result<()> {
        self.model.parameters_mut().restore(weights, path)?;
        self.optimizer.load_state(steps, state)
    }

    /// The number of examples in one forward pass.
    pub(crate) fn micro_batch_size(&self) -> usize {
        self.batch_size.div_ceil(self.micro_batch_parts)
    }

    /// Halves the micro-batches; false if they are single examples.
    fn halve_micro_batches(&mut self, step: u64) -> bool {
        if self.micro_batch_parts >= self.batch_size {
            return false;
        }
        self.micro_batch_parts *= 2;
        tracing::warn!("step {step}: out of memory; from here on {} examples at a time", self.micro_batch_size());
        true
    }

    /// The global norm of the gradients.
    fn norm(&self, gradients: &Gradients) -> Result<f64> {
        let norm = || {
            #[cfg(test)]
            memory_faults::allocate(Place::Norm, 0)?;
            clip::global_norm(gradients, self.parameters().backend())
        };
        let found = timed(Phase::Optimizer, || twice_if_out_of_memory(norm))?;
        found.ok_or_else(|| self.shortage("the norm of the gradients"))
    }

    fn shortage(&self, task: &'static str) -> TrainError {
        TrainError::OutOfMemory(MemoryShortage::before_changes(task, self.parameters().device()))
    }

    /// The loss of a step over its micro-batches, whose gradients are written to `gradients`, or their sums over several
    /// micro-batches to `sums`. After a failure both are undefined, and the next attempt writes them anew.
    fn compute_gradients(&mut self, micro_batches: &[Batch], done: u64) -> Result<f64, ModelError> {
        #[cfg(test)]
        memory_faults::allocate(Place::Gradients, micro_batches.iter().map(Batch::len).max().unwrap_or(0))?;
        let parameters = self.model.parameters();
        let gradients = self.gradients.get_or_insert_with(|| Gradients::of_pass(parameters));
        let total_weight = micro_batches.iter().map(|batch| self.loss.total_weight(&batch.labels)).sum();
        let mut loss = 0.0;
        for (number, batch) in micro_batches.iter().enumerate() {
            // Micro-batches are numbered through the whole run, so that each has different dropout masks.
            let passes = self.gradient_accumulation_steps * self.micro_batch_parts;
            let dropout = DropoutStream::new(self.seed, done * passes as u64 + number as u64, 0);
            loss += forward_backward((&self.model, &self.loss), batch, &dropout, total_weight, gradients)?;
            if micro_batches.len() > 1 {
                let sums = self.sums.get_or_insert_with(|| Gradients::sums(parameters));
                match number {
                    0 => sums.assign(gradients),
                    _ => sums.add(gradients, parameters.backend()),
                }
            }
        }
        Ok(loss)
    }
}

/// One micro-batch's contribution to the step's loss; writes its gradients.
fn forward_backward(
    (model, loss): (&SequenceClassifier, &Loss),
    batch: &Batch,
    dropout: &DropoutStream,
    total_weight: f64,
    gradients: &mut Gradients,
) -> Result<f64, ModelError> {
    let device = model.parameters().device();
    let inputs = timed(Phase::Data, || Inputs::new(&batch.input_ids, &batch.cu_seqlens, device));
    let (logits, tape) = model.forward_train(&inputs, dropout);
    let (loss, dlogits): (Tensor, Tensor) =
        timed(Phase::Loss, || loss.forward_backward(&logits, &batch.labels, total_weight));
    model.backward_into(tape, &dlogits, gradients);
    Ok(f64::try_from(&loss)?)
}

/// The distinct token ids of these batches, ascending: the rows of the word embeddings that a pass over them reads.
fn used_ids(batches: &[Batch]) -> Vec<i64> {
    let mut ids: Vec<i64> = batches.iter().flat_map(|batch| &batch.input_ids).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn gather(examples: &Examples, micro_batches: &[Vec<usize>]) -> Result<Vec<Batch>> {
    let gather_all = || micro_batches.iter().map(|rows| examples.batch(rows)).collect::<Result<_, _>>();
    Ok(timed(Phase::Data, gather_all)?)
}

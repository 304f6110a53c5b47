//! One optimizer step, from batches to updated weights. It has no access to folders, logs or signals; the
//! trainer decides when to take a step and handles its result.

use std::path::Path;
use std::rc::Rc;

use collective::Collective;
use data::store::Examples;
use model::profile::{Phase, timed};
use model::{
    DropoutStream, GradientMemory, Gradients, Inputs, ModelError, Parameters, Role, SequenceClassifier,
    catch_out_of_memory,
};
use tch::Tensor;
use tokenize::Batch;

use crate::error::{MemoryShortage, Result, TrainError};
use crate::gradient_sum::{SumCost, SumPlan};
use crate::loss::Loss;
#[cfg(test)]
use crate::memory_faults::{self, Place};
use crate::micro_batches;
use crate::optim::{Optimizer, StepScale, clip, twice_if_out_of_memory};
use crate::options::TrainConfig;
use crate::shared_gradients::SharedGradients;
use crate::shares::BatchShare;
use crate::signals::{self, Signal};

/// Everything that a step reads and changes.
pub(crate) struct TrainStep {
    model: SequenceClassifier,
    optimizer: Optimizer,
    loss: Loss,
    /// The processes that take the step together.
    ranks: Rc<dyn Collective>,
    /// How their gradients are summed; `None` for a single process.
    sum_plan: Option<Rc<SumPlan>>,
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
    /// The memory of one of the two where several processes share it. Dropped after both.
    shared: Option<Rc<SharedGradients>>,
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
    /// A signal that some process got, for all to stop after this step; `None` in a single process.
    pub(crate) signal: Option<Signal>,
    pub(crate) sum_cost: SumCost,
}

/// What all processes know of a step after its backward pass.
struct StepStatus {
    loss: f64,
    /// Memory of some process was too small.
    out_of_memory: bool,
    signal: Option<Signal>,
    sum_cost: SumCost,
}

impl TrainStep {
    pub(crate) fn new(
        config: &TrainConfig,
        model: SequenceClassifier,
        class_weights: Option<Vec<f64>>,
        ranks: Rc<dyn Collective>,
    ) -> Result<Self> {
        let shared = match config.gradient_accumulation_steps {
            _ if ranks.world() == 1 => None,
            1 => SharedGradients::new(model.parameters(), GradientMemory::Pass, &*ranks)?,
            _ => SharedGradients::new(model.parameters(), GradientMemory::Sums, &*ranks)?,
        };
        let in_shared = |form: GradientMemory| {
            let shared = shared.as_ref().filter(|shared| shared.form() == form)?;
            Some(shared.gradients(model.parameters()))
        };
        Ok(Self {
            gradients: in_shared(GradientMemory::Pass),
            sums: in_shared(GradientMemory::Sums),
            shared: shared.map(Rc::new),
            loss: Loss::new(class_weights, config.regularization.label_smoothing),
            optimizer: Optimizer::new(model.parameters(), &config.optimizer.settings())?,
            sum_plan: (ranks.world() > 1).then(|| Rc::new(SumPlan::new(model.parameters()))),
            model,
            ranks,
            seed: config.seed,
            batch_size: config.batch_size,
            gradient_accumulation_steps: config.gradient_accumulation_steps,
            max_grad_norm: config.optimizer.max_grad_norm,
            micro_batch_parts: 1,
        })
    }

    /// Takes the step after `done` earlier ones over the rows of these batches: gradients, norm, clipping, update. Of several
    /// processes each computes its share of the batches, and all make the same update.
    ///
    /// If memory is too small for the gradients' pass, the batches are halved until they fit; the gradients remain the same
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
        let (micro_batches, status) = loop {
            let micro_batches = gather(examples, &micro_batches::split(batches, self.micro_batch_parts))?;
            let used = used_ids(&micro_batches);
            timed(Phase::Optimizer, || self.optimizer.catch_up(self.model.parameters_mut(), Some(&used)))?;
            let status = self.compute_gradients(&micro_batches, &used, done)?;
            if !status.out_of_memory {
                break (micro_batches, status);
            }
            if !self.halve_micro_batches(done + 1) {
                // A resumed run begins where this step did, and may have more memory.
                self.micro_batch_parts = parts;
                return Err(self.shortage("one example at a time"));
            }
        };
        let gradients = if micro_batches.len() > 1 { &self.sums } else { &self.gradients };
        let gradients = gradients.as_ref().expect("they were computed above");
        let (loss, gradient_norm) = (status.loss, self.norm(gradients)?);
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
        let StepStatus { signal, sum_cost, .. } = status;
        Ok(StepOutcome::Done(StepResult { loss, gradient_norm, examples, tokens, signal, sum_cost }))
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

    /// Takes weights and optimizer state after `steps` steps from rank 0, which sends its own.
    pub(crate) fn receive(&mut self, steps: u64) -> Result<()> {
        self.optimizer.catch_up(self.model.parameters_mut(), None)?;
        for parameter in self.model.parameters().iter() {
            self.ranks.broadcast(parameter.master())?;
        }
        self.model.parameters().sync();
        let mut state = Vec::new();
        for (name, tensor) in self.optimizer.state() {
            self.ranks.broadcast(tensor)?;
            state.push((name, tensor.shallow_clone()));
        }
        self.optimizer.load_state(steps, &state)
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

    /// The gradients of a step over its micro-batches are written to `gradients`, or their sums over several micro-batches to
    /// `sums`, in both cases summed over all processes. After a failure both are undefined, and the next attempt writes
    /// them anew. `used` are the distinct ids of all micro-batches.
    fn compute_gradients(&mut self, micro_batches: &[Batch], used: &[i64], done: u64) -> Result<StepStatus> {
        let Some(plan) = self.sum_plan.clone() else {
            let loss = catch_out_of_memory(|| self.own_gradients(micro_batches, done, &mut |_, _| ()))?;
            let (out_of_memory, loss) = (loss.is_none(), loss.unwrap_or(f64::NAN));
            return Ok(StepStatus { loss, out_of_memory, signal: None, sum_cost: SumCost::default() });
        };
        let ranks = Rc::clone(&self.ranks);
        let form = if micro_batches.len() > 1 { GradientMemory::Sums } else { GradientMemory::Pass };
        let shared = self.shared.clone().filter(|shared| shared.form() == form);
        let mut sums = plan.begin(&*ranks, shared.as_deref());
        let mut ready = |role: Role, gradients: &Gradients| sums.ready(role, gradients);
        let loss = catch_out_of_memory(|| self.own_gradients(micro_batches, done, &mut ready))?;
        // A process without enough memory does its part of the sums all the same: the others wait for it.
        let parameters = self.model.parameters();
        let gradients = match form {
            GradientMemory::Pass => self.gradients.get_or_insert_with(|| Gradients::of_pass(parameters)),
            GradientMemory::Sums => self.sums.get_or_insert_with(|| Gradients::sums(parameters)),
        };
        let sum_cost = timed(Phase::Communication, || sums.finish(gradients, used, parameters.device()))?;
        let own = [loss.unwrap_or(0.0), f64::from(u8::from(loss.is_none()))];
        let numbers = timed(Phase::Communication, || ranks.sum_numbers(&[&own[..], &signals::counts()].concat()))?;
        let (loss, out_of_memory) = (numbers[0], numbers[1] > 0.0);
        Ok(StepStatus { loss, out_of_memory, signal: signals::from_counts(&numbers[2..]), sum_cost })
    }

    /// This process's share of the loss of a step, whose gradients are written to `gradients` or `sums`. With a single
    /// micro-batch, `ready` is called with each part of the model whose gradients are final.
    fn own_gradients(
        &mut self,
        micro_batches: &[Batch],
        done: u64,
        ready: &mut dyn FnMut(Role, &Gradients),
    ) -> Result<f64, ModelError> {
        #[cfg(test)]
        memory_faults::allocate(Place::Gradients, micro_batches.iter().map(Batch::len).max().unwrap_or(0))?;
        let parameters = self.model.parameters();
        let gradients = self.gradients.get_or_insert_with(|| Gradients::of_pass(parameters));
        let total_weight = micro_batches.iter().map(|batch| self.loss.total_weight(&batch.labels)).sum();
        let mut loss = 0.0;
        for (number, batch) in micro_batches.iter().enumerate() {
            // Micro-batches are numbered through the whole run, so that each has different dropout masks.
            let passes = self.gradient_accumulation_steps * self.micro_batch_parts;
            let share = BatchShare::of(batch, self.ranks.rank(), self.ranks.world());
            let dropout = DropoutStream::new(self.seed, done * passes as u64 + number as u64).of_part(share.first);
            let mut ready = |role: Role, gradients: &Gradients| {
                if micro_batches.len() == 1 {
                    ready(role, gradients);
                }
            };
            let model = (&self.model, &self.loss);
            loss += forward_backward(model, &share.batch, &dropout, total_weight, gradients, &mut ready)?;
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
    ready: &mut dyn FnMut(Role, &Gradients),
) -> Result<f64, ModelError> {
    if batch.is_empty() {
        // A process has no share of a batch with fewer sentences than there are processes.
        gradients.set_to_zero();
        return Ok(0.0);
    }
    let device = model.parameters().device();
    let inputs = timed(Phase::Data, || Inputs::new(&batch.input_ids, &batch.cu_seqlens, device));
    let (logits, tape) = model.forward_train(&inputs, dropout);
    let (loss, dlogits): (Tensor, Tensor) =
        timed(Phase::Loss, || loss.forward_backward(&logits, &batch.labels, total_weight));
    model.backward_into(tape, &dlogits, gradients, ready);
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

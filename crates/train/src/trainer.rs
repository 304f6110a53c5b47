//! The training loop, top to bottom: epochs, steps, evaluations, checkpoints, and the best model kept.

mod saving;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Instant;

use data::batch::Batch;
use data::sampler::{Batches, Sampler};
use model::profile::{Phase, timed};
use model::{BertForSequenceClassification, DropoutStream, Gradients, Inputs};
use tch::Tensor;

use crate::checkpoint::{BestModel, Identity, Keeper};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::evaluate::{evaluate, scalar};
use crate::kept::{Figures, publication};
use crate::loss::Loss;
use crate::observe::{Best, End, EndReason, EvaluationRecord, Observer, Observers, Start, StepRecord};
use crate::optim::{Optimizer, Settings, StepScale, clip};
use crate::out_of_memory;
use crate::profile::Profile;
use crate::room;
use crate::run_directory::{METRICS, RunDirectory};
use crate::schedule::Schedule;
use crate::setup::Setup;
use crate::signals;

/// A run in the making.
pub(crate) struct Trainer<'a> {
    config: &'a TrainConfig,
    setup: Setup,
    directory: RunDirectory,
    identity: Identity,
    observers: Observers,
    keeper: Keeper,
    loss: Loss,
    optimizer: Optimizer,
    schedule: Schedule,
    order: Order,
    steps_per_epoch: u64,
    total_steps: u64,
    /// Optimizer steps done.
    step: u64,
    /// Whether the evaluation that is due after this step, if one is, has been done.
    evaluated: bool,
    best: Option<BestModel>,
    evaluations_without_better: u64,
    /// Into how many parts each micro-batch is cut for want of GPU memory.
    micro_batch_parts: usize,
    profile: Option<Profile>,
    started: Instant,
    /// Seconds of training before this process.
    seconds_before: f64,
}

/// The batches of one epoch after another.
struct Order {
    sampler: Sampler,
    /// The epoch whose batches are at hand.
    dealt: Option<(u64, Batches)>,
}

/// What one optimizer step did.
struct StepOutcome {
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
    examples: u64,
    tokens: u64,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        config: &'a TrainConfig,
        setup: Setup,
        directory: RunDirectory,
        identity: Identity,
    ) -> Result<Self> {
        let counts = setup.train.token_counts();
        let sampler = Sampler::new(counts, config.batch_size, config.seed, config.group_by_length);
        let batches = sampler.batches_per_epoch() as u64;
        let steps_per_epoch = batches.div_ceil(config.gradient_accumulation_steps as u64);
        let asked = config.epochs * steps_per_epoch;
        let total_steps = config.max_steps.map_or(asked, |most| most.min(asked));
        let trainer = Self {
            loss: Loss::new(setup.class_weights(config), config.label_smoothing),
            optimizer: Optimizer::new(setup.model.parameters(), Settings::from(config))?,
            schedule: Schedule::new(config, total_steps),
            keeper: Keeper::new(directory.path(), config.save_total, publication(&setup)?),
            observers: Observers::default(),
            order: Order { sampler, dealt: None },
            config,
            setup,
            directory,
            identity,
            steps_per_epoch,
            total_steps,
            step: 0,
            evaluated: true,
            best: None,
            evaluations_without_better: 0,
            micro_batch_parts: 1,
            profile: None,
            started: Instant::now(),
            seconds_before: 0.0,
        };
        room::check(trainer.directory.path(), trainer.room_needed()?)?;
        Ok(trainer)
    }

    /// Times the phases of each step from here on.
    pub(crate) fn profile(&mut self) {
        self.profile = Some(Profile::start());
    }

    pub(crate) fn train(mut self) -> Result<RunDirectory> {
        if self.reason_to_end().is_some() && self.directory.file(METRICS).is_file() {
            tracing::info!("{} is finished: there is nothing to do", self.directory.path().display());
            return Ok(self.directory);
        }
        signals::install()?;
        self.observers = Observers::of(&self.directory, self.config.tensorboard)?;
        self.started = Instant::now();
        let start = self.start();
        self.observers.on_start(&start);
        let reason = loop {
            // What is due after the step just done comes first, so that a run that goes on from a checkpoint takes it up.
            let better = self.evaluation_is_due() && self.evaluate()?;
            let reason = self.reason_to_end();
            let publish = better || (reason.is_some() && self.best.is_none());
            if publish || self.save_is_due() || (reason.is_some() && !self.keeper.has(self.step, self.evaluated)) {
                self.save(publish)?;
            }
            match (reason, signals::requested()) {
                (Some(reason), _) => break reason,
                (None, Some(signal)) => return self.stop(signal),
                (None, None) => {}
            }
            if let Some(profile) = &self.profile {
                profile.before_step();
            }
            let began = Instant::now();
            let batches = self.order.batches_of(self.step, self.steps_per_epoch, self.config);
            let outcome = match self.train_step(&batches) {
                Err(TrainError::NotFinite { step, loss, gradient_norm, rows, .. }) => {
                    let saved = self.saved()?;
                    return Err(TrainError::NotFinite { step, loss, gradient_norm, rows, saved });
                }
                outcome => outcome?,
            };
            if let Some(profile) = &mut self.profile {
                profile.after_step(began.elapsed());
            }
            self.record_step(&outcome, began);
        };
        self.finish(reason)
    }

    fn evaluation_is_due(&self) -> bool {
        let due = match self.config.eval_steps {
            Some(steps) => self.step.is_multiple_of(steps),
            None => self.step.is_multiple_of(self.steps_per_epoch),
        };
        !self.evaluated && self.setup.validation.is_some() && (due || self.step == self.total_steps)
    }

    fn reason_to_end(&self) -> Option<EndReason> {
        if self.evaluation_is_due() {
            return None;
        }
        let patience = self.config.early_stopping_patience;
        if patience.is_some_and(|patience| self.evaluations_without_better >= patience) {
            return Some(EndReason::EarlyStopping);
        }
        // More than all where a changed configuration asks for fewer.
        let all_done = self.step >= self.total_steps;
        let cut_short = self.config.max_steps == Some(self.total_steps);
        all_done.then_some(if cut_short { EndReason::MaxSteps } else { EndReason::Finished })
    }

    /// One optimizer step over these batches: gradients, norm, clip, update. On a GPU whose memory is too small the
    /// batches are cut in halves until they fit; the step stays the same sum.
    fn train_step(&mut self, batches: &[Vec<usize>]) -> Result<StepOutcome> {
        let (loss, gradients, examples, tokens) = loop {
            let parts = self.micro_batch_parts;
            if let Some(done) = out_of_memory::catch(|| self.gradients(&out_of_memory::split(batches, parts)))? {
                break done;
            }
            if parts >= self.config.batch_size {
                return Err(TrainError::NoGpuMemory { step: self.step + 1 });
            }
            self.micro_batch_parts = 2 * parts;
            let size = self.config.batch_size.div_ceil(self.micro_batch_parts);
            tracing::warn!("step {}: out of memory; from here on {size} examples at a time", self.step + 1);
        };
        let gradient_norm = timed(Phase::Optimizer, || clip::global_norm(&gradients))?;
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let (rows, saved) = (batches.concat(), PathBuf::new());
            return Err(TrainError::NotFinite { step: self.step + 1, loss, gradient_norm, rows, saved });
        }
        let learning_rate = self.schedule.lr(self.step);
        let gradient_scale = match self.config.max_grad_norm {
            0.0 => 1.0,
            most => clip::coefficient(gradient_norm, most),
        };
        let scale = StepScale { learning_rate, gradient_scale };
        timed(Phase::Optimizer, || self.optimizer.step(self.setup.model.parameters_mut(), &gradients, &scale))?;
        self.step += 1;
        self.evaluated = false;
        Ok(StepOutcome { loss, gradient_norm, learning_rate, examples, tokens })
    }

    /// Loss and gradients of a step, summed over its micro-batches, and how many examples and tokens they hold.
    fn gradients(&self, micro_batches: &[Vec<usize>]) -> Result<(f64, Gradients, u64, u64)> {
        #[cfg(test)]
        out_of_memory::refuse(micro_batches)?;
        let gather = |rows: &Vec<usize>| Batch::gather(&self.setup.train, rows);
        let gather_all = || micro_batches.iter().map(gather).collect::<std::result::Result<_, _>>();
        let batches: Vec<Batch> = timed(Phase::Data, gather_all)?;
        let total_weight = batches.iter().map(|batch| self.loss.total_weight(&batch.labels)).sum();
        let (mut loss, mut gradients) = (0f64, None);
        for (micro, batch) in batches.iter().enumerate() {
            let (share, part) = self.forward_backward(batch, micro, total_weight)?;
            loss += share;
            gradients = Some(match gradients.take() {
                None => part,
                Some(sum) => add(sum, part, &self.setup.model),
            });
        }
        let examples = batches.iter().map(|batch| batch.len() as u64).sum();
        let tokens = batches.iter().map(|batch| batch.tokens() as u64).sum();
        Ok((loss, gradients.unwrap_or(Gradients(Vec::new())), examples, tokens))
    }

    /// The share of one micro-batch in a step's loss, and its gradients.
    fn forward_backward(&self, batch: &Batch, micro: usize, total_weight: f64) -> Result<(f64, Gradients)> {
        let model = &self.setup.model;
        let device = model.parameters().device();
        let inputs = timed(Phase::Data, || Inputs::new(&batch.input_ids, &batch.cu_seqlens, device));
        let passes = self.config.gradient_accumulation_steps * self.micro_batch_parts;
        let pass = self.step * passes as u64 + micro as u64;
        let dropout = DropoutStream::new(self.config.seed, pass, 0);
        let (logits, tape) = model.forward_train(&inputs, &dropout);
        let (loss, dlogits): (Tensor, Tensor) =
            timed(Phase::Loss, || self.loss.forward_backward(&logits, &batch.labels, total_weight));
        let gradients = model.backward(tape, &dlogits);
        Ok((scalar(&loss)?, gradients))
    }

    /// Scores the validation split; true if the model is the best so far. Stopped by a signal it has done nothing.
    fn evaluate(&mut self) -> Result<bool> {
        let Some(validation) = &self.setup.validation else { return Ok(false) };
        self.observers.on_evaluation_start("validation");
        let labels = &self.setup.prepared.manifest.label_names;
        let batch_size = self.config.eval_batch_size;
        let evaluation = match evaluate(&self.setup.model, validation, "validation", labels, batch_size) {
            Err(TrainError::Stopped) => return Ok(false),
            evaluation => evaluation?,
        };
        self.evaluated = true;
        let metric = self.config.best_metric;
        let value = evaluation.value(metric);
        let better = self.best.as_ref().is_none_or(|model| metric.is_better(value, model.best.value));
        self.observers.on_evaluation(&EvaluationRecord {
            epoch: self.epoch(),
            step: self.step,
            split: "validation".to_owned(),
            loss: evaluation.loss,
            scores: evaluation.scores(),
            value,
            seconds: evaluation.seconds,
            best: better,
        });
        if better {
            let best = Best { metric: metric.to_string(), value, step: self.step, epoch: self.epoch() };
            self.best = Some(BestModel { best, loss: evaluation.loss, confusion: evaluation.confusion });
            self.evaluations_without_better = 0;
        } else {
            self.evaluations_without_better += 1;
        }
        Ok(better)
    }

    fn finish(mut self, reason: EndReason) -> Result<RunDirectory> {
        let end = self.end(reason);
        let best = self.best.as_ref();
        let figures = Figures::new(&self.setup, &end, best, self.config.batch_size, self.micro_batch_parts)?;
        self.directory.write(METRICS, figures.to_json()?)?;
        self.observers.on_end(&end);
        if let Some(profile) = &self.profile {
            profile.write(&self.directory)?;
            eprint!("{}", profile.table());
        }
        Ok(self.directory)
    }

    fn end(&self, reason: EndReason) -> End {
        End {
            reason,
            step: self.step,
            epoch: self.epoch(),
            seconds: self.seconds(),
            best: self.best.as_ref().map(|model| model.best.clone()),
        }
    }

    fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch as f64
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn start(&self) -> Start {
        let (model, manifest) = (&self.setup.model, &self.setup.prepared.manifest);
        let count = |trainable_only: bool| -> u64 {
            let counted = model.parameters().iter().filter(|p| p.trainable() || !trainable_only);
            counted.map(|parameter| parameter.master().numel() as u64).sum()
        };
        Start {
            run: self.directory.path().to_owned(),
            dataset: manifest.dataset.clone(),
            model: self.setup.checkpoint.name.clone(),
            device: device_name(model),
            precision: self.setup.precision_name(),
            parameters: count(false),
            trainable_parameters: count(true),
            train_examples: self.setup.train.len() as u64,
            validation_examples: self.setup.validation.as_ref().map_or(0, |split| split.len() as u64),
            epochs: self.config.epochs,
            steps_done: self.step,
            total_steps: self.total_steps,
        }
    }

    fn record_step(&mut self, outcome: &StepOutcome, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        self.observers.on_step(&StepRecord {
            step: self.step,
            total_steps: self.total_steps,
            epoch: self.epoch(),
            loss: outcome.loss,
            learning_rate: outcome.learning_rate,
            gradient_norm: outcome.gradient_norm,
            examples: outcome.examples,
            tokens: outcome.tokens,
            examples_per_second: outcome.examples as f64 / seconds,
            tokens_per_second: outcome.tokens as f64 / seconds,
            seconds: self.seconds(),
        });
    }
}

impl Order {
    /// The batches of the step after `step`.
    fn batches_of(&mut self, step: u64, steps_per_epoch: u64, config: &TrainConfig) -> Vec<Vec<usize>> {
        let epoch = step / steps_per_epoch;
        let batches = match self.dealt.take() {
            Some((dealt, batches)) if dealt == epoch => batches,
            _ => self.sampler.epoch(epoch),
        };
        let count = config.gradient_accumulation_steps;
        let first = (step % steps_per_epoch) as usize * count;
        let rows = |rows: &[u32]| rows.iter().map(|&row| row as usize).collect();
        let group = batches.iter().skip(first).take(count).map(rows).collect();
        self.dealt = Some((epoch, batches));
        group
    }
}

fn add(mut sum: Gradients, part: Gradients, model: &BertForSequenceClassification) -> Gradients {
    sum.accumulate(part, model.parameters());
    sum
}

/// `cpu` or `cuda:0`.
pub(crate) fn device_name(model: &BertForSequenceClassification) -> String {
    match model.parameters().device() {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

//! The training loop: when to take a step, to evaluate, to save a checkpoint and to finish.

mod checkpointing;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Instant;

use collective::Collective;
use data::sampler::{BatchSampler, Batches};
use metrics::{ClassificationReport, ReportOptions, ScoredSplit, TrainingCourse, implausible_training};
use model::device_name;
use run::{
    Best, EndReason, EndRecord, EvaluationRecord, Event, METRICS, NamedScores, RunFolder, RunMetrics, StartRecord,
    StepRecord, ValidationMetrics, read_log,
};
use tch::Device;
use torch_ext::peak_device_memory;

use crate::checkpoint::{BestModel, Identity, Retention};
use crate::error::{Result, TrainError};
use crate::evaluate::evaluate;
use crate::free_space;
use crate::freed_memory::return_freed_memory;
use crate::memory_estimate;
use crate::observe::{Notice, Observers};
use crate::options::TrainConfig;
use crate::profile::Profile;
use crate::ranks;
use crate::schedule::Schedule;
use crate::setup::{self, Setup};
use crate::signals::{self, Signal};
use crate::step::{StepOutcome, StepResult, TrainStep};

/// How many steps are at least between two returns of the memory that the allocator keeps, see `crates/allocator`. It is
/// returned while the process has more than nine tenths of what was estimated: a large batch may need the last one.
const STEPS_BETWEEN_RETURNS: u64 = 50;

/// A training run in progress.
pub(crate) struct Trainer<'a> {
    config: &'a TrainConfig,
    setup: Setup,
    step: TrainStep,
    ranks: Rc<dyn Collective>,
    /// What writes to the run's folder: of rank 0 alone.
    writer: Option<RunWriter>,
    observers: Observers,
    schedule: Schedule,
    order: BatchOrder,
    steps_per_epoch: u64,
    total_steps: u64,
    steps_done: u64,
    /// A signal that some of several processes got, on which all have agreed.
    agreed_signal: Option<Signal>,
    /// The step after which memory was last returned to the system.
    memory_returned: u64,
    /// Whether the evaluation that is due after this step, if one is, has been done.
    evaluated: bool,
    /// Examples of one forward pass in an evaluation: fewer than `--eval-batch-size` if memory was too small for it.
    eval_batch_size: usize,
    best: Option<BestModel>,
    evaluations_without_better: u64,
    profile: Option<Profile>,
    started: Instant,
    /// Seconds of training before this process.
    seconds_before: f64,
}

/// The run's folder, and what writes checkpoints to it.
struct RunWriter {
    folder: RunFolder,
    identity: Identity,
    retention: Retention,
}

/// The batches of one epoch after another.
struct BatchOrder {
    sampler: BatchSampler,
    /// The current epoch and its batches.
    current: Option<(u64, Batches)>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        config: &'a TrainConfig,
        setup: Setup,
        step: TrainStep,
        output: Option<(RunFolder, Identity)>,
        ranks: Rc<dyn Collective>,
    ) -> Result<Self> {
        let counts = setup.train.token_counts();
        let sampler = BatchSampler::new(counts, config.batch_size, config.seed, config.group_by_length);
        let rows = setup.train.len();
        let (steps_per_epoch, total_steps) = (setup::steps_per_epoch(config, rows), setup::total_steps(config, rows));
        let writer = |(folder, identity): (RunFolder, Identity)| -> Result<RunWriter> {
            let retention = Retention::new(folder.path(), config.checkpoint.save_total, setup.publication()?);
            Ok(RunWriter { folder, identity, retention })
        };
        let mut trainer = Self {
            schedule: config.schedule.schedule(config.optimizer.learning_rate, total_steps),
            writer: output.map(writer).transpose()?,
            observers: Observers::default(),
            order: BatchOrder { sampler, current: None },
            config,
            setup,
            step,
            ranks,
            agreed_signal: None,
            steps_per_epoch,
            total_steps,
            steps_done: 0,
            memory_returned: 0,
            evaluated: true,
            eval_batch_size: config.eval_batch_size,
            best: None,
            evaluations_without_better: 0,
            profile: None,
            started: Instant::now(),
            seconds_before: 0.0,
        };
        let space = trainer.space_needed()?;
        if let Some(writer) = &trainer.writer {
            free_space::check(writer.folder.path(), space)?;
        }
        Ok(trainer)
    }

    /// Starts timing the phases of each step.
    pub(crate) fn profile(&mut self) {
        self.profile = Some(Profile::start());
    }

    /// Trains to the end, and returns the run's folder on the rank that owns it.
    pub(crate) fn train(mut self) -> Result<Option<RunFolder>> {
        if self.is_finished() {
            if let Some(writer) = &self.writer {
                tracing::info!("{} is finished: there is nothing to do", writer.folder.path().display());
            }
            return Ok(self.writer.map(|writer| writer.folder));
        }
        match self.run_loop() {
            Ok(reason) => self.finish(reason),
            Err(TrainError::Collective(error)) => Err(self.stopped_by_loss(error)),
            Err(error) => Err(error),
        }
    }

    /// Whether the run was finished before; of rank 0, which tells the others.
    pub(super) fn is_finished(&self) -> bool {
        let finished = |writer: &RunWriter| self.reason_to_end().is_some() && writer.folder.file(METRICS).is_file();
        self.writer.as_ref().is_some_and(finished)
    }

    fn run_loop(&mut self) -> Result<EndReason> {
        signals::install()
            .map_err(|error| TrainError::Refused(format!("failed to install the signal handlers: {error}")))?;
        if let Some(writer) = &self.writer {
            // A finished run that is continued is unfinished until its new end.
            writer.folder.remove(METRICS)?;
            self.observers = Observers::of(&writer.folder, self.config.evaluation.tensorboard)?;
        }
        self.started = Instant::now();
        let start = self.start();
        self.observers.record(Event::Start(start));
        loop {
            // Evaluate and save before the next step, so that a run resumed from a checkpoint does it too. Save before
            // the evaluation, too, so that a failure or a kill inside it costs no step: memory that is too small for an
            // evaluation is on most systems a kill, and would be one again after every resume.
            let better = self.evaluation_is_due() && {
                self.ensure_saved()?;
                self.evaluate()?
            };
            let reason = self.reason_to_end();
            let publish = better || (reason.is_some() && self.best.is_none());
            if publish || self.save_is_due() || (reason.is_some() && !self.is_saved()) {
                self.save(publish)?;
            }
            match (reason, self.signal()) {
                (Some(reason), _) => {
                    ranks::check_same_weights(self.step.up_to_date()?.0.parameters(), &*self.ranks)?;
                    return Ok(reason);
                }
                (None, Some(signal)) => return Err(self.stop(signal)?),
                (None, None) => self.take_step()?,
            }
        }
    }

    /// The signal that requested this training to stop: of several processes, one on which all have agreed.
    fn signal(&self) -> Option<Signal> {
        if self.ranks.world() > 1 { self.agreed_signal } else { signals::requested() }
    }

    fn evaluation_is_due(&self) -> bool {
        let due = match self.config.evaluation.eval_steps {
            Some(steps) => self.steps_done.is_multiple_of(steps),
            None => self.steps_done.is_multiple_of(self.steps_per_epoch),
        };
        !self.evaluated && self.setup.validation.is_some() && (due || self.steps_done == self.total_steps)
    }

    fn reason_to_end(&self) -> Option<EndReason> {
        if self.evaluation_is_due() {
            return None;
        }
        let patience = self.config.evaluation.early_stopping_patience;
        if patience.is_some_and(|patience| self.evaluations_without_better >= patience) {
            return Some(EndReason::EarlyStopping);
        }
        // `steps_done` can exceed `total_steps` if a resumed run has fewer epochs or steps than before.
        let all_done = self.steps_done >= self.total_steps;
        let reached_max_steps = self.config.max_steps == Some(self.total_steps);
        all_done.then_some(if reached_max_steps { EndReason::MaxSteps } else { EndReason::Finished })
    }

    fn take_step(&mut self) -> Result<()> {
        if let Some(profile) = &self.profile {
            profile.before_step();
        }
        let began = Instant::now();
        let batches = self.order.batches_of(self.steps_done, self.steps_per_epoch, self.config);
        let learning_rate = self.schedule.lr(self.steps_done);
        let outcome = match self.step.take(&self.setup.train, &batches, self.steps_done, learning_rate) {
            Err(TrainError::OutOfMemory(shortage)) => {
                return Err(self.stopped_by(shortage, format!("step {}", self.steps_done + 1))?);
            }
            outcome => outcome?,
        };
        match outcome {
            StepOutcome::Done(result) => {
                self.steps_done += 1;
                self.evaluated = false;
                self.agreed_signal = result.signal;
                if let Some(profile) = &mut self.profile {
                    profile.after_step(began.elapsed(), &result.sum_cost);
                }
                self.record_step(&result, learning_rate, began);
                let may_return = self.steps_done >= self.memory_returned + STEPS_BETWEEN_RETURNS;
                if may_return && memory_estimate::resident().is_none_or(|bytes| bytes > self.setup.memory / 10 * 9) {
                    return_freed_memory();
                    self.memory_returned = self.steps_done;
                }
                Ok(())
            }
            StepOutcome::NotFinite { loss, gradient_norm } => {
                let (step, rows, saved) = (self.steps_done + 1, batches.concat(), self.ensure_saved_for_all()?);
                Err(TrainError::NotFinite { step, loss, gradient_norm, rows, saved })
            }
        }
    }

    /// Scores the validation split; true if the model is the best so far. If a signal stops it, nothing changes.
    fn evaluate(&mut self) -> Result<bool> {
        let Some(validation) = &self.setup.validation else { return Ok(false) };
        ranks::check_same_weights(self.step.up_to_date()?.0.parameters(), &*self.ranks)?;
        self.observers.notify(&Notice::EvaluationStarts { split: "validation" });
        let labels = &self.setup.prepared.manifest.label_names;
        let evaluation = match evaluate(
            self.step.up_to_date()?.0,
            validation,
            "validation",
            labels,
            self.eval_batch_size,
            &*self.ranks,
        ) {
            Err(TrainError::Stopped(signal)) => {
                self.agreed_signal = Some(signal);
                return Ok(false);
            }
            Err(TrainError::OutOfMemory(shortage)) => {
                return Err(self.stopped_by(shortage, format!("evaluation after step {}", self.steps_done))?);
            }
            evaluation => evaluation?,
        };
        self.evaluated = true;
        self.eval_batch_size = evaluation.batch_size;
        let metric = self.config.evaluation.best_metric;
        let value = evaluation.value(metric);
        let better = self.best.as_ref().is_none_or(|model| metric.is_better(value, model.best.value));
        self.observers.record(Event::Evaluation(EvaluationRecord {
            epoch: self.epoch(),
            step: self.steps_done,
            split: "validation".to_owned(),
            loss: evaluation.loss,
            scores: NamedScores(evaluation.scores()),
            value,
            seconds: evaluation.seconds,
            best: better,
        }));
        if better {
            let best = Best { metric: metric.to_string(), value, step: self.steps_done, epoch: self.epoch() };
            self.best = Some(BestModel { best, loss: evaluation.loss, confusion: evaluation.confusion });
            self.evaluations_without_better = 0;
        } else {
            self.evaluations_without_better += 1;
        }
        Ok(better)
    }

    fn finish(mut self, reason: EndReason) -> Result<Option<RunFolder>> {
        let Some(writer) = &self.writer else { return Ok(None) };
        let end = self.end(reason);
        let warnings = self.warnings(&writer.folder)?;
        self.metrics(&end, &warnings)?.write(&writer.folder)?;
        self.observers.record(Event::End(end));
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if let Some(profile) = &self.profile {
            profile.write(&writer.folder)?;
            disk::print_message(profile.table().to_string().trim_end());
        }
        Ok(self.writer.map(|writer| writer.folder))
    }

    /// Why the training can't have worked, if there are reasons.
    fn warnings(&self, folder: &RunFolder) -> Result<Vec<String>> {
        let losses: Vec<f64> = read_log(folder.path())?
            .into_iter()
            .filter_map(|event| if let Event::Step(step) = event { Some(step.loss) } else { None })
            .collect();
        let last_epoch = &losses[losses.len().saturating_sub(self.steps_per_epoch as usize)..];
        let label_names = &self.setup.prepared.manifest.label_names;
        Ok(implausible_training(&TrainingCourse {
            steps: self.steps_done,
            warmup_steps: self.schedule.warmup_steps,
            peak: self.schedule.peak,
            training_loss: (!last_epoch.is_empty()).then(|| last_epoch.iter().sum::<f64>() / last_epoch.len() as f64),
            validation: self.best.as_ref().map(|model| ScoredSplit {
                confusion: &model.confusion,
                loss: model.loss,
                label_names,
            }),
        }))
    }

    fn metrics(&self, end: &EndRecord, warnings: &[String]) -> Result<RunMetrics> {
        let (manifest, pretrained) = (&self.setup.prepared.manifest, &self.setup.pretrained);
        let rows = self.setup.train.len() as f64;
        let examples = (end.epoch * rows).min((end.step * self.config.batch_size as u64) as f64);
        let validation = |model: &BestModel| -> Result<ValidationMetrics> {
            let report = ClassificationReport::new(&model.confusion, &manifest.label_names, ReportOptions::default())?;
            Ok(ValidationMetrics { loss: model.loss, report })
        };
        Ok(RunMetrics {
            reason: end.reason,
            steps: end.step,
            epochs: end.epoch,
            seconds: end.seconds,
            examples_per_second: examples / end.seconds,
            peak_memory_bytes: match self.step.parameters().device() {
                Device::Cpu => memory_estimate::peak(),
                device => peak_device_memory(device),
            },
            peak_host_memory_bytes: memory_estimate::peak(),
            device: device_name(self.step.parameters().device()),
            precision: self.setup.precision.format.to_string(),
            product_gflops: self.setup.product_gflops(),
            processes: self.ranks.world(),
            threads: tch::get_num_threads(),
            instruction_set: setup::instruction_set(self.step.parameters().backend()),
            micro_batch_size: self.step.micro_batch_size().div_ceil(self.ranks.world()),
            eval_batch_size: self.setup.validation.as_ref().map(|_| self.eval_batch_size),
            dataset: manifest.dataset.clone(),
            source: manifest.source.clone(),
            model: pretrained.name.clone(),
            notes: manifest.notes.iter().cloned().chain(self.setup.notes()).chain(warnings.iter().cloned()).collect(),
            best: end.best.clone(),
            validation: self.best.as_ref().map(validation).transpose()?,
        })
    }

    fn end(&self, reason: EndReason) -> EndRecord {
        EndRecord {
            reason,
            step: self.steps_done,
            epoch: self.epoch(),
            seconds: self.seconds(),
            best: self.best.as_ref().map(|model| model.best.clone()),
        }
    }

    fn epoch(&self) -> f64 {
        self.steps_done as f64 / self.steps_per_epoch as f64
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn start(&self) -> StartRecord {
        let (parameters, manifest) = (self.step.parameters(), &self.setup.prepared.manifest);
        let count = |trainable_only: bool| -> u64 {
            let counted = parameters.iter().filter(|p| p.trainable() || !trainable_only);
            counted.map(|parameter| parameter.master().numel() as u64).sum()
        };
        StartRecord {
            run: self.writer.as_ref().map(|writer| writer.folder.path().to_owned()).unwrap_or_default(),
            dataset: manifest.dataset.clone(),
            model: self.setup.pretrained.name.clone(),
            device: device_name(parameters.device()),
            precision: self.setup.precision.format.to_string(),
            product_gflops: self.setup.product_gflops(),
            parameters: count(false),
            trainable_parameters: count(true),
            train_examples: self.setup.train.len() as u64,
            validation_examples: self.setup.validation.as_ref().map_or(0, |split| split.len() as u64),
            epochs: self.config.epochs,
            steps_done: self.steps_done,
            total_steps: self.total_steps,
        }
    }

    fn record_step(&mut self, result: &StepResult, learning_rate: f64, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        self.observers.record(Event::Step(StepRecord {
            step: self.steps_done,
            total_steps: self.total_steps,
            epoch: self.epoch(),
            loss: result.loss,
            learning_rate,
            gradient_norm: result.gradient_norm,
            examples: result.examples,
            tokens: result.tokens,
            examples_per_second: result.examples as f64 / seconds,
            tokens_per_second: result.tokens as f64 / seconds,
            seconds: self.seconds(),
        }));
    }
}

impl BatchOrder {
    /// The batches of the step after `step`.
    fn batches_of(&mut self, step: u64, steps_per_epoch: u64, config: &TrainConfig) -> Vec<Vec<usize>> {
        let epoch = step / steps_per_epoch;
        let batches = match self.current.take() {
            Some((current, batches)) if current == epoch => batches,
            _ => self.sampler.epoch(epoch),
        };
        let count = config.gradient_accumulation_steps;
        let first = (step % steps_per_epoch) as usize * count;
        let rows = |rows: &[u32]| rows.iter().map(|&row| row as usize).collect();
        let group = batches.iter().skip(first).take(count).map(rows).collect();
        self.current = Some((epoch, batches));
        group
    }
}

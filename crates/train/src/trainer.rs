//! The training loop, top to bottom: epochs, steps, evaluations, and the best model kept.

use std::time::Instant;

use data::batch::Batch;
use data::sampler::Sampler;
use model::{BertForSequenceClassification, DropoutStream, Gradients, Inputs};
use tch::Tensor;

use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::evaluate::{Evaluation, evaluate, scalar};
use crate::kept::{Figures, keep_model};
use crate::loss::Loss;
use crate::observe::{Best, End, EndReason, EvaluationRecord, Observer, Observers, Start, StepRecord};
use crate::optim::{Optimizer, Settings, StepScale, clip};
use crate::run_directory::{METRICS, RUN_TOML, RunDirectory};
use crate::schedule::Schedule;
use crate::setup::Setup;

/// Trains as configured and returns the finished run directory.
///
/// # Errors
/// Whatever keeps a run from starting, named before the first step; a loss that stops being a number.
pub fn run(config: &TrainConfig) -> Result<RunDirectory> {
    let setup = Setup::new(config)?;
    let manifest = &setup.prepared.manifest;
    let directory = RunDirectory::create(config.output.as_deref(), &manifest.dataset, &setup.checkpoint.name)?;
    // The saved configuration names what was taken where nothing was asked for.
    let mut resolved = config.clone();
    resolved.data = Some(setup.prepared.dir.clone());
    resolved.model = Some(setup.checkpoint.name.clone());
    directory.write(RUN_TOML, resolved.to_toml()?)?;
    let observers = Observers::of(&directory, config.tensorboard)?;
    say_what_is_used(&setup, &directory);
    Trainer::new(config, setup, directory, observers)?.train()
}

fn say_what_is_used(setup: &Setup, directory: &RunDirectory) {
    let manifest = &setup.prepared.manifest;
    tracing::info!("data: {} ({}), {}", setup.prepared.dir.display(), manifest.variant, manifest.source);
    tracing::info!("model: {} in {:?}", setup.checkpoint.name, setup.precision);
    for note in manifest.notes.iter().chain(&setup.checkpoint.note) {
        eprintln!("note: {note}");
    }
    if !setup.report.initialised.is_empty() {
        tracing::info!("new, to be learned from your data: {}", setup.report.initialised.join(", "));
    }
    tracing::info!("run: {}", directory.path().display());
}

struct Trainer<'a> {
    config: &'a TrainConfig,
    setup: Setup,
    directory: RunDirectory,
    observers: Observers,
    loss: Loss,
    optimizer: Optimizer,
    schedule: Schedule,
    sampler: Sampler,
    steps_per_epoch: u64,
    total_steps: u64,
    /// Optimizer steps done.
    step: u64,
    best: Option<(Best, Evaluation)>,
    evaluations_without_better: u64,
    started: Instant,
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
    fn new(config: &'a TrainConfig, setup: Setup, directory: RunDirectory, observers: Observers) -> Result<Self> {
        let counts = setup.train.token_counts();
        let sampler = Sampler::new(counts, config.batch_size, config.seed, config.group_by_length);
        let batches = sampler.batches_per_epoch() as u64;
        let steps_per_epoch = batches.div_ceil(config.gradient_accumulation_steps as u64);
        let asked = config.epochs * steps_per_epoch;
        let total_steps = config.max_steps.map_or(asked, |most| most.min(asked));
        Ok(Self {
            loss: Loss::new(setup.class_weights(config), config.label_smoothing),
            optimizer: Optimizer::new(setup.model.parameters(), Settings::from(config))?,
            schedule: Schedule::new(config, total_steps),
            config,
            setup,
            directory,
            observers,
            sampler,
            steps_per_epoch,
            total_steps,
            step: 0,
            best: None,
            evaluations_without_better: 0,
            started: Instant::now(),
        })
    }

    fn train(mut self) -> Result<RunDirectory> {
        let start = self.start();
        self.observers.on_start(&start);
        let mut reason = EndReason::Finished;
        'epochs: for epoch in 0..self.config.epochs {
            let batches = self.sampler.epoch(epoch);
            let groups = batches.chunks(self.config.gradient_accumulation_steps);
            let last = groups.len() - 1;
            for (index, rows) in groups.enumerate() {
                let began = Instant::now();
                let outcome = self.train_step(rows)?;
                self.record_step(&outcome, began);
                let all_done = self.step == self.total_steps;
                let due = match self.config.eval_steps {
                    Some(steps) => self.step.is_multiple_of(steps),
                    None => index == last,
                };
                if (due || all_done) && self.evaluate_and_keep()? {
                    reason = EndReason::EarlyStopping;
                    break 'epochs;
                }
                if all_done {
                    if self.config.max_steps == Some(self.total_steps) {
                        reason = EndReason::MaxSteps;
                    }
                    break 'epochs;
                }
            }
        }
        self.finish(reason)
    }

    /// One optimizer step over the micro-batches of `groups`: gradients, norm, clip, update.
    fn train_step(&mut self, groups: &[Vec<usize>]) -> Result<StepOutcome> {
        let batches: Vec<Batch> = groups.iter().map(|rows| Batch::gather(&self.setup.train, rows)).collect();
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
        let gradients = gradients.unwrap_or(Gradients(Vec::new()));
        let gradient_norm = clip::global_norm(&gradients)?;
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let rows = groups.concat();
            return Err(TrainError::NotFinite { step: self.step + 1, loss, gradient_norm, rows });
        }
        let learning_rate = self.schedule.lr(self.step);
        let gradient_scale = match self.config.max_grad_norm {
            0.0 => 1.0,
            most => clip::coefficient(gradient_norm, most),
        };
        let scale = StepScale { learning_rate, gradient_scale };
        self.optimizer.step(self.setup.model.parameters_mut(), &gradients, &scale)?;
        self.step += 1;
        let examples = batches.iter().map(|batch| batch.len() as u64).sum();
        let tokens = batches.iter().map(|batch| batch.tokens() as u64).sum();
        Ok(StepOutcome { loss, gradient_norm, learning_rate, examples, tokens })
    }

    /// The share of one micro-batch in a step's loss, and its gradients.
    fn forward_backward(&self, batch: &Batch, micro: usize, total_weight: f64) -> Result<(f64, Gradients)> {
        let model = &self.setup.model;
        let inputs = Inputs::new(&batch.input_ids, &batch.cu_seqlens, model.parameters().device());
        let pass = self.step * self.config.gradient_accumulation_steps as u64 + micro as u64;
        let dropout = DropoutStream::new(self.config.seed, pass, 0);
        let (logits, tape) = model.forward_train(&inputs, &dropout);
        let (loss, dlogits): (Tensor, Tensor) = self.loss.forward_backward(&logits, &batch.labels, total_weight);
        let gradients = model.backward(tape, &dlogits);
        Ok((scalar(&loss)?, gradients))
    }

    /// Scores the validation split, keeps the model if it is the best so far; true if it is time to stop early.
    fn evaluate_and_keep(&mut self) -> Result<bool> {
        let Some(validation) = &self.setup.validation else { return Ok(false) };
        self.observers.on_evaluation_start("validation");
        let labels = &self.setup.prepared.manifest.label_names;
        let evaluation = evaluate(&self.setup.model, validation, "validation", labels, self.config.eval_batch_size)?;
        let metric = self.config.best_metric;
        let value = evaluation.value(metric);
        let better = self.best.as_ref().is_none_or(|(best, _)| metric.is_better(value, best.value));
        if better {
            keep_model(&self.directory, &self.setup)?;
        }
        self.observers.on_evaluation(&EvaluationRecord {
            epoch: self.epoch(),
            step: self.step,
            split: "validation".to_owned(),
            loss: evaluation.loss,
            scores: evaluation.scores(),
            seconds: evaluation.seconds,
            best: better,
        });
        if better {
            let best = Best { metric: metric.to_string(), value, step: self.step, epoch: self.epoch() };
            self.best = Some((best, evaluation));
            self.evaluations_without_better = 0;
        } else {
            self.evaluations_without_better += 1;
        }
        let patience = self.config.early_stopping_patience;
        Ok(patience.is_some_and(|patience| self.evaluations_without_better >= patience))
    }

    fn finish(mut self, reason: EndReason) -> Result<RunDirectory> {
        if self.best.is_none() {
            keep_model(&self.directory, &self.setup)?;
        }
        let end = End {
            reason,
            step: self.step,
            epoch: self.epoch(),
            seconds: self.started.elapsed().as_secs_f64(),
            best: self.best.as_ref().map(|(best, _)| best.clone()),
        };
        let evaluation = self.best.as_ref().map(|(_, evaluation)| evaluation);
        let figures = Figures::new(&self.setup, &end, evaluation, self.config.batch_size);
        self.directory.write(METRICS, figures.to_json()?)?;
        self.observers.on_end(&end);
        Ok(self.directory)
    }

    fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch as f64
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
            steps_done: 0,
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
            seconds: self.started.elapsed().as_secs_f64(),
        });
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

//! The ranges of every value, and which values don't go together.

use std::fmt::Display;

use super::{ClassWeights, TrainConfig};
use crate::error::{InvalidValue, Result, TrainError};

impl TrainConfig {
    /// Whether every value is in its range and none contradicts another.
    ///
    /// # Errors
    /// The first value that isn't: its flag, what was found, what is allowed and what to do.
    pub fn validate(&self) -> Result<()> {
        self.validate_counts()?;
        self.validate_optimizer()?;
        self.validate_schedule()?;
        self.validate_regularisation()
    }

    /// Whether the layers to freeze and to draw anew exist and don't overlap in a model of `layers` layers.
    ///
    /// # Errors
    /// As [`TrainConfig::validate`].
    pub fn validate_layers(&self, layers: usize) -> Result<()> {
        let allowed = format!("from 0 to the model's {layers} layers");
        check(self.freeze_layers <= layers, "freeze_layers", self.freeze_layers, &allowed, "give fewer")?;
        check(self.reinit_layers <= layers, "reinit_layers", self.reinit_layers, &allowed, "give fewer")?;
        if self.freeze_layers + self.reinit_layers <= layers {
            return Ok(());
        }
        Err(TrainError::Conflict {
            first: format!("--freeze-layers {}", self.freeze_layers),
            second: format!("--reinit-layers {}", self.reinit_layers),
            why: format!("the model has {layers} layers, so a layer drawn anew would never learn"),
            hint: format!("the two may add up to {layers}"),
        })
    }

    /// Whether there are as many class weights as labels.
    ///
    /// # Errors
    /// As [`TrainConfig::validate`].
    pub fn validate_labels(&self, label_names: &[String]) -> Result<()> {
        let ClassWeights::Values(weights) = &self.class_weights else {
            return Ok(());
        };
        let allowed = format!("{} numbers, one for each of {}", label_names.len(), label_names.join(", "));
        let hint = "write them in that order with commas between";
        check(weights.len() == label_names.len(), "class_weights", joined(weights), &allowed, hint)
    }

    fn validate_counts(&self) -> Result<()> {
        at_least_one("epochs", self.epochs, "3 is the default; --max-steps N stops earlier")?;
        at_least_one("batch_size", self.batch_size as u64, "16 is the default; 8 needs less memory")?;
        at_least_one("eval_batch_size", self.eval_batch_size as u64, "32 is the default")?;
        let hint = "1 is the default: every batch is a step";
        at_least_one("gradient_accumulation_steps", self.gradient_accumulation_steps as u64, hint)?;
        if let Some(steps) = self.max_steps {
            at_least_one("max_steps", steps, "leave it out to train for all epochs")?;
        }
        if let Some(steps) = self.eval_steps {
            at_least_one("eval_steps", steps, "leave it out to evaluate at the end of every epoch")?;
        }
        if let Some(steps) = self.save_every {
            at_least_one("save_every", steps, "leave it out to save at the end of every epoch")?;
        }
        at_least_one("save_total", self.save_total as u64, "1 is the default: the last one, and the best")?;
        if let Some(patience) = self.early_stopping_patience {
            at_least_one("early_stopping_patience", patience, "leave it out for no early stopping")?;
        }
        if let Some(threads) = self.threads {
            let hint = "leave it out for one a physical core";
            check((1..=1024).contains(&threads), "threads", threads, "a whole number from 1 to 1024", hint)?;
        }
        let hint = "any smaller number does as well";
        check(i64::try_from(self.seed).is_ok(), "seed", self.seed, "a whole number from 0 to 2^63 - 1", hint)
    }

    fn validate_optimizer(&self) -> Result<()> {
        let hint = "2e-5 is the default; 1e-5 to 5e-5 suit most models";
        let rate = self.learning_rate;
        check(rate > 0.0 && rate <= 1.0, "learning_rate", rate, "a number above 0 and up to 1", hint)?;
        let hint = "0.01 is the default, 0 turns it off";
        check((0.0..=1.0).contains(&self.weight_decay), "weight_decay", self.weight_decay, "from 0 to 1", hint)?;
        share("beta1", self.beta1, "0.9 is the default")?;
        share("beta2", self.beta2, "0.999 is the default, 0.99 for lion")?;
        positive("epsilon", self.epsilon, "1e-8 is the default")?;
        share("momentum", self.momentum, "0.9 is the default, 0 turns it off")?;
        let norm = self.max_grad_norm;
        let hint = "1.0 is the default, 0 turns clipping off";
        check(norm.is_finite() && norm >= 0.0, "max_grad_norm", norm, "a finite number of 0 or more", hint)?;
        let decay = self.layer_decay;
        let hint = "1.0 is the default: all layers learn alike; 0.8 to 0.95 are usual";
        check(decay > 0.0 && decay <= 1.0, "layer_decay", decay, "a number above 0 and up to 1", hint)
    }

    fn validate_schedule(&self) -> Result<()> {
        let ratio = self.warmup_ratio;
        check((0.0..=1.0).contains(&ratio), "warmup_ratio", ratio, "from 0 to 1", "0.1 is usual")?;
        positive("polynomial_power", self.polynomial_power, "1.0 is the default: a straight line")?;
        if self.warmup_steps > 0 && ratio > 0.0 {
            return Err(TrainError::Conflict {
                first: format!("--warmup-steps {}", self.warmup_steps),
                second: format!("--warmup-ratio {ratio}"),
                why: "both say how long the warm-up is".to_owned(),
                hint: "leave one of them out".to_owned(),
            });
        }
        let limit = self.max_steps.unwrap_or(u64::MAX);
        let allowed = format!("no more than the {limit} steps of --max-steps");
        check(self.warmup_steps <= limit, "warmup_steps", self.warmup_steps, &allowed, "give fewer, or more steps")
    }

    fn validate_regularisation(&self) -> Result<()> {
        for (key, dropout) in [
            ("hidden_dropout", self.hidden_dropout),
            ("attention_dropout", self.attention_dropout),
            ("classifier_dropout", self.classifier_dropout),
        ] {
            if let Some(dropout) = dropout {
                share(key, dropout, "leave it out for the model's own; 0.1 is usual, 0 turns it off")?;
            }
        }
        share("label_smoothing", self.label_smoothing, "0 is the default; 0.1 is usual")?;
        if let ClassWeights::Values(weights) = &self.class_weights {
            let usable = |weight: &f64| weight.is_finite() && *weight >= 0.0;
            let good = weights.len() >= 2 && weights.iter().all(usable) && weights.iter().any(|weight| *weight > 0.0);
            let allowed = "one finite number of 0 or more for each class, not all 0";
            check(
                good,
                "class_weights",
                joined(weights),
                allowed,
                "--class-weights balanced takes them from the data",
            )?;
        }
        Ok(())
    }
}

fn check(good: bool, key: &'static str, found: impl Display, allowed: &str, hint: &str) -> Result<()> {
    if good {
        return Ok(());
    }
    let (found, allowed, hint) = (found.to_string(), allowed.to_owned(), hint.to_owned());
    Err(TrainError::Value(Box::new(InvalidValue { key, place: None, found, allowed, hint })))
}

fn at_least_one(key: &'static str, found: u64, hint: &str) -> Result<()> {
    check(found >= 1, key, found, "a whole number of 1 or more", hint)
}

fn share(key: &'static str, found: f64, hint: &str) -> Result<()> {
    check((0.0..1.0).contains(&found), key, found, "a number from 0 to below 1", hint)
}

fn positive(key: &'static str, found: f64, hint: &str) -> Result<()> {
    check(found.is_finite() && found > 0.0, key, found, "a finite number above 0", hint)
}

fn joined(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;

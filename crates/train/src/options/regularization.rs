//! Options that reduce overfitting and the forgetting of pretrained knowledge.

use model::Role;
use toml::Value;

use super::choices::ClassWeights;
use super::spec::{Rule, any_value, float, integer, matching, options};
use super::value::OptionValue;
use crate::error::{GivenOption, OptionsError};

/// The rule of a dropout probability.
fn dropout() -> Rule {
    let hint = "leave it out for the model's own; 0.1 is usual, 0 turns it off";
    Rule { unset: "the model's", hint, ..float(0.0..1.0) }
}

options! {
    /// Options that reduce overfitting and the forgetting of pretrained knowledge.
    RegularizationOptions, "Regularization", [] {
        /// Dropout after embeddings and sublayers
        hidden_dropout: Option<f64> = None, dropout();
        /// Dropout of attention probabilities
        attention_dropout: Option<f64> = None, dropout();
        /// Dropout before the classifier
        classifier_dropout: Option<f64> = None, dropout();
        /// Share of each label spread over all classes
        label_smoothing: f64 = 0.0, float(0.0..1.0), hint: "{default} is the default; 0.1 is usual";
        /// How much each class counts in the loss: none, balanced, or one number a class, such as 1.0,2.5
        class_weights: ClassWeights = ClassWeights::None,
            matching("none, balanced, or one finite number of 0 or more for each class, not all 0", are_class_weights),
            hint: "--class-weights balanced takes them from the data; in a file, numbers are a list: [1.0, 2.5]",
            placeholder: "WEIGHTS";
        /// Freeze the embeddings
        freeze_embeddings: bool = false, any_value();
        /// Freeze the lowest N layers
        freeze_layers: usize = 0, integer(0..);
        /// Re-initialize the top N layers before training
        reinit_layers: usize = 0, integer(0..);
    }
}

/// Whether a value is a valid list of class weights, or a name such as `balanced`.
fn are_class_weights(value: &Value) -> bool {
    let Value::Array(weights) = value else { return true };
    let weights: Vec<f64> = weights.iter().filter_map(Value::as_float).collect();
    weights.len() >= 2
        && weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
        && weights.iter().any(|weight| *weight > 0.0)
}

impl RegularizationOptions {
    /// Whether parameters with this role are frozen.
    pub(crate) fn freezes(&self, role: Role) -> bool {
        match role {
            Role::Embedding => self.freeze_embeddings,
            Role::Layer(index) => index < self.freeze_layers,
            Role::Head => false,
        }
    }

    /// Checks that the layers to freeze and to re-initialize exist and don't overlap in a model of `layers` layers.
    ///
    /// # Errors
    /// The option that exceeds the number of layers, or both options if the layers overlap.
    pub fn check_layers(&self, layers: usize) -> Result<(), OptionsError> {
        let counts = [("freeze_layers", self.freeze_layers), ("reinit_layers", self.reinit_layers)];
        let settings = counts.map(|(key, count)| GivenOption::flag(key, count));
        if let Some(which) = counts.iter().position(|(_, count)| *count > layers) {
            let expected = format!("from 0 to the model's {layers} layers");
            return Err(OptionsError::value(settings[which].clone(), expected, "give fewer"));
        }
        if self.freeze_layers + self.reinit_layers <= layers {
            return Ok(());
        }
        let why = format!("the model has {layers} layers, so a re-initialized layer would never be trained");
        Err(OptionsError::conflict(settings, why, format!("the two may add up to {layers}")))
    }

    /// Checks that there are as many class weights as labels.
    ///
    /// # Errors
    /// Another number of weights.
    pub fn check_labels(&self, label_names: &[String]) -> Result<(), OptionsError> {
        match &self.class_weights {
            ClassWeights::Values(weights) if weights.len() != label_names.len() => {
                let setting = GivenOption::flag("class_weights", self.class_weights.to_text().unwrap_or_default());
                let names = label_names.join(", ");
                let expected = format!("{} numbers, one for each of {names}", label_names.len());
                Err(OptionsError::value(setting, expected, "write them in that order with commas between"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a training row has a class weight above 0; `label_counts` are the training rows of each label.
    ///
    /// # Errors
    /// Weights that are 0 for every label that occurs.
    pub(crate) fn check_label_counts(&self, label_counts: &[usize]) -> Result<(), OptionsError> {
        let ClassWeights::Values(weights) = &self.class_weights else { return Ok(()) };
        if weights.iter().zip(label_counts).any(|(weight, count)| *weight > 0.0 && *count > 0) {
            return Ok(());
        }
        let setting = GivenOption::flag("class_weights", self.class_weights.to_text().unwrap_or_default());
        let expected = "above 0 for at least one label that the training rows have";
        Err(OptionsError::value(setting, expected, "the loss of every step would be 0"))
    }
}

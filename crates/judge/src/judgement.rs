//! Everything that an evaluation says about a model, as one value with a documented and versioned form in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::baselines::Baselines;
use crate::calibration::Calibration;
use crate::comparison::Comparison;
use crate::curves::ClassCurves;
use crate::estimate::Estimate;
use crate::mistakes::Mistakes;
use crate::selective::SelectivePrediction;
use crate::slices::Slices;
use crate::treebank::TreebankScores;

/// The version of the form of a [`Judgement`] in JSON. It changes when a key changes its meaning or goes; new keys don't change it.
pub const SCHEMA_VERSION: u32 = 1;

/// The parts of an evaluation beyond its plain scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The level of every interval: 0.95.
    pub level: f64,
    /// The resamples of every bootstrap.
    pub resamples: u32,
    /// The seed that they were drawn with.
    pub seed: u64,
    /// The headline figures by name: `accuracy`, `precision`, `recall`, `f1` (weighted), `macro_f1`, `matthews`.
    pub scores: BTreeMap<String, Estimate>,
    /// Precision, recall and F1 of each class, in the order of the classes.
    pub per_class: Vec<ClassEstimates>,
    /// Whether the probabilities mean what they say.
    pub calibration: Calibration,
    /// What is gained by leaving out the least sure predictions.
    pub selective: SelectivePrediction,
    /// ROC and precision-recall curves of each class, in the order of the classes.
    pub curves: Vec<ClassCurves>,
    /// The scores of parts of the rows.
    pub slices: Slices,
    /// Simple models, fitted on the same training data; absent where that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Baselines>,
    /// The comparison with another run on the same rows, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Mistakes that are worth a look.
    pub mistakes: Mistakes,
    /// What the model makes of every phrase of the treebank, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treebank: Option<TreebankScores>,
}

/// The scores of one class with their intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassEstimates {
    /// The class's name.
    pub label: String,
    /// Of what was predicted, the share that is true.
    pub precision: Estimate,
    /// Of what is true, the share that was predicted.
    pub recall: Estimate,
    /// The harmonic mean of both.
    pub f1: Estimate,
}

//! What an evaluation can say about a model, beyond the counts of right and wrong: how sure each figure is, whether the model
//! is better than another one or than simple baselines, whether its probabilities mean what they say, where it is weak and
//! which mistakes are worth a look.
//!
//! Plain data in, plain data out: the formulas are in `metrics`; a file here is one part of a [`Judgement`], which is written
//! as JSON and drawn by the report.

#![warn(missing_docs)]

mod agreement;
mod baselines;
mod calibration;
mod cells;
mod comparison;
mod confidence;
mod cue_words;
mod curves;
mod estimate;
mod explanation;
mod headline;
mod judgement;
mod mistakes;
#[doc(hidden)]
pub mod samples;
mod scored;
mod selective;
mod slices;
mod treebank;

pub use agreement::{AgreementSum, HumanAgreement, JudgedPart, PartAgreement, rank_correlation};
pub use baselines::{BaselineResult, Baselines};
pub use calibration::{Calibration, ReliabilityBin};
pub use comparison::{ChangedPrediction, Comparison, ScoreDifference, Verdict};
pub use curves::{ClassCurves, CurvePoint};
pub use estimate::{Estimate, IntervalMethod};
pub use explanation::{Completeness, Explanation, METHOD, WordAttribution};
pub use headline::HeadlineFigures;
pub use judgement::{ClassEstimates, Judgement, SCHEMA_VERSION};
pub use mistakes::{Mistake, Mistakes};
pub use scored::{RowFacts, ScoredRows};
pub use selective::{AbstentionThreshold, RiskPoint, SelectivePrediction};
pub use slices::{Slice, Slices};
pub use treebank::{NegatedPhrases, NodeGroup, PhraseAgreement, ScoredNode, TreebankScores};

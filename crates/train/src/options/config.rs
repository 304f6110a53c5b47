//! The configuration of a run: all groups of options, and the options that belong to no group.

use std::path::PathBuf;

use model::{DeviceChoice, PrecisionChoice};

use super::checkpoint::CheckpointOptions;
use super::evaluation::EvaluationOptions;
use super::optimizer::OptimizerOptions;
use super::regularization::RegularizationOptions;
use super::schedule::ScheduleOptions;
use super::spec::{Reader, any_value, integer, options, string};

options! {
    /// The resolved configuration of a run. Each field has the unit and meaning of the flag with the same name.
    TrainConfig, "", [
        optimizer: OptimizerOptions, schedule: ScheduleOptions, regularization: RegularizationOptions,
        evaluation: EvaluationOptions, checkpoint: CheckpointOptions
    ] {
        /// Prepared data
        data: Option<PathBuf> = None, string("DIR"), unset: "the newest under data/prepared",
            changeable_on_resume: true, differs_by_process: true;
        /// Hugging Face model folder or Hub id
        model: Option<String> = None, string("ID|DIR"), unset: "the one the data was prepared for",
            changeable_on_resume: true, differs_by_process: true;
        // Not saved, so that a saved configuration starts a new run and stays correct if the folder is moved.
        /// Folder of the run
        output: Option<PathBuf> = None, string("DIR"), unset: "runs/TIME-DATASET-MODEL", saved: false,
            differs_by_process: true;
        /// Passes over the training data
        epochs: u64 = 3, integer(1..), hint: "{default} is the default; --max-steps N stops earlier";
        /// Stop after N optimizer steps, also within an epoch; the schedule ends there too
        max_steps: Option<u64> = None, integer(1..), hint: "leave it out to train for all epochs";
        /// Examples a forward and backward pass
        batch_size: usize = 16, integer(1..), hint: "{default} is the default; 8 needs less memory";
        /// Examples a forward pass in evaluation
        eval_batch_size: usize = 32, integer(1..), reader: Reader::Evaluation, changeable_on_resume: true;
        /// Batches whose gradients are averaged into one step
        gradient_accumulation_steps: usize = 1, integer(1..), hint: "{default} is the default: every batch is a step";
        /// Put examples of similar length into one batch
        group_by_length: bool = false, any_value();
        /// Seed of everything random: head, order, dropout
        seed: u64 = 42, integer(0..=i64::MAX), hint: "any number in this range is as good";
        /// Number format of the computation; auto takes the faster one
        precision: PrecisionChoice = PrecisionChoice::Auto, any_value(), changeable_on_resume: true;
        /// Where to compute
        device: DeviceChoice = DeviceChoice::Auto, any_value(), changeable_on_resume: true, differs_by_process: true;
        /// CPU threads
        threads: Option<usize> = None, integer(1..=1024), unset: "one a physical core",
            hint: "leave it out for one a physical core", changeable_on_resume: true, differs_by_process: true;
        /// Train although the run needs more memory than is available
        skip_memory_check: bool = false, any_value(), changeable_on_resume: true, differs_by_process: true;
    }
}

//! Sample records, for the tests of this crate and of the crates that depend on it.

use std::collections::BTreeMap;

use crate::records::{Best, EndReason, EndRecord, EvaluationRecord, NamedScores, StartRecord, StepRecord};

pub fn start() -> StartRecord {
    StartRecord {
        run: "runs/a".into(),
        dataset: "sst2".to_owned(),
        model: "bert-base-uncased".to_owned(),
        device: "cpu".to_owned(),
        precision: "fp32".to_owned(),
        product_gflops: BTreeMap::new(),
        parameters: 109_483_778,
        trainable_parameters: 109_483_778,
        train_examples: 6920,
        validation_examples: 872,
        epochs: 3,
        steps_done: 0,
        total_steps: 1299,
    }
}

pub fn step(step: u64) -> StepRecord {
    StepRecord {
        step,
        total_steps: 1299,
        epoch: step as f64 / 433.0,
        loss: 0.5,
        learning_rate: 1.5e-5,
        gradient_norm: 2.25,
        examples: 16,
        tokens: 400,
        examples_per_second: 32.0,
        tokens_per_second: 800.0,
        seconds: step as f64 / 2.0,
    }
}

pub fn evaluation() -> EvaluationRecord {
    EvaluationRecord {
        epoch: 1.0,
        step: 433,
        split: "validation".to_owned(),
        loss: 0.375,
        scores: NamedScores(vec![("accuracy".to_owned(), 0.875), ("f1".to_owned(), 0.8125)]),
        value: 0.875,
        seconds: 4.5,
        best: true,
    }
}

pub fn end() -> EndRecord {
    EndRecord {
        reason: EndReason::EarlyStopping,
        step: 866,
        epoch: 2.0,
        seconds: 433.0,
        best: Some(Best { metric: "accuracy".to_owned(), value: 0.875, step: 433, epoch: 1.0 }),
    }
}

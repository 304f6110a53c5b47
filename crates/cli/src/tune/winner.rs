//! The best trial of a study: its model under a fixed name, its configuration, and its score on the test split.

use std::fs::File;

use anyhow::{Context, Result, ensure};
use disk::write_atomic;
use run::EvaluationResult;
use serde::{Deserialize, Serialize};
use train::options::Choice;
use tune::space::Space;
use tune::{Study, Trial};

use super::folder::StudyFolder;
use super::optimism::Optimism;
use super::plan::StudyPlan;
use crate::this_program;

/// The attribute of the study with all scores on the test split.
const TEST: &str = "verdict:test";

/// The score of a trial's model on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TestScore {
    pub trial: u64,
    /// The number of texts.
    pub examples: u64,
    /// The metric that selected the trial on validation.
    pub value: f64,
}

/// The best trial.
pub(super) struct Winner {
    pub trial: Trial,
    /// False if it was trained on another machine or by Optuna.
    pub has_model: bool,
    /// All scores on the test split so far, the winner's last.
    pub test_scores: Vec<TestScore>,
}

impl Winner {
    /// Publishes the best trial's model and configuration. `None` if no trial is complete.
    pub(super) fn publish(
        study: &Study,
        folder: &StudyFolder,
        plan: &StudyPlan,
        space: &Space,
    ) -> Result<Option<Self>> {
        let Some(trial) = study.best().cloned() else { return Ok(None) };
        let mut winner = Self { trial, has_model: false, test_scores: test_scores(study) };
        let configuration = winner.configuration(study, folder, plan, space)?;
        winner.has_model = folder.publish_best(winner.trial.number, &configuration)?;
        Ok(Some(winner))
    }

    /// The content of `best.toml`.
    fn configuration(&self, study: &Study, folder: &StudyFolder, plan: &StudyPlan, space: &Space) -> Result<String> {
        let trial = &self.trial;
        let configuration = match std::fs::read_to_string(folder.config(trial.number)) {
            Ok(text) => text,
            Err(_) => toml::to_string(&plan.configuration(space, &trial.params))?,
        };
        let tested =
            self.optimism(plan).map_or_else(String::new, |optimism| format!("# {}: {optimism}.\n", plan.metric));
        Ok(format!(
            "# Trial {} of the study {}: {} {} on validation.\n{tested}# `cargo run -p train -- --config FILE` trains it \
             again: to the same bits with the same number of threads.\n\n{configuration}",
            trial.number,
            study.name(),
            plan.metric,
            trial.value.unwrap_or(f64::NAN),
        ))
    }

    /// How much better the winner is on validation, which selected it, than on test; `None` where test is not scored.
    pub(super) fn optimism(&self, plan: &StudyPlan) -> Option<Optimism> {
        let (validation, test) = (self.trial.value?, self.test_score()?.value);
        Some(Optimism { metric: plan.metric, validation, test })
    }

    /// The winner's score on the test split, if it has one.
    pub(super) fn test_score(&self) -> Option<&TestScore> {
        self.test_scores.iter().find(|score| score.trial == self.trial.number)
    }

    /// Scores the model on the test split unless that was done. Does nothing without a labeled test split or without a
    /// model.
    pub(super) fn score_on_test(
        &mut self,
        study: &mut Study,
        folder: &StudyFolder,
        plan: &StudyPlan,
        space: &Space,
    ) -> Result<()> {
        let labeled =
            plan.manifest.splits.get("test").is_some_and(|split| split.rows > 0 && split.labeled == split.rows);
        if !labeled || !self.has_model || self.test_score().is_some() {
            return Ok(());
        }
        let output_path = folder.file("trials/evaluation.txt");
        let output =
            File::create(&output_path).with_context(|| format!("failed to write {}", output_path.display()))?;
        let mut command = this_program("evaluate")?;
        command.arg("--run").arg(folder.best()).arg("--data").arg(&plan.data);
        command.args(["--split", "test", "--device", &plan.device.name()]);
        let status = command.stdout(output.try_clone()?).stderr(output).status();
        let status = status.context("failed to start `evaluate`")?;
        ensure!(status.success(), "failed to score the test split (hint: see {})", output_path.display());
        let result = EvaluationResult::read(&folder.best(), "test")?;
        self.test_scores.push(TestScore {
            trial: self.trial.number,
            examples: result.report.examples,
            value: plan.metric.value(&result.report, result.loss),
        });
        study.set_user_attr(TEST, &serde_json::to_value(&self.test_scores)?)?;
        Ok(write_atomic(&folder.file("best.toml"), self.configuration(study, folder, plan, space)?)?)
    }
}

/// The scores on the test split that a study has stored.
fn test_scores(study: &Study) -> Vec<TestScore> {
    let stored = study.user_attrs().remove(TEST);
    stored.and_then(|scores| serde_json::from_value(scores).ok()).unwrap_or_default()
}

//! The scores of all members of a group of runs on the rows that its best member is evaluated on.

use ::predict::Predictor;
use anyhow::{Result, ensure};
use collective::Alone;
use model::InferencePrecisionChoice;
use run::{ChosenGroup, GroupKind, GroupScores, MemberScores, NamedScores};
use tch::Device;
use train::evaluate::evaluate;

use super::run_precision::run_precision;
use super::scored_data::ScoredData;

/// How the members are evaluated: as the best one was.
pub(super) struct GroupEvaluation<'a> {
    pub group: &'a ChosenGroup,
    pub scored: &'a ScoredData,
    /// Whether the rows are a split of prepared data, and not of a file.
    pub is_split: bool,
    /// Whether that data is the run's own.
    pub own_data: bool,
    /// The names of the labels, in the order of the rows' labels.
    pub label_names: &'a [String],
    pub precision: Option<InferencePrecisionChoice>,
    pub device: Device,
    pub batch_size: usize,
}

impl GroupEvaluation<'_> {
    /// The scores of each finished member, one model at a time. `of_best` are those that the best member already has.
    /// `None`, with the reason, for rows that the other members of the group were trained on.
    ///
    /// # Errors
    /// A member that can't be opened, or that has other labels.
    pub(super) fn scores(&self, of_best: NamedScores) -> Result<(Option<GroupScores>, Option<String>)> {
        let ChosenGroup { folder, record } = self.group;
        let split = &self.scored.split;
        let trained_on = split == "train" || (split == "validation" && self.own_data);
        if record.kind == GroupKind::Folds && self.is_split && trained_on {
            let best = record.best.as_deref().unwrap_or_default();
            return Ok((
                None,
                Some(format!(
                    "the other folds were trained on rows of this split, so only {best} is scored on it; {} has the scores of \
                     each fold on its own rows",
                    folder.join(run::GROUP).display()
                )),
            ));
        }
        let mut members = Vec::new();
        for (name, _) in record.results() {
            let scores = match record.best.as_deref() == Some(name) {
                true => of_best.clone(),
                false => self.member_scores(name)?,
            };
            members.push(MemberScores { name: name.to_owned(), scores });
        }
        let missing = record.members.len() - members.len();
        let note = (missing > 0).then(|| {
            format!("{missing} of the group's {} runs are not finished, and not in these scores", record.members.len())
        });
        Ok((Some(GroupScores::new(split, members)), note))
    }

    fn member_scores(&self, name: &str) -> Result<NamedScores> {
        let run = self.group.folder.join(name);
        let (precision, _) = run_precision(&run, self.precision, self.device)?;
        let predictor = Predictor::open(&run, self.device, precision)?;
        let labels = predictor.label_names();
        ensure!(
            labels == self.label_names,
            "{}: expected the labels {} of the best run of its group, found {} (hint: train the group again)",
            run.display(),
            self.label_names.join(", "),
            labels.join(", ")
        );
        let evaluation =
            evaluate(predictor.model(), &self.scored.examples, &self.scored.split, labels, self.batch_size, &Alone)?;
        Ok(GroupScores::of_report(&evaluation.report, evaluation.loss))
    }
}

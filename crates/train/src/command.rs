//! What `train` does: one training, or a group of them; both programs that have the command call it.

use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;

use crate::error::{Result, TrainError};
use crate::group::{GroupArgs, GroupRequest, Program, predict_held_out, train_group};
use crate::options::TrainArgs;
use crate::ranks::{join_ranks, with_ranks};
use crate::start::train_with;
use crate::training_process::train_until_input_ends;

/// The flags of `train`: those of a training, and those of a group of trainings.
#[derive(Debug, Clone, Default, Args)]
pub struct TrainCommand {
    #[command(flatten)]
    pub train: TrainArgs,
    #[command(flatten)]
    pub group: GroupArgs,
    /// Wait for the folder, and stop when the standard input ends: for the process that started this one
    #[arg(long, hide = true)]
    pub stop_at_end_of_input: bool,
    /// Write the predictions of the rows that this fold holds out into the run
    #[arg(long, value_name = "FOLD", hide = true)]
    pub held_out: Option<u32>,
}

impl TrainCommand {
    /// Trains, and returns the folder of the run or of the group; `None` for one of several processes that is not rank 0.
    /// `subcommand` is the word after which this program has these flags, if it has other commands.
    ///
    /// # Errors
    /// As [`train`](crate::train()); flags of a group that exclude each other; a member that fails;
    /// [`GroupInterrupted`](TrainError::GroupInterrupted) after a signal.
    pub fn run(&self, subcommand: Option<&'static str>) -> Result<Option<PathBuf>> {
        if self.stop_at_end_of_input {
            let run = train_until_input_ends(&self.train)?;
            if let Some(fold) = self.held_out {
                predict_held_out(&run, &self.train, fold)?;
            }
            return Ok(Some(run.path().to_owned()));
        }
        if let Some(fold) = self.held_out {
            return Err(TrainError::Refused(format!(
                "--held-out {fold} is for the runs of a group (hint: --folds N trains a group with N folds)"
            )));
        }
        let group = GroupRequest::new(&self.train, self.group)?;
        let ranks = join_ranks()?;
        with_ranks(&*ranks, || match group {
            Some(_) if ranks.world() > 1 => Err(TrainError::Refused(format!(
                "--seeds and --folds start a process for each run themselves, and this is one of {} processes that are to train \
                 one run together (hint: start it without a launcher, or leave --seeds and --folds out)",
                ranks.world()
            ))),
            Some(request) => Ok(Some(train_group(&request, Program { subcommand })?)),
            None => Ok(train_with(&self.train, Rc::clone(&ranks))?.map(|folder| folder.path().to_owned())),
        })
    }
}

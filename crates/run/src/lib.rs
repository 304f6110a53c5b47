//! The folder of one training, and every record in it: the same types write and read them.
//!
//! | file | written by | type |
//! | --- | --- | --- |
//! | `run.toml` | training, at its start | the resolved options, defined by `train` |
//! | `log.jsonl` | training, line by line | [`Event`], read by [`read_log`] and [`LogFollower`] |
//! | `metrics.json` | training, at its end | [`RunMetrics`] |
//! | `evaluation-SPLIT.json` | `evaluate` | [`EvaluationResult`] |
//! | `README.md` | `evaluate` | the model card, written by `cli` |
//! | `int8.json` | the first use in int8 | [`Int8Comparison`] |
//! | `calibration.json` | `calibrate` | [`CalibrationRecord`] |
//! | `checkpoints/step-NNNNNNNN/` | training | names in [`checkpoints`], contents in `train` |
//!
//! Several trainings may be a group, in a folder with `group.json` ([`RunGroup`]) and, with folds, `out-of-fold.csv`
//! ([`OutOfFold`]). [`ChosenRun`] says which run a command opens.

mod append_file;
mod calibration_record;
pub mod checkpoints;
mod chosen_run;
mod environment;
mod error;
mod evaluation;
mod folder;
mod follow;
mod group;
mod group_scores;
mod int8_comparison;
mod log;
mod metrics_json;
mod out_of_fold;
mod records;
#[doc(hidden)]
pub mod samples;

pub use append_file::AppendFile;
pub use calibration_record::{CALIBRATION, CalibratedSplit, CalibrationRecord};
pub use chosen_run::{ChosenGroup, ChosenRun};
pub use environment::Environment;
pub use error::{Result, RunError};
pub use evaluation::EvaluationResult;
pub use folder::{CONFIG, DATA, EVENTS, LOG, METRICS, MODEL, PROFILE, RUN_TOML, RUNS, RunFolder, slug};
pub use follow::LogFollower;
pub use group::{GROUP, GroupKind, GroupMember, MemberResult, RunGroup};
pub use group_scores::{GroupScores, MemberScores, mean_and_deviation};
pub use int8_comparison::{Int8Comparison, WeightsFile};
pub use log::{Event, LogWriter, last_start, last_step, read_log};
pub use metrics_json::{RunMetrics, ValidationMetrics};
pub use out_of_fold::{HELD_OUT, OUT_OF_FOLD, OutOfFold, OutOfFoldRow};
pub use records::{Best, EndReason, EndRecord, EvaluationRecord, NamedScores, StartRecord, StepRecord};

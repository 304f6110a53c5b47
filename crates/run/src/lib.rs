//! The folder of one training, and every record in it: the same types write and read them.
//!
//! | file | written by | type |
//! | --- | --- | --- |
//! | `run.toml` | training, at its start | the resolved options, defined by `train` |
//! | `log.jsonl` | training, line by line | [`Event`], read by [`read_log`] and [`LogFollower`] |
//! | `metrics.json` | training, at its end | [`RunMetrics`] |
//! | `evaluation-SPLIT.json` | `evaluate` | [`EvaluationResult`] |
//! | `int8.json` | the first use in int8 | [`Int8Comparison`] |
//! | `checkpoints/step-NNNNNNNN/` | training | names in [`checkpoints`], contents in `train` |

mod append_file;
pub mod checkpoints;
mod error;
mod evaluation;
mod folder;
mod follow;
mod int8_comparison;
mod log;
mod metrics_json;
mod records;
#[doc(hidden)]
pub mod samples;

pub use append_file::AppendFile;
pub use error::{Result, RunError};
pub use evaluation::EvaluationResult;
pub use folder::{CONFIG, DATA, EVENTS, LOG, METRICS, MODEL, PROFILE, RUN_TOML, RUNS, RunFolder, newest_run, slug};
pub use follow::LogFollower;
pub use int8_comparison::{Int8Comparison, WeightsFile};
pub use log::{Event, LogWriter, last_start, last_step, read_log};
pub use metrics_json::{RunMetrics, ValidationMetrics};
pub use records::{Best, EndReason, EndRecord, EvaluationRecord, NamedScores, StartRecord, StepRecord};

//! End-to-end tests of the built `verdict`: real processes, real files, from texts to answers. Read the modules below
//! from top to bottom: each file is one promise to the people who use the program.
//!
//! They need no network: data and models are made here, small. One test goes through the fallback of the default source
//! and says so loudly where pip can't serve it.
//!
//! If you add a command or an option that works: `prepare_train_predict`; to `predict` or `evaluate` on files: `files_are_labeled`; about probabilities: `probabilities`; to `explain`: `explanations`; to the server: `serving`; to the report or the model card: `reports_and_cards`. A place that data comes from: `data_sources`.
//! Something that a study does: `studies`; that a group of runs does: `groups_of_runs`. State that a training keeps: `resume_is_exact`, and a line in `random_kills`.
//! What several processes do together: `several_processes`, with rows: `rows_by_several_processes`; when one of them is lost: `lost_processes`.
//! Memory that a training needs: `memory_stays_as_planned`.
//! A file that can break: `damaged_files`. An error: a case of a group in `error_messages`; where a test has to look at
//! more than the words, `bad_input_is_refused`.

/// Prepare, train, evaluate and predict work together, and the same seed gives the same bytes.
mod prepare_train_predict;

/// Each row of a file gets its label and keeps its place, and labeled files are scored.
mod files_are_labeled;

/// An evaluation says how sure its figures are, what they are better than, and where the model is weak.
mod judged_honestly;

/// Baselines and phrases of the treebank are scored, or it is said why not.
mod scores_of_parts;

/// A calibrated run keeps its labels and has better probabilities, and likely label errors can be fed back.
#[cfg(unix)]
mod probabilities;

/// The words that decide about a label are named, and their numbers add up.
#[cfg(unix)]
mod explanations;

/// The built server answers as `predict` does, and loses nothing when it is stopped.
#[cfg(unix)]
mod serving;

/// Reports are written again and compared, and the model card says what is known.
mod reports_and_cards;

/// Files that are sent to the server come back as the command writes them.
mod files_over_http;

/// The server's page works in a real browser.
mod page_in_a_browser;

/// The reports, opened from the disk in a real browser, in every light and size.
mod report_in_a_browser;

/// Data comes from the source that the user chose, and no fallback is silent.
mod data_sources;

/// A study ends in the best model, and can be stopped, continued and shared between processes.
#[cfg(unix)]
mod studies;

/// A group of runs is its single runs, can be stopped and killed, and is opened as its best run.
#[cfg(unix)]
mod groups_of_runs;

/// A training that was stopped and resumed gives bit-identical results.
#[cfg(unix)]
mod resume_is_exact;

/// The same for trainings that are killed by SIGKILL at random instants.
#[cfg(unix)]
mod random_kills;

/// Files are labeled and scored by several processes as by one.
#[cfg(unix)]
mod rows_by_several_processes;

/// Several processes learn what one learns, and are stopped, resumed and refused together.
#[cfg(target_os = "linux")]
mod several_processes;

/// A process of a training is killed, stopped or fails, and no work is lost.
#[cfg(target_os = "linux")]
mod lost_processes;

/// The number format that `auto` chooses is said, recorded and kept.
#[cfg(unix)]
mod number_formats;

/// What computes on other devices runs whole on the CPU, and gives the same.
#[cfg(unix)]
mod other_devices;

/// The memory of a long training stays within the estimate that is checked before it starts.
#[cfg(target_os = "linux")]
mod memory_stays_as_planned;

/// A finished run is never trained over, and a closed terminal, a closed pipe or a full output costs no work.
#[cfg(unix)]
mod nothing_finished_is_lost;

/// A full disk costs no finished work.
#[cfg(unix)]
mod full_disk;

/// Damaged files are noticed and named, and never trained on.
#[cfg(unix)]
mod damaged_files;

/// Invalid input is refused before training starts.
mod bad_input_is_refused;

/// The exact words of every error, in `tests/snapshots`.
mod error_messages;

/// A GPU that is not used is named, and the check of a GPU elsewhere works and reports what fails.
#[cfg(target_os = "linux")]
mod gpus;

/// What a hint in an error message names exists and helps.
mod hints_work;

/// Helpers of the tests above.
mod support;

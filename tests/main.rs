//! End-to-end tests of the built `verdict`: real processes, real files, from texts to answers.
//!
//! They need no network: data and models are made here, small. One test goes through the fallback of the default source
//! and says so loudly where pip can't serve it.

#[path = "end_to_end/faults.rs"]
mod faults;
#[path = "end_to_end/house.rs"]
mod house;
#[path = "end_to_end/malformed/mod.rs"]
mod malformed;
#[cfg(unix)]
#[path = "end_to_end/resume.rs"]
mod resume;
#[cfg(unix)]
#[path = "end_to_end/runs.rs"]
mod runs;
#[path = "end_to_end/sources.rs"]
mod sources;
#[cfg(unix)]
#[path = "end_to_end/torture.rs"]
mod torture;
#[cfg(unix)]
#[path = "end_to_end/tune.rs"]
mod tune;
#[path = "end_to_end/whole_way.rs"]
mod whole_way;

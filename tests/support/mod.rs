//! Helpers of the end-to-end tests: a temporary folder with a tiny model and the program ([`Sandbox`]), and trainings that
//! are stopped or compared, and several processes that work as one (Unix). What tests of other crates need too is in `crates/test-support`.

mod http_server;
#[cfg(unix)]
mod ranks;
#[cfg(unix)]
mod running;
mod sandbox;

pub(crate) use http_server::HttpServer;
#[cfg(unix)]
pub(crate) use ranks::ends;
#[cfg(unix)]
pub(crate) use running::{TRAIN, names};
pub(crate) use sandbox::{Output, Sandbox};

//! Output on stderr: the log (level and message only, filtered by `RUST_LOG`) and errors with their causes.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use kernels::isa::Isa;
use tracing_subscriber::EnvFilter;

use crate::error::TrainError;

/// Starts logging for a binary. Without `RUST_LOG`, it shows info from this project and warnings from all crates. Says
/// which instruction set the kernels use if the environment chose it.
pub fn init() {
    // usvg warns about lines that are deliberately outside the visible area.
    let default_filter = "warn,train=info,fetch=info,collective=info,usvg=error";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
    if matches!(Isa::requested(), Ok(Some(_))) {
        disk::print_message(format!("note: the CPU's kernels use {}", Isa::description()));
    }
}

/// Prints the error that ended a command and returns the exit code: 1, or the code of the signal that stopped a run.
pub fn report(error: &(dyn Error + 'static)) -> ExitCode {
    if let Some(TrainError::Interrupted { signal, .. } | TrainError::GroupInterrupted { signal, .. }) =
        error.downcast_ref()
    {
        disk::print_message(error.to_string());
        return ExitCode::from(signal.exit_code());
    }
    if let Some(TrainError::StoppedWithFirst { signal, .. }) = error.downcast_ref() {
        disk::print_message(error.to_string());
        return signal.map_or(ExitCode::FAILURE, |signal| ExitCode::from(signal.exit_code()));
    }
    disk::print_message(format!("error: {}", explain(error)));
    ExitCode::FAILURE
}

/// An error and its causes, outermost first. A cause that the message already contains is not repeated.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::explain;
    use crate::error::TrainError;

    #[test]
    fn each_cause_appears_once() {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let outer = TrainError::from(disk::DiskError::at("write", "run/run.toml")(refused()));
        assert_eq!(explain(&outer), "failed to write run/run.toml: permission denied");
        let error = TrainError::Data(data::DataError::io("train.csv", refused()));
        assert_eq!(explain(&error).matches("permission denied").count(), 1, "{}", explain(&error));
    }
}

//! Lines for people, on stderr: the log (level and message only, `RUST_LOG` chooses) and errors with their causes.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::error::TrainError;

/// Starts logging for a binary. Without `RUST_LOG`: our own information, everybody's warnings.
pub fn init() {
    // The drawing library warns of lines that are out of sight on purpose.
    let ours = "warn,train=info,fetch=info,usvg=error";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
}

/// Prints why a command ends early and returns the exit code: 1, or that of the signal that stopped a run.
pub fn report(error: &(dyn Error + 'static)) -> ExitCode {
    if let Some(TrainError::Interrupted { signal, .. }) = error.downcast_ref() {
        disk::print_message(error.to_string());
        return ExitCode::from(signal.exit_code());
    }
    disk::print_message(format!("error: {}", explain(error)));
    ExitCode::FAILURE
}

/// An error and what caused it, outermost first. A cause that a message already contains is not repeated.
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
    fn each_cause_is_told_once() {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let outer = TrainError::from(disk::DiskError::at("write", "run/run.toml")(refused()));
        assert_eq!(explain(&outer), "failed to write run/run.toml: permission denied");
        let error = TrainError::Data(data::DataError::io("train.csv", refused()));
        assert_eq!(explain(&error).matches("permission denied").count(), 1, "{}", explain(&error));
    }
}

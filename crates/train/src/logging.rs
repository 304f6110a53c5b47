//! Log lines for people: on stderr, level and message only. `RUST_LOG` chooses what is shown.

use tracing_subscriber::EnvFilter;

/// Starts logging for a binary. Without `RUST_LOG`: our own information, everybody's warnings.
pub fn init() {
    let ours = "warn,train=info,verdict=info,fetch=info";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
}

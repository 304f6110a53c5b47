//! `prepare-data`: [`data::prepare`] as a process of its own, for this crate's test of how much memory it takes. People have
//! `verdict prepare`, which knows models, too.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Prepare a data set: find it, audit it, tokenize it, and write it as Arrow with a manifest.
#[derive(Parser)]
#[command(name = "prepare-data", version)]
struct Cli {
    #[command(flatten)]
    prepare: data::prepare::PrepareArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What a person should know comes as notes; RUST_LOG shows the rest.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let limits = data::prepare::ModelLimits { vocab_size: usize::MAX, positions: usize::MAX };
    match data::prepare::run(&cli.prepare, |_| Ok(limits)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `prepare-data`: from a data set's name to a prepared directory. All of it is [`data::prepare`].

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
    match data::prepare::run(&cli.prepare) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

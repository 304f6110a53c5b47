//! `train`: the command-line entry point of [`train::train`].

use std::process::ExitCode;

use clap::Parser;
use train::TrainCommand;

/// libtorch's memory is this allocator's too.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

/// Fine-tune a BERT on prepared data.
#[derive(Parser)]
#[command(name = "train", version)]
struct TrainCli {
    #[command(flatten)]
    train: TrainCommand,
}

fn main() -> ExitCode {
    // SAFETY: this is the first thing that the process does, so it has no other thread.
    unsafe { model::limit_kernel_caches() };
    let cli = match train::arguments() {
        Ok(arguments) => TrainCli::parse_from(arguments),
        Err(error) => return train::logging::report(&error),
    };
    train::logging::init();
    allocator::prepare();
    train::return_freed_memory_by(allocator::return_free_memory);
    let result = cli
        .train
        .run(None)
        .and_then(|folder| folder.map_or(Ok(()), |folder| Ok(disk::print(format!("{}\n", folder.display()))?)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => train::logging::report(&error),
    }
}

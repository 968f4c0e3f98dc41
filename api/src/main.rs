//! The binary `verbatim`.

use std::process::ExitCode;

use api::cli;
use api::config::Cli;

/// Messages are made of many small allocations that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::read().unwrap_or_else(|error| error.exit());
    match cli::run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::tell_failure(&error);
            ExitCode::FAILURE
        }
    }
}

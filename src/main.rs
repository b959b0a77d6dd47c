//! The `hyperzoom` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = hyperzoom::cli::Cli::parse();
    hyperzoom::logging::start();
    match hyperzoom::commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyperzoom: {error}");
            (&error).into()
        }
    }
}

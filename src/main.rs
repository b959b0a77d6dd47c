//! The `hyperzoom` program.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = hyperzoom::cli::Cli::parse();
    hyperzoom::logging::start();
    match hyperzoom::commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "hyperzoom: {error}");
            (&error).into()
        }
    }
}

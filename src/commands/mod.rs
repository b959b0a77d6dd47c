//! One module a command.

mod demo;
mod devices;
mod host;
mod join;
mod recover;
mod talk;
mod verify;
mod window;

use crate::cli::{Cli, Command};
use crate::error::CommandError;

/// Runs a command to its end; none opens the window.
///
/// # Errors
/// A [`CommandError`], whose [`code`](CommandError::code) is the process's exit code.
pub fn run(cli: Cli) -> Result<(), CommandError> {
    let Some(command) = cli.command else { return window::run(cli.network) };
    match command {
        Command::Host(args) => host::run(args),
        Command::Join(args) => join::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Recover(args) => recover::run(&args),
    }
}

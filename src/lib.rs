//! The `hyperzoom` program as a library: the command line, and the call that the plugins make up.
//!
//! `main` parses and calls [`commands::run`]; the whole-program tests start the binary.
#![deny(missing_docs)]

pub mod call;
pub mod cli;
pub mod commands;
pub mod console;
mod desktop;
pub mod error;
mod inspect;
pub mod logging;
pub mod stop;
pub mod studio;
pub mod verdict;

//! The screens. Each is a function of what there is to show to what is drawn, and hands back what a person asks for.

mod call;
mod setup;
mod summary;

pub use call::{CallOpen, CallOut, call};
pub use setup::{SetupOut, setup};
pub use summary::summary;

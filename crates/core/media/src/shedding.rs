//! Giving up the live picture for the recording's sake.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the live picture is given up for now, since the recording needs the computer.
///
/// The recorder sets it, and whoever encodes live pictures looks at it before each one. It is an atomic and no
/// message, so that it works while the app that holds both stands still. Clones are the same flag.
#[derive(Debug, Clone, Default)]
pub struct Shedding(Arc<AtomicBool>);

impl Shedding {
    /// Gives the live picture up, or takes it back.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    /// Whether the live picture is given up.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

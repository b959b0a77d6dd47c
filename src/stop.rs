//! Ending when the system asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::CommandError;

/// Set by Ctrl-C (SIGINT), SIGTERM and SIGHUP; on Windows by Ctrl-C, Ctrl-Break and the closing of the console.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for the signals. A second one ends the process at once: the recording's fragments are on the disk by then.
    pub(crate) fn on_signals() -> Result<Self, CommandError> {
        let stop = Self::default();
        let seen = stop.0.clone();
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        })
        .map_err(|e| CommandError::Failed(format!("cannot listen for Ctrl-C: {e}")))?;
        Ok(stop)
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

//! Ending when somebody asks for it: the system, or a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::CommandError;

/// Whether it is time to end. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    it: AtomicBool,
    /// Whatever this is a part of.
    above: Option<Stop>,
}

impl Stop {
    /// One that Ctrl-C (SIGINT), SIGTERM and SIGHUP ask for; on Windows Ctrl-C, Ctrl-Break and the closing of the console. A second one ends
    /// the process at once: the recording's fragments are on the disk by then.
    ///
    /// # Errors
    /// [`CommandError::Failed`] where the system does not let this program listen for them.
    pub fn on_signals() -> Result<Self, CommandError> {
        let stop = Self::default();
        let seen = stop.clone();
        ctrlc::set_handler(move || {
            if seen.0.it.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        })
        .map_err(|e| CommandError::Failed(format!("cannot listen for Ctrl-C: {e}")))?;
        Ok(stop)
    }

    /// One for a part of what this one ends: it is asked for by itself, and whenever this one is.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(Arc::new(Asked { it: AtomicBool::new(false), above: Some(self.clone()) }))
    }

    /// Asks for it.
    pub fn ask(&self) {
        self.0.it.store(true, Ordering::Relaxed);
    }

    /// Whether it is asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.it.load(Ordering::Relaxed) || self.0.above.as_ref().is_some_and(Self::is_asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_with_the_whole_and_the_whole_not_with_a_part() {
        let whole = Stop::default();
        let [one, other] = [whole.part(), whole.part()];
        one.part().ask();
        assert!(!one.is_asked());
        one.ask();
        assert_eq!([&one, &other, &whole].map(Stop::is_asked), [true, false, false]);
        whole.ask();
        assert!(other.is_asked() && other.part().is_asked());
    }
}

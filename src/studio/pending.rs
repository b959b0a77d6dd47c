//! Questions that take their time: to a device, a disk, a router.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// An answer that somebody looks for on a thread of its own.
pub(super) struct Pending<T>(Receiver<T>);

/// There will be no answer: the system gave no thread, or whoever looked for it has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

impl<T: Send + 'static> Pending<T> {
    /// Begins to look for it.
    pub(super) fn start(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (answer, answers) = sync_channel(1);
        let look = move || {
            // Whoever asked may have gone; then the answer is put away here.
            let _ = answer.send(work());
        };
        if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(look) {
            tracing::warn!(%error, name, "no thread");
        }
        Self(answers)
    }

    /// The answer, once it is there. It is there once.
    pub(super) fn poll(&self) -> Option<Result<T, NoAnswer>> {
        match self.0.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(NoAnswer)),
        }
    }

    /// Waits for the answer, and puts it away: a device that was still being opened is closed then.
    pub(super) fn put_away(self, patience: Duration) {
        drop(self.0.recv_timeout(patience));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_once_and_a_failure_is_told() {
        let pending = Pending::start("test", || 7);
        let answer = loop {
            if let Some(answer) = pending.poll() {
                break answer;
            }
            std::thread::yield_now();
        };
        assert_eq!((answer, pending.poll()), (Ok(7), Some(Err(NoAnswer))));
    }
}

//! Lends what a callback needs to a stream, and gets it back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::convert::{Captured, Hear, Play};

/// How long a device may be silent, in the sense of not calling: far beyond any period, and beyond the two seconds after which an idle
/// null sink of PulseAudio's wakes up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a callback may take to come back after its stream was closed.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);

/// A value in a stream's callback. It goes home when the callback is dropped, so that another stream can have it.
pub(crate) struct Loan<T> {
    value: Option<T>,
    home: SyncSender<T>,
}

/// The edge between a host and our callback: counts the calls, and lets no panic through, for a host written in C would take the whole
/// program with it.
pub(crate) struct Edge(Arc<Signs>);

/// Whether a stream's callback is being called, and well.
pub(crate) struct Heartbeat {
    signs: Arc<Signs>,
    seen: u64,
    since: Instant,
}

#[derive(Default)]
struct Signs {
    calls: AtomicU64,
    panicked: AtomicBool,
}

/// Where the callback's value comes back to.
pub(crate) struct Returns<T>(Receiver<T>);

/// What [`lend`] makes of a value.
pub(crate) struct Lent<T> {
    pub(crate) loan: Loan<T>,
    pub(crate) edge: Edge,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) returns: Returns<T>,
}

pub(crate) fn lend<T>(value: T) -> Lent<T> {
    let (home, back) = sync_channel(1);
    let signs = Arc::<Signs>::default();
    Lent {
        loan: Loan { value: Some(value), home },
        edge: Edge(signs.clone()),
        heartbeat: Heartbeat { signs, seen: 0, since: Instant::now() },
        returns: Returns(back),
    }
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            let _ = self.home.try_send(value);
        }
    }
}

impl<H: Hear> Hear for Loan<H> {
    fn hear(&mut self, block: &[f32], at: Captured) {
        if let Some(hear) = &mut self.value {
            hear.hear(block, at);
        }
    }
}

impl<P: Play> Play for Loan<P> {
    fn play(&mut self, now: Duration, block: &mut [f32]) {
        match &mut self.value {
            Some(play) => play.play(now, block),
            None => block.fill(0.0),
        }
    }

    fn ahead(&mut self, device: Duration, resampler: Duration) {
        if let Some(play) = &mut self.value {
            play.ahead(device, resampler);
        }
    }
}

impl Edge {
    /// Runs the callback. Whether it ran to its end: after its first panic it is not run again.
    pub(crate) fn run(&self, callback: impl FnOnce()) -> bool {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        if self.0.panicked.load(Ordering::Relaxed) {
            return false;
        }
        // What was interrupted is used again by another stream: a lost block, or one played twice, is all that can come of it.
        let Err(panic) = catch_unwind(AssertUnwindSafe(callback)) else { return true };
        // Its destructor might panic in turn.
        std::mem::forget(panic);
        self.0.panicked.store(true, Ordering::Relaxed);
        false
    }
}

impl Heartbeat {
    /// Whether the callback was not called for [`PATIENCE`]. To be asked now and then.
    pub(crate) fn stalled(&mut self, now: Instant) -> bool {
        let calls = self.calls();
        if calls != self.seen {
            (self.seen, self.since) = (calls, now);
        }
        now.duration_since(self.since) > PATIENCE
    }

    /// How often the callback was called.
    pub(crate) fn calls(&self) -> u64 {
        self.signs.calls.load(Ordering::Relaxed)
    }

    /// Whether the callback ended in a panic.
    pub(crate) fn panicked(&self) -> bool {
        self.signs.panicked.load(Ordering::Relaxed)
    }
}

impl<T> Returns<T> {
    /// The value, once its stream was closed; `None` where the host keeps the callback for ever.
    pub(crate) fn wait(&self) -> Option<T> {
        self.0.recv_timeout(RETURN_TIMEOUT).ok()
    }

    /// The value, where the stream ended by itself.
    pub(crate) fn early(&self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_that_is_dropped_gives_its_value_back() {
        let Lent { loan, returns, .. } = lend(7);
        std::thread::spawn(move || drop(loan));
        assert_eq!(returns.wait(), Some(7));
    }

    #[test]
    fn a_panic_ends_at_the_edge_and_is_the_callbacks_last() {
        let Lent { loan, edge, heartbeat, returns } = lend(7);
        assert!(edge.run(|| ()));
        assert!(!heartbeat.panicked());
        assert!(!edge.run(|| panic!("as a test has it")));
        assert!(heartbeat.panicked());
        assert!(!edge.run(|| unreachable!("it is not called again")));
        assert_eq!(heartbeat.calls(), 3);
        drop(loan);
        assert_eq!(returns.early(), Some(7), "what it had is not lost");
    }

    #[test]
    fn a_callback_that_is_not_called_has_stalled() {
        let Lent { edge, mut heartbeat, .. } = lend(7);
        let start = Instant::now();
        edge.run(|| ());
        assert!(!heartbeat.stalled(start + PATIENCE * 2), "it was called since it was last asked");
        assert!(!heartbeat.stalled(start + PATIENCE * 3));
        assert!(heartbeat.stalled(start + PATIENCE * 3 + Duration::from_millis(1)));
    }
}

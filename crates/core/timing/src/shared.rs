//! The latest estimate of the session clock, for any thread to read.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::SessionClock;

/// The latest [`SessionClock`], shared: one thread sets it, any number read it. A clone is the same clock.
///
/// A real-time thread may read it: [`get`](Self::get) neither blocks nor allocates nor frees. (A shared pointer that
/// is swapped, as `arc-swap` does, can leave the reader to free the old value.) The value lives in two slots of
/// atomics. A writer fills the one that is not current and then publishes it, so a writer that is preempted half-way
/// keeps nobody waiting; a reader tries again only where a new value was published while it read, which happens about
/// once a second.
#[derive(Debug, Clone, Default)]
pub struct SharedClock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many values were published; the current one is in `slots[version % 2]`.
    version: AtomicU64,
    slots: [Slot; 2],
    writer: Mutex<()>,
}

#[derive(Debug, Default)]
struct Slot {
    offset_ns: AtomicI64,
    anchor_ns: AtomicU64,
    skew_ppb: AtomicI64,
    bound_ns: AtomicU64,
    skew_bound_ppb: AtomicU64,
}

impl SharedClock {
    /// A clock that is not known yet; it reads as [`SessionClock::IDENTITY`] until it is [`set`](Self::set).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A shared clock that is known from the start.
    #[must_use]
    pub fn of(clock: SessionClock) -> Self {
        let shared = Self::new();
        shared.set(clock);
        shared
    }

    /// The latest value, or [`SessionClock::IDENTITY`] where none was set.
    #[must_use]
    pub fn get(&self) -> SessionClock {
        self.read().1
    }

    /// The latest value, once one was set.
    #[must_use]
    pub fn known(&self) -> Option<SessionClock> {
        let (version, clock) = self.read();
        (version > 0).then_some(clock)
    }

    /// How many values were set so far: a reader that only needs changes compares it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Publishes a new value. Not for a real-time thread: writers take turns.
    pub fn set(&self, clock: SessionClock) {
        let inner = &*self.0;
        let _turn = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let next = inner.version.load(Ordering::Relaxed) + 1;
        let slot = &inner.slots[(next % 2) as usize];
        // A reader of the value that this slot held sees, if it sees any store below, that its version is over.
        fence(Ordering::Release);
        slot.offset_ns.store(clock.offset_ns, Ordering::Relaxed);
        // 2^64 ns are 584 years.
        slot.anchor_ns.store(clock.anchor.as_nanos() as u64, Ordering::Relaxed);
        slot.skew_ppb.store(clock.skew_ppb, Ordering::Relaxed);
        slot.bound_ns.store(clock.bound_ns, Ordering::Relaxed);
        slot.skew_bound_ppb.store(clock.skew_bound_ppb, Ordering::Relaxed);
        inner.version.store(next, Ordering::Release);
    }

    fn read(&self) -> (u64, SessionClock) {
        let inner = &*self.0;
        loop {
            let version = inner.version.load(Ordering::Acquire);
            let slot = &inner.slots[(version % 2) as usize];
            let clock = SessionClock {
                offset_ns: slot.offset_ns.load(Ordering::Relaxed),
                anchor: Duration::from_nanos(slot.anchor_ns.load(Ordering::Relaxed)),
                skew_ppb: slot.skew_ppb.load(Ordering::Relaxed),
                bound_ns: slot.bound_ns.load(Ordering::Relaxed),
                skew_bound_ppb: slot.skew_bound_ppb.load(Ordering::Relaxed),
            };
            fence(Ordering::Acquire);
            if inner.version.load(Ordering::Relaxed) == version {
                return (version, clock);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_sees_what_was_set() {
        let clock = SharedClock::new();
        let other = clock.clone();
        assert_eq!((other.known(), other.get()), (None, SessionClock::IDENTITY));
        clock.set(SessionClock::host(Duration::from_secs(2)));
        assert_eq!(other.known(), Some(SessionClock::host(Duration::from_secs(2))));
        assert_eq!(other.version(), 1);
    }

    #[test]
    fn a_reader_never_sees_half_of_a_value() {
        let clock = SharedClock::of(value(0));
        let writer = std::thread::spawn({
            let clock = clock.clone();
            move || (0..200_000).for_each(|n| clock.set(value(n)))
        });
        let mut last = 0;
        while !writer.is_finished() {
            let seen = clock.get();
            assert_eq!(seen, value(seen.offset_ns));
            assert!(seen.offset_ns >= last, "time of publication runs forward");
            last = seen.offset_ns;
        }
        writer.join().unwrap();
        assert_eq!(clock.get(), value(199_999));
    }

    fn value(n: i64) -> SessionClock {
        SessionClock {
            offset_ns: n,
            anchor: Duration::from_nanos(n as u64),
            skew_ppb: -n,
            bound_ns: n as u64,
            skew_bound_ppb: n as u64,
        }
    }
}

//! The session's clock as a take reads it: one that does not jump.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyperzoom_timing::{SessionClock, SharedClock};

/// A new line that differs by more than this from the one in use is another time's: the host's computer slept, or the estimate
/// started anew. A path's worst asymmetry and a crystal's drift over minutes without the host stay far below.
const JUMP_NS: i64 = 1_000_000_000;

/// Reads the session's clock for one take, and keeps the last line that followed from the ones before.
///
/// A take's pictures and samples have their places by session time. Were it to jump under a running take, what comes would have no
/// place behind what is written, or minutes of nothing before it. So the take then goes on by the line it has, with its skew.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    session: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    line: SessionClock,
    warned: bool,
}

/// What a reading has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The take's session time, in nanoseconds.
    pub(crate) ns: i64,
    /// How far the session's clock has jumped; only the first time that it has.
    pub(crate) jumped_ns: Option<i64>,
    /// The take's time less the session's own, in nanoseconds: 0 but after a jump.
    pub(crate) ahead_ns: i64,
    /// How far off the line may be at that moment, in nanoseconds.
    pub(crate) bound_ns: u64,
}

impl SteadyClock {
    /// A steady clock that begins with what `session` says now.
    pub(crate) fn new(session: SharedClock) -> Self {
        let state = State { line: session.get(), warned: false };
        Self { session, state: Mutex::new(state) }
    }

    /// Whether a jump was refused.
    pub(crate) fn has_jumped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).warned
    }

    /// For how long the line in use has run by itself at the take's session time `ns`: zero on the host.
    pub(crate) fn alone_at(&self, ns: i64) -> Duration {
        let line = self.state.lock().unwrap_or_else(PoisonError::into_inner).line;
        line.local_at(ns).map_or(Duration::ZERO, |at| line.alone_at(at))
    }

    /// The session time of the local moment `at`.
    pub(crate) fn read(&self, at: Duration) -> Reading {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self.session.get();
        let (kept, offered) = (state.line.session_ns(at), new.session_ns(at));
        let by = offered.saturating_sub(kept);
        if by.saturating_abs() <= JUMP_NS {
            state.line = new;
            return Reading { ns: offered, jumped_ns: None, ahead_ns: 0, bound_ns: new.bound_at(at) };
        }
        let first = !std::mem::replace(&mut state.warned, true);
        let bound_ns = state.line.bound_at(at);
        Reading { ns: kept, jumped_ns: first.then_some(by), ahead_ns: by.saturating_neg(), bound_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn line(offset_ns: i64) -> SessionClock {
        SessionClock { offset_ns, skew_ppb: 50_000, ..SessionClock::IDENTITY }
    }

    fn steady() -> (SharedClock, SteadyClock) {
        let session = SharedClock::of(line(7 * SECOND));
        (session.clone(), SteadyClock::new(session))
    }

    #[test]
    fn what_moves_a_little_is_followed() {
        let (session, clock) = steady();
        for tenth in 0..100 {
            let new = line(7 * SECOND + tenth * SECOND / 2);
            session.set(new);
            let at = Duration::from_secs(tenth as u64);
            assert_eq!(
                clock.read(at),
                Reading { ns: new.session_ns(at), jumped_ns: None, ahead_ns: 0, bound_ns: 0 }
            );
        }
    }

    #[test]
    fn a_line_that_is_not_measured_any_more_is_less_and_less_certain() {
        let old = SessionClock { bound_ns: 2000, ..line(7 * SECOND) };
        let session = SharedClock::of(old);
        let clock = SteadyClock::new(session.clone());
        let at = Duration::from_secs(601);
        assert_eq!(clock.read(at).bound_ns, 602_000);
        let alone = || clock.alone_at(old.session_ns(at));
        assert!(alone().abs_diff(at) < Duration::from_micros(1), "{:?}", alone());
        session.set(SessionClock { anchor: at, offset_ns: old.session_ns(at) - 601 * SECOND, ..old });
        assert_eq!(clock.read(at).bound_ns, 2000);
        assert!(alone() < Duration::from_micros(1), "{:?}", alone());
        // Of one that jumped the old line goes on.
        session.set(SessionClock { anchor: 2 * at, ..line(0) });
        assert_eq!(clock.read(2 * at).bound_ns, 602_000);
    }

    #[test]
    fn a_jump_is_refused_and_told_once() {
        for by in [-600 * SECOND, 600 * SECOND, 2 * SECOND] {
            let (session, clock) = steady();
            let old = line(7 * SECOND);
            session.set(line(7 * SECOND + by));
            let at = Duration::from_secs(1000);
            let told = Reading { ns: old.session_ns(at), jumped_ns: Some(by), ahead_ns: -by, bound_ns: 0 };
            assert_eq!(clock.read(at), told);
            // The old line goes on with its skew, and what follows the new one is refused as well.
            session.set(line(7 * SECOND + by + 1));
            let later = Duration::from_secs(5000);
            let kept = Reading { ns: old.session_ns(later), jumped_ns: None, ahead_ns: -by - 1, bound_ns: 0 };
            assert_eq!(clock.read(later), kept);
        }
    }

    #[test]
    fn a_clock_that_comes_back_is_followed_again() {
        let (session, clock) = steady();
        let at = Duration::from_secs(10);
        session.set(line(-SECOND));
        assert_eq!(clock.read(at).jumped_ns, Some(-8 * SECOND));
        session.set(line(7 * SECOND + 1000));
        assert_eq!(clock.read(at).ns, line(7 * SECOND + 1000).session_ns(at));
        session.set(line(-SECOND));
        assert_eq!(clock.read(at).jumped_ns, None, "it has been said");
    }

    #[test]
    fn no_line_panics() {
        let (session, clock) = steady();
        for offset_ns in [i64::MIN, i64::MAX, 0, i64::MIN] {
            session.set(SessionClock { skew_ppb: i64::MIN, ..line(offset_ns) });
            clock.read(Duration::MAX);
            clock.read(Duration::ZERO);
        }
    }
}

//! A host whose program was cut off, and that goes on with its session.
//!
//! The guests have gone on alone, each with its estimate of the session clock, and have never ceased to ask for the host at its old address. The
//! one who is started anew with the session's number and key lets them in again under the numbers that they had. It knows the session's
//! time only roughly, by a clock on the wall, and so asks the first guests who come back, as a guest asks its host. From then on it is
//! the clock again. Nothing that tells the time leaves it before.

use std::time::Duration;

use hyperzoom_timing::Exchange;

use crate::clock::Clock;
use crate::config::RESUME_WITHIN;
use crate::peer::Peer;
use crate::timers::EVERYBODY;
use crate::{Config, Event, Session};

impl Session {
    /// The session that `config` names goes on, with us as its host as before. `about_ns` is what its time is by now, as well as that is known, in
    /// nanoseconds: it holds if no guest has come back within [`RESUME_WITHIN`]. [`Event::ClockReady`] comes when the time is known.
    #[must_use]
    pub fn resume(config: Config, now: Duration, about_ns: i64) -> Self {
        let mut session = Self::of_host(config, Clock::resumed(now, about_ns));
        session.resume_by = Some(now + RESUME_WITHIN);
        session.was_resumed = true;
        session
    }

    /// A guest that comes back has told the time, or nobody has.
    pub(crate) fn resume_clock(&mut self, now: Duration, exchange: Option<&Exchange>) {
        if self.resume_by.is_none() {
            return;
        }
        let is_known = exchange.is_none_or(|exchange| self.clock.relearn(exchange));
        if !is_known {
            return;
        }
        self.resume_by = None;
        self.clock.settle(now);
        self.event(Event::ClockReady);
        let mut guests =
            EVERYBODY.filter(|id| self.peers[usize::from(*id)].as_ref().is_some_and(Peer::is_in));
        if let Some(guest) = guests.next() {
            // One tone serves all.
            self.schedule_tone(now, guest);
        }
    }
}

//! The session's time, known on the host and estimated elsewhere.

use std::time::Duration;

use hyperzoom_timing::{ClockEstimator, Exchange, SessionClock};

use crate::Event;
use crate::config::{CLOCK_BURST, CLOCK_PATIENCE, RESUME_TRUST_NS};

#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) now: SessionClock,
    estimator: ClockEstimator,
    ready: bool,
}

/// The clock of a host that shows `session_ns` at a local moment.
fn by(now: Duration, session_ns: i64) -> SessionClock {
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    SessionClock { offset_ns: session_ns.saturating_sub(now_ns), ..SessionClock::IDENTITY }
}

impl Clock {
    pub(crate) fn host(started: Duration) -> Self {
        Self { now: SessionClock::host(started), estimator: ClockEstimator::new(), ready: true }
    }

    pub(crate) fn guest() -> Self {
        Self { now: SessionClock::IDENTITY, estimator: ClockEstimator::new(), ready: false }
    }

    /// A host's that goes on with its session, whose time is about so much now.
    pub(crate) fn resumed(now: Duration, about_ns: i64) -> Self {
        Self { now: by(now, about_ns), estimator: ClockEstimator::new(), ready: false }
    }

    /// Takes an exchange with a guest who knows the time. Whether that is enough to go on by.
    pub(crate) fn relearn(&mut self, exchange: &Exchange) -> bool {
        // A guest who came and was cut off before it knew the time believes something absurd.
        if exchange.t1.abs_diff(self.now.session_ns(exchange.t3)) > RESUME_TRUST_NS {
            return false;
        }
        let Ok(clock) = self.estimator.add(exchange) else { return false };
        self.now = clock;
        self.estimator.exchanges() >= u64::from(CLOCK_BURST)
    }

    /// From now on this clock is the session's.
    pub(crate) fn settle(&mut self, now: Duration) {
        *self =
            Self { now: by(now, self.now.session_ns(now)), estimator: ClockEstimator::new(), ready: true };
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Takes an exchange with the host over a link that is up since `since`.
    pub(crate) fn learn(&mut self, exchange: &Exchange, since: Duration) -> Option<Event> {
        self.now = self.estimator.add(exchange).ok()?;
        if self.ready {
            return Some(Event::ClockUpdated);
        }
        self.ready =
            self.estimator.exchanges() >= u64::from(CLOCK_BURST) || exchange.t3 >= since + CLOCK_PATIENCE;
        self.ready.then_some(Event::ClockReady)
    }
}

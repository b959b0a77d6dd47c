//! The session's time, known on the host and estimated elsewhere.

use std::time::Duration;

use hyperzoom_timing::{ClockEstimator, Exchange, SessionClock};

use crate::Event;
use crate::config::{CLOCK_BURST, CLOCK_PATIENCE};

#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) now: SessionClock,
    estimator: ClockEstimator,
    ready: bool,
}

impl Clock {
    pub(crate) fn host(started: Duration) -> Self {
        Self { now: SessionClock::host(started), estimator: ClockEstimator::new(), ready: true }
    }

    pub(crate) fn guest() -> Self {
        Self { now: SessionClock::IDENTITY, estimator: ClockEstimator::new(), ready: false }
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

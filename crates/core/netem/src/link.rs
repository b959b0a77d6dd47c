//! One direction of a path.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::Conditions;
use crate::chance::Chance;

/// What became of a [`Link`]'s datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Datagrams that were sent into the link.
    pub sent: u64,
    /// Datagrams that came out, duplicates included.
    pub delivered: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Dropped because the queue for the path's rate was full.
    pub overflowed: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back beyond those after them.
    pub reordered: u64,
}

/// One direction of an impaired path.
#[derive(Debug, Clone)]
pub struct Link {
    conditions: Conditions,
    chance: Chance,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    next_number: u64,
    last_arrival: Duration,
    busy_until: Duration,
    burst: Burst,
    stats: LinkStats,
}

/// Ordered by arrival, then by the order of sending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    arrives: Duration,
    number: u64,
    datagram: Vec<u8>,
}

/// The Gilbert–Elliott chain as last looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Burst {
    bad: bool,
    /// None before the first datagram, which finds the chain in its steady state.
    at: Option<Duration>,
}

impl Link {
    /// A link under `conditions`; all its chance comes from `seed`.
    #[must_use]
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            chance: Chance::new(seed),
            in_flight: BinaryHeap::new(),
            next_number: 0,
            last_arrival: Duration::ZERO,
            busy_until: Duration::ZERO,
            burst: Burst::default(),
            stats: LinkStats::default(),
        }
    }

    /// Changes the conditions for what is sent from here on; what is in flight arrives as it would have.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// The conditions.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Sends one datagram. Calls must not go back in time.
    pub fn send(&mut self, now: Duration, datagram: Vec<u8>) {
        self.stats.sent += 1;
        let Some(left) = self.through_the_queue(now, datagram.len()) else {
            self.stats.overflowed += 1;
            return;
        };
        if self.is_lost(now) {
            self.stats.lost += 1;
            return;
        }
        let arrives = self.arrival(left);
        if self.chance.happens(self.conditions.duplicate) {
            self.stats.duplicated += 1;
            self.launch(arrives, datagram.clone());
        }
        self.launch(arrives, datagram);
    }

    /// The next datagram that has arrived by `now`.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.poll_timed(now).map(|(_, datagram)| datagram)
    }

    /// As [`poll`](Self::poll), with the moment at which it arrived.
    pub fn poll_timed(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse(next) = self.in_flight.pop()?;
        self.stats.delivered += 1;
        Some((next.arrives, next.datagram))
    }

    /// When the next datagram arrives; none while nothing is in flight.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.in_flight.peek().map(|Reverse(next)| next.arrives)
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    fn launch(&mut self, arrives: Duration, datagram: Vec<u8>) {
        self.in_flight.push(Reverse(InFlight { arrives, number: self.next_number, datagram }));
        self.next_number += 1;
    }

    /// When the datagram has left through the path's rate, or none where the queue is full.
    fn through_the_queue(&mut self, now: Duration, len: usize) -> Option<Duration> {
        let Some(rate) = self.conditions.rate_bps else { return Some(now) };
        let starts = self.busy_until.max(now);
        if starts - now > self.conditions.queue {
            return None;
        }
        let seconds = len as f64 * 8.0 / rate.max(1) as f64;
        self.busy_until =
            starts.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        Some(self.busy_until)
    }

    fn is_lost(&mut self, now: Duration) -> bool {
        let loss = self.conditions.loss.clamp(0.0, 1.0);
        if self.conditions.burst_mean.is_zero() || loss == 0.0 || loss == 1.0 {
            return self.chance.happens(loss);
        }
        // The chain of two states forgets its state exponentially, at the sum of its two rates: one draw a datagram,
        // exact however much time went by.
        let bad = self.conditions.burst_mean.as_secs_f64();
        let good = bad * (1.0 - loss) / loss;
        let was = if self.burst.bad { 1.0 } else { 0.0 };
        let memory = self
            .burst
            .at
            .map_or(0.0, |at| (-now.saturating_sub(at).as_secs_f64() * (1.0 / bad + 1.0 / good)).exp());
        self.burst = Burst { bad: self.chance.happens(loss + (was - loss) * memory), at: Some(now) };
        self.burst.bad
    }

    fn arrival(&mut self, left: Duration) -> Duration {
        let jitter = self.conditions.jitter.mul_f64(self.chance.unit());
        let arrives = left + self.conditions.delay + jitter;
        if self.chance.happens(self.conditions.reorder) {
            self.stats.reordered += 1;
            return arrives + self.conditions.reorder_by;
        }
        self.last_arrival = self.last_arrival.max(arrives);
        self.last_arrival
    }
}

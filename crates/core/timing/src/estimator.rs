//! The session clock, estimated from time exchanges with the host.

use std::collections::VecDeque;
use std::time::Duration;

use crate::SessionClock;
use crate::line::{Cloud, SKEW_LIMIT, SKEW_PRIOR, prior_spread};

/// One question and answer about the time, as in NTP (RFC 5905 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When the question left here, local time.
    pub t0: Duration,
    /// When the host received it, session time in nanoseconds.
    pub t1: i64,
    /// When the host's answer left, session time in nanoseconds.
    pub t2: i64,
    /// When the answer arrived here, local time, stamped in the receive thread.
    pub t3: Duration,
}

/// An exchange that cannot be true, or is too slow to tell anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time exchange is impossible or took longer than 10 s")]
pub struct Rejected;

/// One span of time keeps its quickest exchange, which queues have bent the least.
const SPAN: Duration = Duration::from_secs(8);
/// Spans kept, so that the fit looks back eight and a half minutes: long enough to know the skew to a fraction of 1
/// ppm, short enough to follow a crystal that warms up.
const SPANS: usize = 64;
/// The slowest exchange that is used.
const SLOWEST_NS: i64 = 10_000_000_000;
/// What an exchange without any queueing is still uncertain by: the scheduling of the two receive threads.
const FLOOR_NS: f64 = 20_000.0;
/// So many exchanges in a row that the estimate says are impossible mean that a clock was stepped (a machine slept):
/// start anew with the last of them. Those before it do not move the estimate: they may have come late by far.
const CONTRADICTIONS: u32 = 4;

/// Estimates offset and skew of the session clock.
///
/// Feed it 8 exchanges at the start and then one a second. Of every 8 seconds it keeps the exchange of least round
/// trip, and it fits a line through those of the last eight and a half minutes, each weighted by how much longer than
/// the quickest it took. The skew starts from the assumption of 0 ± 100 ppm, so a few exchanges in quick succession
/// give an offset and no wild slope.
///
/// Where no more exchanges come (the host is gone) the last [`clock`](Self::clock) runs on with its skew.
#[derive(Debug, Clone, Default)]
pub struct ClockEstimator {
    spans: VecDeque<Sample>,
    clock: Option<SessionClock>,
    accepted: u64,
    contradictions: u32,
    last_round_trip: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The middle of the exchange, local time in nanoseconds.
    at: i64,
    /// Session time less local time, in nanoseconds.
    offset: i64,
    round_trip: i64,
}

impl Sample {
    fn of(exchange: &Exchange) -> Result<Self, Rejected> {
        let local = |moment: Duration| i64::try_from(moment.as_nanos()).map_err(|_| Rejected);
        let (t0, t3) = (local(exchange.t0)?, local(exchange.t3)?);
        let away = t3.checked_sub(t0).filter(|away| (0..=SLOWEST_NS).contains(away)).ok_or(Rejected)?;
        let held = exchange.t2.checked_sub(exchange.t1).filter(|held| *held >= 0).ok_or(Rejected)?;
        let round_trip = away.checked_sub(held).filter(|trip| *trip >= 0).ok_or(Rejected)?;
        let there = i128::from(exchange.t1) - i128::from(t0);
        let back = i128::from(exchange.t2) - i128::from(t3);
        let offset = i64::try_from((there + back).div_euclid(2)).map_err(|_| Rejected)?;
        Ok(Self { at: t0 + away / 2, offset, round_trip })
    }
}

impl ClockEstimator {
    /// An estimator that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { spans: VecDeque::with_capacity(SPANS), ..Self::default() }
    }

    /// Takes one exchange and returns the new estimate. One that contradicts it is set aside, and the estimate stays; after several
    /// in a row it starts anew.
    ///
    /// # Errors
    /// [`Rejected`] where the exchange says that time ran backwards or took more than 10 s; the estimate stays.
    pub fn add(&mut self, exchange: &Exchange) -> Result<SessionClock, Rejected> {
        let sample = Sample::of(exchange)?;
        self.accepted += 1;
        self.last_round_trip = Some(Duration::from_nanos(sample.round_trip.unsigned_abs()));
        if let Some(clock) = self.contradicted(&sample) {
            return Ok(clock);
        }
        self.keep(sample);
        let clock = self.fit(sample.at);
        self.clock = Some(clock);
        Ok(clock)
    }

    /// The latest estimate; none before the first exchange.
    #[must_use]
    pub fn clock(&self) -> Option<SessionClock> {
        self.clock
    }

    /// How many exchanges were accepted.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.accepted
    }

    /// The round trip of the last accepted exchange.
    #[must_use]
    pub fn last_round_trip(&self) -> Option<Duration> {
        self.last_round_trip
    }

    /// The least round trip within the fit.
    #[must_use]
    pub fn least_round_trip(&self) -> Option<Duration> {
        self.spans.iter().map(|s| s.round_trip).min().map(|trip| Duration::from_nanos(trip.unsigned_abs()))
    }

    /// The estimate, where the exchange contradicts it.
    ///
    /// An exchange bounds the offset to half of its round trip on either side. One that excludes the estimate, with
    /// everything that the estimate may be wrong by, contradicts it; several in a row, and the history is of another
    /// time.
    fn contradicted(&mut self, sample: &Sample) -> Option<SessionClock> {
        let clock = self.clock?;
        let at = Duration::from_nanos(sample.at.unsigned_abs());
        let expected = i128::from(clock.session_ns(at)) - i128::from(sample.at);
        let age = at.abs_diff(clock.anchor).as_secs_f64();
        let drift = (age * SKEW_PRIOR * 1e9) as i128;
        let allowed = i128::from(sample.round_trip / 2) + i128::from(clock.bound_ns) + drift;
        if (i128::from(sample.offset) - expected).abs() <= allowed {
            self.contradictions = 0;
            return None;
        }
        self.contradictions += 1;
        if self.contradictions < CONTRADICTIONS {
            return Some(clock);
        }
        self.contradictions = 0;
        self.spans.clear();
        None
    }

    fn keep(&mut self, sample: Sample) {
        let span = SPAN.as_nanos() as i64;
        match self.spans.back_mut() {
            // Moments before the newest span (an answer that was overtaken) join it.
            Some(newest) if sample.at / span <= newest.at / span => {
                if sample.round_trip <= newest.round_trip {
                    *newest = sample;
                }
            }
            _ => {
                if self.spans.len() == SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back(sample);
            }
        }
    }

    /// The weighted least-squares line, with a normal prior on its slope, evaluated at `at`.
    fn fit(&self, at: i64) -> SessionClock {
        let quickest = self.spans.iter().map(|s| s.round_trip).min().unwrap_or(0);
        // Offsets are taken relative to one of them: the differences fit an f64 to the nanosecond.
        let base = self.spans.back().map_or(0, |s| s.offset);
        let weight = |s: &Sample| {
            let deviation = FLOOR_NS + (s.round_trip - quickest) as f64 / 2.0;
            1.0 / (deviation * deviation)
        };
        let x = |s: &Sample| (s.at - at) as f64;
        let y = |s: &Sample| (i128::from(s.offset) - i128::from(base)) as f64;
        let cloud = Cloud::of(self.spans.iter().map(|s| (x(s), y(s), weight(s))));
        let spread = prior_spread() + cloud.spread;
        let slope = cloud.product / spread;
        let offset = cloud.y - slope * cloud.x;
        let error = (1.0 / cloud.mass + cloud.x * cloud.x / spread).sqrt();
        SessionClock {
            offset_ns: base.saturating_add(offset.round() as i64),
            anchor: Duration::from_nanos(at.unsigned_abs()),
            skew_ppb: (slope.clamp(-SKEW_LIMIT, SKEW_LIMIT) * 1e9).round() as i64,
            bound_ns: (quickest.unsigned_abs() / 2).saturating_add((2.0 * error) as u64),
        }
    }
}

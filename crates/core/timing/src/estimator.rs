//! The session clock, estimated from time exchanges with the host.

use std::collections::VecDeque;
use std::time::Duration;

use crate::SessionClock;
use crate::line::{SKEW_LIMIT, SKEW_PRIOR};

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

/// Exchanges kept: one a second, so that the fit looks back eight and a half minutes: long enough to know the skew to a fraction of 1
/// ppm, short enough to follow a crystal that warms up.
const KEPT: usize = 512;
/// So many of the newest exchanges stay, however little a line fits them: as many as there are at the start.
const LEAST_KEPT: usize = 8;
/// The slowest exchange that is used.
const SLOWEST_NS: i64 = 10_000_000_000;
/// What an exchange without any queueing is still uncertain by: the scheduling of the two receive threads.
const FLOOR_NS: f64 = 20_000.0;
/// Clocks that differ by this much are nothing unusual: 300 ppm. A slope that is twice as steep needs four times as much to speak for it.
const SKEW_USUAL: f64 = 300e-6;
/// Whatever has so many times the uncertainty of the quickest exchange against it is taken not to be so: one in fifty is further off,
/// where queues are exponential.
const LIKELY: f64 = 4.0;
/// Until the next exchange.
const NEXT_NS: f64 = 1e9;
/// So many exchanges in a row that the estimate says are impossible mean that a clock was stepped (a machine slept):
/// start anew with the last of them. Those before it do not move the estimate: they may have come late by far.
const CONTRADICTIONS: u32 = 4;

/// Estimates offset and skew of the session clock.
///
/// Feed it 8 exchanges at the start and then one a second. A question cannot arrive before it was asked, nor an answer before it was
/// given: each question bounds the offset from above, and each answer from below. The estimate is the line that keeps furthest from
/// all bounds of the last eight and a half minutes, so that the quickest questions and the quickest answers decide, each for
/// themselves, and however long the others queued does not matter (after Moon, Skelly and Towsley, "Estimation and removal of clock
/// skew from network delay measurements", INFOCOM 1999). The skew starts from the assumption of 0 ± 100 ppm, so a few exchanges in
/// quick succession give an offset and no wild slope.
///
/// Where no line keeps all bounds a clock's rate has changed, and the oldest exchanges are forgotten until one does.
///
/// Where no more exchanges come (the host is gone) the last [`clock`](Self::clock) runs on with its skew.
#[derive(Debug, Clone, Default)]
pub struct ClockEstimator {
    /// By when they were answered.
    kept: VecDeque<Sample>,
    clock: Option<SessionClock>,
    accepted: u64,
    contradictions: u32,
    last_round_trip: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// When the question left and the answer came, local time in nanoseconds.
    asked: i64,
    answered: i64,
    /// Session time less local time was at most this when the question left, in nanoseconds.
    most: i64,
    /// And at least this when the answer came.
    least: i64,
    round_trip: i64,
}

impl Sample {
    fn of(exchange: &Exchange) -> Result<Self, Rejected> {
        let local = |moment: Duration| i64::try_from(moment.as_nanos()).map_err(|_| Rejected);
        let (t0, t3) = (local(exchange.t0)?, local(exchange.t3)?);
        let away = t3.checked_sub(t0).filter(|away| (0..=SLOWEST_NS).contains(away)).ok_or(Rejected)?;
        let held = exchange.t2.checked_sub(exchange.t1).filter(|held| *held >= 0).ok_or(Rejected)?;
        let round_trip = away.checked_sub(held).filter(|trip| *trip >= 0).ok_or(Rejected)?;
        let most = exchange.t1.checked_sub(t0).ok_or(Rejected)?;
        let least = exchange.t2.checked_sub(t3).ok_or(Rejected)?;
        Ok(Self { asked: t0, answered: t3, most, least, round_trip })
    }

    /// The middle of the exchange, local time in nanoseconds.
    fn at(&self) -> i64 {
        self.asked + (self.answered - self.asked) / 2
    }

    /// The offset that this exchange alone tells, in nanoseconds.
    fn offset(&self) -> i128 {
        (i128::from(self.most) + i128::from(self.least)).div_euclid(2)
    }
}

impl ClockEstimator {
    /// An estimator that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { kept: VecDeque::with_capacity(KEPT), ..Self::default() }
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
        let mut fit = self.fit(sample.at());
        // No line fits: one of the clocks has another rate by now (it is being slewed after its machine slept), and the oldest are of the
        // old one. An eighth at a time, so that it takes a few dozen fits at most.
        while !fit.fits && self.kept.len() > LEAST_KEPT {
            let spare = self.kept.len() - LEAST_KEPT;
            self.kept.drain(..(self.kept.len() / 8).clamp(1, spare));
            fit = self.fit(sample.at());
        }
        self.clock = Some(fit.clock);
        Ok(fit.clock)
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
        self.kept.iter().map(|s| s.round_trip).min().map(|trip| Duration::from_nanos(trip.unsigned_abs()))
    }

    /// The estimate, where the exchange contradicts it.
    ///
    /// An exchange bounds the offset to half of its round trip on either side. One that excludes the estimate, with
    /// everything that the estimate may be wrong by, contradicts it; several in a row, and the history is of another
    /// time.
    fn contradicted(&mut self, sample: &Sample) -> Option<SessionClock> {
        let clock = self.clock?;
        let at = Duration::from_nanos(sample.at().unsigned_abs());
        let expected = i128::from(clock.session_ns(at)) - i128::from(sample.at());
        let age = at.abs_diff(clock.anchor).as_secs_f64();
        let drift = (age * SKEW_PRIOR * 1e9) as i128;
        let allowed = i128::from(sample.round_trip / 2) + i128::from(clock.bound_ns) + drift;
        if (sample.offset() - expected).abs() <= allowed {
            self.contradictions = 0;
            return None;
        }
        self.contradictions += 1;
        if self.contradictions < CONTRADICTIONS {
            return Some(clock);
        }
        self.contradictions = 0;
        self.kept.clear();
        None
    }

    fn keep(&mut self, sample: Sample) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(sample);
    }

    /// The line that keeps furthest from all bounds, evaluated at `at`.
    fn fit(&self, at: i64) -> Fit {
        // Offsets are taken relative to one of them: the differences fit an f64 to the nanosecond.
        let base = self.kept.back().map_or(0, |s| s.least);
        let relative = |offset: i64| (i128::from(offset) - i128::from(base)) as f64;
        let bounds: Vec<Bounds> = self
            .kept
            .iter()
            .map(|s| Bounds {
                asked: (s.asked - at) as f64,
                answered: (s.answered - at) as f64,
                most: relative(s.most),
                least: relative(s.least),
            })
            .collect();
        let quickest = self.kept.iter().map(|s| s.round_trip).min().unwrap_or(0);
        let excess = self.kept.iter().map(|s| (s.round_trip - quickest) as f64).sum::<f64>();
        // Of n that queue for so long on average the quickest has queued for an n-th of it.
        let count = bounds.len().max(1) as f64;
        let uncertain = FLOOR_NS + excess / count / count;
        let merit = |slope: f64| {
            let (most, least) = corridor(&bounds, slope);
            most - least - uncertain * (slope / SKEW_USUAL).powi(2)
        };
        let slope = maximum(-SKEW_LIMIT, SKEW_LIMIT, merit);
        let (most, least) = corridor(&bounds, slope);
        let offset = (most + least) / 2.0;
        // Slopes that are hardly worse may be the true one, and it is read until the next exchange.
        let enough = merit(slope) - LIKELY * uncertain;
        let least_slope = crossing(slope, -SKEW_LIMIT, |slope| merit(slope) >= enough);
        let most_slope = crossing(slope, SKEW_LIMIT, |slope| merit(slope) >= enough);
        let bound = [least_slope, slope, most_slope].map(|other| {
            let (most, least) = corridor(&bounds, other);
            let drift = (other - slope).abs() * NEXT_NS;
            (most - offset).abs().max((least - offset).abs()) + drift
        });
        // The corridor of a line that fits is as wide as the quickest exchange was slow. What it lacks is what the queues of the quickest
        // question and of the quickest answer differ by, or the clocks are no straight line apart: the truth may be beside it by half of it.
        let misfit = ((quickest as f64) - (most - least)).max(0.0) / 2.0;
        let clock = SessionClock {
            offset_ns: base.saturating_add(offset.round() as i64),
            anchor: Duration::from_nanos(at.unsigned_abs()),
            skew_ppb: (slope * 1e9).round() as i64,
            skew_bound_ppb: ((most_slope - slope).max(slope - least_slope) * 1e9).ceil() as u64,
            bound_ns: (bound.into_iter().fold(uncertain, f64::max) + misfit) as u64,
        };
        Fit { clock, fits: most - least >= -LIKELY * uncertain }
    }
}

/// The line that a fit has found.
struct Fit {
    clock: SessionClock,
    /// Whether it keeps all bounds, but for what they are uncertain by.
    fits: bool,
}

/// What one exchange says, relative to the moment and the offset of a fit, in nanoseconds.
struct Bounds {
    asked: f64,
    answered: f64,
    most: f64,
    least: f64,
}

/// Between what offsets lines of this slope keep all bounds, at the moment of the fit. Where none does, the first is the lower one.
fn corridor(bounds: &[Bounds], slope: f64) -> (f64, f64) {
    bounds.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(most, least), b| {
        (most.min(b.most - slope * b.asked), least.max(b.least - slope * b.answered))
    })
}

/// Where a concave function has its maximum, to a few millionths of the range.
fn maximum(mut low: f64, mut high: f64, of: impl Fn(f64) -> f64) -> f64 {
    // Each step leaves two thirds.
    for _ in 0..32 {
        let third = (high - low) / 3.0;
        if of(low + third) < of(high - third) {
            low += third;
        } else {
            high -= third;
        }
    }
    (low + high) / 2.0
}

/// How far from `inside`, where it holds, to `outside` something holds.
fn crossing(mut inside: f64, mut outside: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(outside) {
        return outside;
    }
    for _ in 0..20 {
        let middle = (inside + outside) / 2.0;
        *if holds(middle) { &mut inside } else { &mut outside } = middle;
    }
    inside
}

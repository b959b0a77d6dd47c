//! What a path does to what is sent over it.

use std::time::Duration;

/// What a [`Link`](crate::Link) does to datagrams. Start from [`PERFECT`](Self::PERFECT) or a ready-made path and
/// change what matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// The share of datagrams that is lost on average, 0 to 1.
    pub loss: f64,
    /// How long a burst of loss lasts on average. Zero: each datagram is lost or not for itself.
    ///
    /// Bursts follow the Gilbert–Elliott model (Gilbert 1960, Elliott 1963) in continuous time: the link is good,
    /// losing nothing, or bad, losing everything, for exponentially distributed spans whose means give the average
    /// `loss`.
    pub burst_mean: Duration,
    /// What every datagram takes.
    pub delay: Duration,
    /// What a datagram takes on top: uniform between zero and this. By itself it changes no order, as in a queue.
    pub jitter: Duration,
    /// The share of datagrams, 0 to 1, that does not keep to the queue and takes [`reorder_by`](Self::reorder_by)
    /// longer.
    pub reorder: f64,
    /// How much longer a reordered datagram takes.
    pub reorder_by: Duration,
    /// The share of datagrams, 0 to 1, that arrives twice.
    pub duplicate: f64,
    /// The path's rate in bits a second, counting only the datagrams' own bytes. None: infinite.
    pub rate_bps: Option<u64>,
    /// How long a datagram may queue for the rate; beyond it, it is dropped.
    pub queue: Duration,
}

impl Default for Conditions {
    fn default() -> Self {
        Self::PERFECT
    }
}

impl Conditions {
    /// Everything arrives at once.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        burst_mean: Duration::ZERO,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder: 0.0,
        reorder_by: Duration::from_millis(10),
        duplicate: 0.0,
        rate_bps: None,
        queue: Duration::from_millis(200),
    };

    /// Two machines on one switch: 0.2 ms, and hardly any jitter.
    pub const LAN: Self =
        Self { delay: Duration::from_micros(200), jitter: Duration::from_micros(200), ..Self::PERFECT };

    /// A home's radio in a busy house: 3 ms with up to 8 ms of jitter, 1 % lost in bursts of 10 ms.
    pub const WIFI: Self = Self {
        loss: 0.01,
        burst_mean: Duration::from_millis(10),
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(8),
        ..Self::PERFECT
    };

    /// A bad day on the internet: 40 ms with up to 15 ms of jitter, 5 % lost in bursts of 20 ms, some reordered and
    /// doubled.
    pub const ROUGH: Self = Self {
        loss: 0.05,
        burst_mean: Duration::from_millis(20),
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(15),
        reorder: 0.01,
        duplicate: 0.005,
        ..Self::PERFECT
    };
}

//! What the session clock is off by over an hour on bad networks, against its own bound.

use std::time::Duration;

use hyperzoom_timing::{ClockEstimator, Exchange, SessionClock};

/// A small generator, so that a network is the same in every run.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// So long, and a queue of up to `jitter_ms`.
    fn path(&mut self, base_ms: f64, jitter_ms: f64) -> Duration {
        Duration::from_secs_f64((base_ms + jitter_ms * self.unit()) / 1e3)
    }
}

/// What an hour was like.
struct Hour {
    /// The share of seconds at whose end the clock was further from the truth than it said.
    outside: f64,
    /// The most that it was off by after the first minute, in milliseconds.
    worst_ms: f64,
}

/// An hour against a host that runs `skew_ppb` faster, over paths that take `base_ms` each and jitter by so much there and back, where one in twenty of the
/// datagrams is lost. The clock is looked at a second after each exchange, when the next would change it.
fn hour(seed: u64, skew_ppb: i64, base_ms: f64, there_ms: f64, back_ms: f64) -> Hour {
    let host = SessionClock { offset_ns: 12_345_678_901, skew_ppb, ..SessionClock::IDENTITY };
    let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(seed));
    let (mut outside, mut seconds, mut worst) = (0_u32, 0_u32, 0);
    for at in (0..8).map(|n| Duration::from_millis(20 * n)).chain((1..=3600).map(Duration::from_secs)) {
        let lost = noise.unit() < 0.05 || noise.unit() < 0.05;
        let (there, back) = (noise.path(base_ms, there_ms), noise.path(base_ms, back_ms));
        if !lost {
            let asked = host.session_ns(at + there);
            let exchange = Exchange { t0: at, t1: asked, t2: asked, t3: at + there + back };
            estimator.add(&exchange).expect("such an exchange is possible");
        }
        let Some(clock) = estimator.clock() else { continue };
        let read = at + Duration::from_secs(1);
        let error = clock.session_ns(read).abs_diff(host.session_ns(read));
        seconds += 1;
        outside += u32::from(error > clock.bound_ns);
        if at > Duration::from_secs(60) {
            worst = worst.max(error);
        }
    }
    Hour { outside: f64::from(outside) / f64::from(seconds), worst_ms: worst as f64 / 1e6 }
}

const SKEWS: [i64; 4] = [-300_000, -50_000, 50_000, 300_000];

#[test]
fn where_one_way_jitters_by_40_ms_the_truth_is_within_the_bound() {
    for (seed, skew_ppb) in (1..).zip(SKEWS) {
        for (base, there, back) in [(5.0, 40.0, 0.0), (5.0, 0.0, 40.0), (0.1, 40.0, 0.0), (0.1, 0.0, 40.0)] {
            let hour = hour(seed, skew_ppb, base, there, back);
            println!(
                "{skew_ppb} ppb, {base} ms and {there} ms there, {back} back: {:.3} % outside, {:.3} ms at most",
                100.0 * hour.outside,
                hour.worst_ms
            );
            assert!(hour.outside <= 0.001, "{} of the seconds are outside of it", hour.outside);
        }
    }
}

#[test]
fn where_both_ways_jitter_by_10_ms_it_is_less_than_a_millisecond_off() {
    for (seed, skew_ppb) in (1..).zip(SKEWS) {
        for base in [0.1, 5.0] {
            let hour = hour(seed, skew_ppb, base, 10.0, 10.0);
            println!(
                "{skew_ppb} ppb, {base} ms and 10 ms both ways: {:.3} % outside, {:.3} ms at most",
                100.0 * hour.outside,
                hour.worst_ms
            );
            assert!(hour.worst_ms < 1.0, "{} ms", hour.worst_ms);
            assert!(hour.outside <= 0.001, "{} of the seconds are outside of it", hour.outside);
        }
    }
}

#[test]
fn a_crystal_that_warms_up_is_followed() {
    // Ten minutes in which the host's clock goes 5 ppm faster, and ten in which it stays so, on a local network.
    let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(9));
    let ahead_ns = |at: Duration| {
        let (at, warm) = (at.as_secs_f64(), 600.0_f64);
        let rising = at.min(warm);
        (5e3 * (rising * rising / (2.0 * warm) + (at - rising))) as i64
    };
    let host = |at: Duration| at.as_nanos() as i64 + ahead_ns(at);
    let mut worst = 0;
    for at in (1..1200).map(Duration::from_secs) {
        let (there, back) = (noise.path(0.1, 0.3), noise.path(0.1, 0.3));
        let asked = host(at + there);
        let clock = estimator.add(&Exchange { t0: at, t1: asked, t2: asked, t3: at + there + back }).unwrap();
        let read = at + Duration::from_secs(1);
        let error = clock.session_ns(read).abs_diff(host(read));
        assert!(error <= clock.bound_ns, "{error} ns off at {at:?}, bound {}", clock.bound_ns);
        worst = worst.max(error);
    }
    assert!(worst < 500_000, "{worst} ns");
}

#[test]
fn a_clock_that_is_slewed_for_a_minute_is_followed_at_once() {
    // As NTP does after a machine slept: 100 ppm for a minute, in mid-call on a local network.
    for rate in [-100e-6, 100e-6] {
        let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(11));
        let host = |at: Duration| {
            let slewed = (at.as_secs_f64() - 600.0).clamp(0.0, 60.0);
            at.as_nanos() as i64 + (rate * 1e9 * slewed) as i64
        };
        let (mut worst, mut settled) = (0, 0);
        for at in (1..1200).map(Duration::from_secs) {
            let (there, back) = (noise.path(0.1, 0.3), noise.path(0.1, 0.3));
            let asked = host(at + there);
            let clock =
                estimator.add(&Exchange { t0: at, t1: asked, t2: asked, t3: at + there + back }).unwrap();
            let read = at + Duration::from_secs(1);
            let error = clock.session_ns(read).abs_diff(host(read));
            worst = worst.max(error);
            if !(595..690).contains(&at.as_secs()) && at.as_secs() > 60 {
                settled = settled.max(error);
            }
        }
        println!("{rate}: {worst} ns at most, {settled} ns but for the slew and half a minute after it");
        assert!(worst < 600_000, "{worst} ns");
        assert!(settled < 200_000, "{settled} ns");
    }
}

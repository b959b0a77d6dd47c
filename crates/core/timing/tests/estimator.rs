//! The estimate against clocks and paths whose truth is known, in virtual time.

use std::time::Duration;

use hyperzoom_timing::{ClockEstimator, Exchange, Rejected, SessionClock};
use proptest::prelude::*;

/// The truth: a host whose clock is `offset_ns` ahead at local time 0 and runs `skew_ppb` faster.
#[derive(Clone, Copy)]
struct Host {
    offset_ns: i64,
    skew_ppb: i64,
}

impl Host {
    fn session_ns(self, local: Duration) -> i64 {
        let clock =
            SessionClock { offset_ns: self.offset_ns, skew_ppb: self.skew_ppb, ..SessionClock::IDENTITY };
        clock.session_ns(local)
    }

    fn exchange(self, t0: Duration, there: Duration, back: Duration) -> Exchange {
        let held = Duration::from_micros(30);
        let (t1, t2) = (self.session_ns(t0 + there), self.session_ns(t0 + there + held));
        Exchange { t0, t1, t2, t3: t0 + there + held + back }
    }
}

fn error_ns(clock: SessionClock, host: Host, at: Duration) -> u64 {
    clock.session_ns(at).abs_diff(host.session_ns(at))
}

/// A small generator, so that a path's jitter is the same in every run.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 5 ms, and an exponential queue of `mean_ms`.
    fn path(&mut self, mean_ms: f64) -> Duration {
        Duration::from_secs_f64((5.0 - mean_ms * (1.0 - self.unit()).ln()) / 1e3)
    }
}

/// 8 exchanges 20 ms apart, then one a second.
fn schedule(seconds: u64) -> impl Iterator<Item = Duration> {
    (0..8).map(|n| Duration::from_millis(20 * n)).chain((1..=seconds).map(Duration::from_secs))
}

#[test]
fn a_still_path_gives_the_offset_at_once() {
    let host = Host { offset_ns: -7_123_456_789, skew_ppb: 0 };
    let mut estimator = ClockEstimator::new();
    assert_eq!(estimator.clock(), None);
    let path = Duration::from_micros(200);
    let clock = estimator.add(&host.exchange(Duration::from_secs(9), path, path)).unwrap();
    assert!(error_ns(clock, host, Duration::from_secs(9)) <= 1);
    assert_eq!(estimator.least_round_trip(), Some(2 * path));
}

#[test]
fn an_hour_at_100_ppm_stays_within_a_millisecond_and_within_its_bound() {
    for (seed, skew_ppb) in [(1, 100_000), (2, -100_000), (3, 0), (4, 300_000)] {
        let host = Host { offset_ns: 55_000_000_000, skew_ppb };
        let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(seed));
        let mut worst = 0;
        for at in schedule(3600) {
            let exchange = host.exchange(at, noise.path(3.0), noise.path(3.0));
            let clock = estimator.add(&exchange).unwrap();
            // The moment just before the next exchange is the worst that anybody reads.
            let read_at = exchange.t3 + Duration::from_secs(1);
            let error = error_ns(clock, host, read_at);
            assert!(error <= clock.bound_ns + 100_000, "{error} ns off at {at:?}, bound {}", clock.bound_ns);
            if at > Duration::from_secs(60) {
                worst = worst.max(error);
            }
        }
        assert!(worst < 1_000_000, "{worst} ns");
        let skew = estimator.clock().unwrap().skew_ppb;
        assert!(skew.abs_diff(skew_ppb) < 1_000, "{skew} ppb for {skew_ppb}");
    }
}

#[test]
fn a_clock_that_lost_its_host_is_a_millisecond_off_after_ten_minutes() {
    let host = Host { offset_ns: 1, skew_ppb: 80_000 };
    let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(7));
    for at in schedule(300) {
        estimator.add(&host.exchange(at, noise.path(2.0), noise.path(2.0))).unwrap();
    }
    let clock = estimator.clock().unwrap();
    assert!(error_ns(clock, host, Duration::from_secs(900)) < 1_000_000);
}

#[test]
fn the_quickest_of_the_first_eight_wins() {
    let host = Host { offset_ns: 3_000_000, skew_ppb: 0 };
    let mut estimator = ClockEstimator::new();
    for (n, at) in schedule(0).enumerate() {
        let there = Duration::from_millis(if n == 3 { 1 } else { 40 });
        estimator.add(&host.exchange(at, there, Duration::from_millis(1))).unwrap();
    }
    let clock = estimator.clock().unwrap();
    assert!(error_ns(clock, host, Duration::from_millis(200)) < 10_000, "{clock:?}");
}

#[test]
fn a_one_sided_path_is_off_by_no_more_than_the_bound() {
    let host = Host { offset_ns: 0, skew_ppb: 20_000 };
    let mut estimator = ClockEstimator::new();
    for at in schedule(100) {
        let clock = estimator.add(&host.exchange(at, Duration::from_millis(30), Duration::ZERO)).unwrap();
        assert!(error_ns(clock, host, at) <= clock.bound_ns);
    }
    assert!(error_ns(estimator.clock().unwrap(), host, Duration::from_secs(100)) > 10_000_000);
}

#[test]
fn a_machine_that_slept_is_found_within_seconds() {
    let before = Host { offset_ns: 0, skew_ppb: 30_000 };
    let after = Host { offset_ns: 600_000_000_000, skew_ppb: 30_000 };
    let (mut estimator, mut noise) = (ClockEstimator::new(), Noise(5));
    for at in schedule(300) {
        estimator.add(&before.exchange(at, noise.path(1.0), noise.path(1.0))).unwrap();
    }
    for second in 301..310 {
        let at = Duration::from_secs(second);
        estimator.add(&after.exchange(at, noise.path(1.0), noise.path(1.0))).unwrap();
    }
    assert!(error_ns(estimator.clock().unwrap(), after, Duration::from_secs(310)) < 5_000_000);
}

#[test]
fn exchanges_that_contradict_the_clock_do_not_bend_it_and_the_fourth_replaces_it() {
    let before = Host { offset_ns: 0, skew_ppb: 30_000 };
    let after = Host { offset_ns: -600_000_000_000, skew_ppb: 30_000 };
    let mut estimator = ClockEstimator::new();
    let path = Duration::from_millis(1);
    for at in schedule(60) {
        estimator.add(&before.exchange(at, path, path)).unwrap();
    }
    let old = estimator.clock().unwrap();
    for second in 1..4 {
        let at = Duration::from_secs(700 + second);
        assert_eq!(estimator.add(&after.exchange(at, path, path)), Ok(old));
        assert_eq!(estimator.clock(), Some(old));
    }
    let at = Duration::from_secs(704);
    let new = estimator.add(&after.exchange(at, path, path)).unwrap();
    assert!(error_ns(new, after, at) < 1_000, "{new:?}");
    // One that agrees takes away what the others before it have said.
    for n in 0..12 {
        let at = Duration::from_secs(705 + n);
        let host = if n % 4 == 3 { after } else { before };
        let clock = estimator.add(&host.exchange(at, path, path)).unwrap();
        assert!(error_ns(clock, after, at) < 200_000, "{clock:?}");
    }
}

#[test]
fn one_wild_answer_does_not_move_the_clock() {
    let host = Host { offset_ns: 0, skew_ppb: 0 };
    let mut estimator = ClockEstimator::new();
    let path = Duration::from_millis(1);
    for at in schedule(60) {
        estimator.add(&host.exchange(at, path, path)).unwrap();
    }
    // It waited 900 ms on its way back.
    let late = host.exchange(Duration::from_secs(61), path, Duration::from_millis(900));
    let clock = estimator.add(&late).unwrap();
    assert!(error_ns(clock, host, Duration::from_secs(62)) < 10_000, "{clock:?}");
}

#[test]
fn time_that_runs_backwards_is_refused() {
    let second = Duration::from_secs(1);
    let mut estimator = ClockEstimator::new();
    for wrong in [
        Exchange { t0: 2 * second, t1: 0, t2: 0, t3: second },
        Exchange { t0: second, t1: 5, t2: 4, t3: 2 * second },
        Exchange { t0: second, t1: 0, t2: 2_000_000_000, t3: 2 * second },
        Exchange { t0: second, t1: 0, t2: 0, t3: 12 * second },
    ] {
        assert_eq!(estimator.add(&wrong), Err(Rejected));
    }
    assert_eq!((estimator.clock(), estimator.exchanges()), (None, 0));
}

proptest! {
    #[test]
    fn a_lying_host_causes_no_panic(lies in proptest::collection::vec((0u64..1 << 62, any::<i64>(), any::<u32>(), any::<u32>()), 1..100)) {
        let mut estimator = ClockEstimator::new();
        for (t0, t1, held, away) in lies {
            let t0 = Duration::from_nanos(t0);
            let exchange = Exchange { t0, t1, t2: t1.saturating_add(i64::from(held)), t3: t0 + Duration::from_nanos(away.into()) };
            let _ = estimator.add(&exchange);
        }
    }
}
